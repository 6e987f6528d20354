"""ONNX Runtime on a CPU: the network as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.runtimes.file_runtime import FileRuntime, Session
from archdsl.runtimes.onnx_session import CPU_PROVIDER, open_session, outputs_of

if TYPE_CHECKING:
    import onnxruntime
    from torch import Tensor

    from archdsl.exporting.frozen import Outputs
    from archdsl.json_types import JsonObject
    from archdsl.runtimes.runtime import Runner


class OnnxRuntime(FileRuntime):
    """Graph optimisations of every level, one session per number of threads, threads that sleep while they wait."""

    name = "onnxruntime"
    package, extra = "onnxruntime", "onnx"
    dtypes = ("float32", "float16")

    def is_installed(self) -> bool:
        """As `FileRuntime.is_installed`."""
        try:
            import onnxruntime  # noqa: F401
        except ImportError:
            return False
        return True

    def versions(self) -> dict[str, str]:
        """As `FileRuntime.versions`."""
        import onnxruntime

        from archdsl.exporting.onnx_file import versions

        return {"onnxruntime": onnxruntime.__version__, **versions()}

    def open(self, file: Path, threads: int) -> Session:
        """As `FileRuntime.open`."""
        return _OnnxSession(open_session(file, threads), threads)


class _OnnxSession(Session):
    def __init__(self, session: onnxruntime.InferenceSession, threads: int) -> None:
        self._session, self._threads = session, threads

    def bound(self, images: Tensor) -> Runner:
        """As `Session.bound`; inputs and outputs keep their buffers from call to call."""
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._session.get_inputs()[0].name, images.contiguous().numpy())
        for output in self._session.get_outputs():
            binding.bind_output(output.name)

        def run() -> None:
            self._session.run_with_iobinding(binding)

        return run

    def outputs(self, images: Tensor) -> Outputs:
        """As `Session.outputs`."""
        return outputs_of(self._session, images)

    def options(self) -> JsonObject:
        """As `Session.options`."""
        return {"threads": self._threads, "provider": CPU_PROVIDER, "spinning": False}
