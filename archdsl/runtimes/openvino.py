"""OpenVINO on a CPU: the network as an ONNX file. Its reader of torch's graphs is wrong for deformable attention."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.errors import MeasureError
from archdsl.runtimes.file_runtime import FileRuntime, Session
from archdsl.runtimes.openvino_session import OpenVinoSession

if TYPE_CHECKING:
    from torch import Tensor


class OpenVino(FileRuntime):
    """One stream for latency, float32 pinned (by default it computes in bfloat16), threads that the system may move."""

    name = "openvino"
    runs_elsewhere = True
    package, extra = "openvino", "openvino"
    dtypes = ("float32", "int8")
    calibrates = True

    def check(self, device: str, dtype: str) -> None:
        """As `Runtime.check`; int8 needs NNCF."""
        from archdsl.exporting.int8 import NNCF_REMEDY, is_calibration_possible

        super().check(device, dtype)
        if dtype == "int8" and not is_calibration_possible():
            raise MeasureError(f"runtime {self.name} needs the package nncf for dtype int8; {NNCF_REMEDY}")

    def package_version(self) -> str:
        """As `FileRuntime.package_version`."""
        import openvino

        return str(openvino.__version__)

    def quantize(self, file: Path, quantized: Path, batches: Sequence[Tensor]) -> None:
        """As `FileRuntime.quantize`: by NNCF, whose scales OpenVINO folds into its int8 kernels."""
        from archdsl.exporting.int8 import quantize_calibrated

        quantize_calibrated(file, quantized, [batch.numpy() for batch in batches])

    def open(self, file: Path, threads: int) -> Session:
        """As `FileRuntime.open`."""
        return Session(OpenVinoSession(file, threads))
