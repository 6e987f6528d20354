"""An ONNX file opened by ONNX Runtime: whoever checks a file and whoever measures it open it here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.errors import ExportError
from archdsl.runtimes.array_session import ArraySession, Floats

if TYPE_CHECKING:
    import onnxruntime

CPU_PROVIDER = "CPUExecutionProvider"
_WARNINGS = 3
"""Of ONNX Runtime's log: errors and worse alone. It remarks on what it optimises."""


class OnnxSession(ArraySession):
    """All optimisations, and threads that sleep while they wait.

    Threads that spin while they wait slow down whatever else runs on the machine, as in `runtimes.setting.WAITING`.
    """

    def __init__(self, file: Path, threads: int = 1) -> None:
        """On the CPU.

        Raises:
            ExportError: onnxruntime is not installed, or it cannot run the file.
        """
        self._session, self._threads = _opened(file, threads), threads

    def bound(self, images: Floats) -> Callable[[], None]:
        """As `ArraySession.bound`; inputs and outputs keep their buffers from call to call."""
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._session.get_inputs()[0].name, images)
        for output in self._session.get_outputs():
            binding.bind_output(output.name)

        def run() -> None:
            self._session.run_with_iobinding(binding)

        return run

    def outputs(self, images: Floats) -> list[Floats]:
        """As `ArraySession.outputs`."""
        name = self._session.get_inputs()[0].name
        try:
            return list(self._session.run(None, {name: images}))
        except Exception as error:  # its errors have no common class of their own
            raise _refused(error) from error

    def options(self) -> dict[str, str | int | bool]:
        """As `ArraySession.options`."""
        return {"threads": self._threads, "provider": CPU_PROVIDER, "spinning": False}


def _opened(file: Path, threads: int) -> onnxruntime.InferenceSession:
    try:
        import onnxruntime
    except ImportError:
        raise ExportError("running an ONNX file needs onnxruntime; pip install 'archdsl[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _WARNINGS
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=[CPU_PROVIDER])
    except Exception as error:
        raise _refused(error) from error


def _refused(error: Exception) -> ExportError:
    return ExportError(f"ONNX Runtime cannot run the file: {' '.join(str(error).split())[:300]}")
