"""ONNX Runtime: the network as an ONNX file, on a CPU, or on a GPU by the CUDA provider of onnxruntime-gpu."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.errors import WrongSetting
from archdsl.runtimes.file_runtime import FileRuntime, Session
from archdsl.runtimes.onnx_session import CUDA_PROVIDER, OnnxSession

if TYPE_CHECKING:
    from torch import Tensor


class OnnxRuntime(FileRuntime):
    """Graph optimisations of every level, one session per number of threads, threads that sleep while they wait."""

    name = "onnxruntime"
    runs_elsewhere = True
    package, extra = "onnxruntime", "onnx"
    dtypes = ("float32", "float16", "int8")

    def check(self, device: str, dtype: str) -> None:
        """As `Runtime.check`; a GPU needs the package onnxruntime-gpu."""
        if device != "cpu" and not self.missing_packages():
            import onnxruntime

            if dtype == "int8":
                raise WrongSetting(f"runtime {self.name} takes dtype int8 on a CPU alone; got device {device}")
            if CUDA_PROVIDER not in onnxruntime.get_available_providers():
                rule = f"runtime {self.name} has no CUDA provider here; got device {device}"
                raise WrongSetting(f"{rule}; install onnxruntime-gpu in place of onnxruntime, or use graph or eager")
            device = "cpu"
        super().check(device, dtype)

    def missing_packages(self) -> list[str]:
        """What has to be installed before a network can be exported and run, found without importing anything."""
        return [name for name in ("onnx", "onnxscript", "onnxruntime") if not _is_importable(name)]

    def package_version(self) -> str:
        """As `FileRuntime.package_version`."""
        import onnxruntime

        return str(onnxruntime.__version__)

    def quantize(self, file: Path, quantized: Path, batches: Sequence[Tensor]) -> None:
        """As `FileRuntime.quantize`: activations are scaled in every run, and no image is needed."""
        from archdsl.exporting.int8 import quantize

        quantize(file, quantized)

    def open(self, file: Path, threads: int) -> Session:
        """As `FileRuntime.open`."""
        return Session(OnnxSession(file, threads, self.device))


def _is_importable(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # a module of that name has been put in its place, without a specification
        return False
