"""OpenVINO on a CPU: the network as an ONNX file. Its reader of torch's graphs is wrong for deformable attention."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.errors import ExportError
from archdsl.runtimes.file_runtime import FileRuntime, Session

if TYPE_CHECKING:
    from torch import Tensor

    from archdsl.exporting.frozen import Outputs
    from archdsl.json_types import JsonObject
    from archdsl.runtimes.runtime import Runner

_PRECISION = "INFERENCE_PRECISION_HINT"


class OpenVino(FileRuntime):
    """One stream for latency, float32 pinned (by default it computes in bfloat16), threads that the system may move."""

    name = "openvino"
    package, extra = "openvino", "openvino"

    def is_installed(self) -> bool:
        """As `FileRuntime.is_installed`."""
        try:
            import openvino  # noqa: F401
        except ImportError:
            return False
        return True

    def versions(self) -> dict[str, str]:
        """As `FileRuntime.versions`."""
        import openvino

        from archdsl.exporting.onnx_file import versions

        return {"openvino": openvino.__version__, **versions()}

    def open(self, file: Path, threads: int) -> Session:
        """As `FileRuntime.open`."""
        wanted = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,
            _PRECISION: "f32",
        }
        try:
            return _OpenVinoSession(_core().compile_model(str(file), "CPU", wanted))
        except RuntimeError as error:
            raise ExportError(f"OpenVINO cannot run the file: {' '.join(str(error).split())[:300]}") from error


@cache
def _core() -> Any:
    """OpenVINO's core, one per process.

    Where the processor has AMX, each core gives signal handlers a stack of its own. With two cores the stack that is
    left after both are gone is one that was freed, and the next signal (Ctrl-C) ends the process.
    """
    import openvino

    return openvino.Core()


class _OpenVinoSession(Session):
    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def bound(self, images: Tensor) -> Runner:
        """As `Session.bound`."""
        import openvino

        request = self._compiled.create_infer_request()
        request.set_input_tensor(openvino.Tensor(images.contiguous().numpy(), shared_memory=True))

        def run() -> None:
            request.infer()

        return run

    def outputs(self, images: Tensor) -> Outputs:
        """As `Session.outputs`."""
        import torch

        try:
            outputs = self._compiled(images.numpy())
        except RuntimeError as error:
            raise ExportError(f"OpenVINO cannot run the file: {' '.join(str(error).split())[:300]}") from error
        return tuple(torch.from_numpy(outputs[output].copy()) for output in self._compiled.outputs)

    def options(self) -> JsonObject:
        """As `Session.options`."""
        names = ("INFERENCE_NUM_THREADS", "NUM_STREAMS", "ENABLE_CPU_PINNING", _PRECISION)
        return {name.lower(): str(self._compiled.get_property(name)) for name in names}
