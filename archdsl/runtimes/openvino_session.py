"""An ONNX file opened by OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from archdsl.errors import ExportError
from archdsl.runtimes.array_session import ArraySession, Floats

_PRECISION = "INFERENCE_PRECISION_HINT"


class OpenVinoSession(ArraySession):
    """One stream for latency, float32 pinned (by default it computes in bfloat16), threads that the system may move."""

    def __init__(self, file: Path, threads: int = 1) -> None:
        """On the CPU.

        Raises:
            ExportError: OpenVINO cannot run the file.
        """
        wanted = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,
            _PRECISION: "f32",
        }
        try:
            self._compiled = _core().compile_model(str(file), "CPU", wanted)
        except RuntimeError as error:
            raise _refused(error) from error

    def bound(self, images: Floats) -> Callable[[], None]:
        """As `ArraySession.bound`."""
        import openvino

        request = self._compiled.create_infer_request()
        request.set_input_tensor(openvino.Tensor(images, shared_memory=True))

        def run() -> None:
            request.infer()

        return run

    def outputs(self, images: Floats) -> list[Floats]:
        """As `ArraySession.outputs`."""
        try:
            outputs = self._compiled(images)
        except RuntimeError as error:
            raise _refused(error) from error
        return [outputs[output].copy() for output in self._compiled.outputs]

    def options(self) -> dict[str, str | int | bool]:
        """As `ArraySession.options`."""
        names = ("INFERENCE_NUM_THREADS", "NUM_STREAMS", "ENABLE_CPU_PINNING", _PRECISION)
        return {name.lower(): str(self._compiled.get_property(name)) for name in names}


def _refused(error: RuntimeError) -> ExportError:
    return ExportError(f"OpenVINO cannot run the file: {' '.join(str(error).split())[:300]}")


@cache
def _core() -> Any:
    """OpenVINO's core, one per process.

    Where the processor has AMX, each core gives signal handlers a stack of its own. With two cores the stack that is
    left after both are gone is one that was freed, and the next signal (Ctrl-C) ends the process.
    """
    import openvino

    return openvino.Core()
