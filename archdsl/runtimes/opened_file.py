"""An exported file as a module, to hold against it what another session of the same file computes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from archdsl.errors import ExportError, MeasureError
from archdsl.runtimes.file_runtime import FileRuntime

if TYPE_CHECKING:
    from archdsl.exporting.frozen import Outputs


class OpenedFile(nn.Module):
    """A file in its runtime on this machine: images (B, C, H, W) -> its outputs, in float32."""

    def __init__(self, runtime: FileRuntime, file: Path) -> None:
        """Open the file on one thread.

        Raises:
            MeasureError: the runtime cannot run it.
        """
        super().__init__()
        try:
            self._session = runtime.open(file, 1)
        except ExportError as error:
            raise MeasureError(f"{file}: {error}") from error

    def __deepcopy__(self, memo: dict[int, nn.Module]) -> OpenedFile:
        """Itself: a session cannot be copied, and computes in float32 alone."""
        return self

    def forward(self, images: Tensor) -> Outputs:
        """As the class says."""
        return self._session.outputs(images.float())

    def names_for(self, images: Tensor) -> list[str]:
        """Numbered names of the outputs that it has for such images."""
        return [f"output{number}" for number in range(len(self(images)))]
