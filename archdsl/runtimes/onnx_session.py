"""An ONNX file opened by ONNX Runtime: whoever checks a file and whoever measures it open it here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.errors import ExportError
from archdsl.runtimes.array_session import ArraySession, Floats

if TYPE_CHECKING:
    import onnxruntime

CPU_PROVIDER, CUDA_PROVIDER = "CPUExecutionProvider", "CUDAExecutionProvider"
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "EXHAUSTIVE"}
"""float32 as it is said, and the fastest convolutions, as in torch's runtimes (`runtimes.runner.steady`)."""
_WARNINGS = 3
"""Of ONNX Runtime's log: errors and worse alone. It remarks on what it optimises."""


class OnnxSession(ArraySession):
    """All optimisations, and threads that sleep while they wait.

    Threads that spin while they wait slow down whatever else runs on the machine, as in `runtimes.setting.WAITING`.
    """

    def __init__(self, file: Path, threads: int = 1, device: str = "cpu") -> None:
        """On the CPU, or on a GPU that is named as `cuda:N`.

        Raises:
            ExportError: onnxruntime is not installed, it cannot run the file, or it has no CUDA provider that works.
        """
        self._threads, self._gpu = threads, None if device == "cpu" else int(device.partition(":")[2] or 0)
        self._session = _opened(file, threads, self._gpu)

    def bound(self, images: Floats) -> Callable[[], None]:
        """As `ArraySession.bound`; inputs and outputs keep their buffers from call to call, on a GPU in its memory."""
        binding, name = self._session.io_binding(), self._session.get_inputs()[0].name
        if self._gpu is None:
            binding.bind_cpu_input(name, images)
        else:
            binding.bind_ortvalue_input(name, _on_gpu(images, self._gpu))
        for output in self._session.get_outputs():
            binding.bind_output(output.name, *(() if self._gpu is None else ("cuda", self._gpu)))

        def run() -> None:
            self._session.run_with_iobinding(binding)
            if self._gpu is not None:
                binding.synchronize_outputs()

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
        provider = CPU_PROVIDER if self._gpu is None else CUDA_PROVIDER
        return {"threads": self._threads, "provider": provider, "spinning": False}


def _on_gpu(images: Floats, gpu: int) -> onnxruntime.OrtValue:
    import onnxruntime

    return onnxruntime.OrtValue.ortvalue_from_numpy(images, "cuda", gpu)


def _opened(file: Path, threads: int, gpu: int | None) -> onnxruntime.InferenceSession:
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
    on_gpu = [] if gpu is None else [(CUDA_PROVIDER, {"device_id": gpu, **_CUDA_OPTIONS})]
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=[*on_gpu, CPU_PROVIDER])
    except Exception as error:
        raise _refused(error) from error
    if gpu is not None and CUDA_PROVIDER not in session.get_providers():  # it goes on without a word
        raise ExportError("ONNX Runtime has no CUDA provider that works: install the CUDA that onnxruntime-gpu is for")
    return session


def _refused(error: Exception) -> ExportError:
    return ExportError(f"ONNX Runtime cannot run the file: {' '.join(str(error).split())[:300]}")
