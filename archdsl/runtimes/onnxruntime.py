"""ONNX Runtime on a CPU: the network as an ONNX file."""

from __future__ import annotations

from pathlib import Path

from archdsl.runtimes.file_runtime import FileRuntime, Session
from archdsl.runtimes.onnx_session import OnnxSession


class OnnxRuntime(FileRuntime):
    """Graph optimisations of every level, one session per number of threads, threads that sleep while they wait."""

    name = "onnxruntime"
    package, extra = "onnxruntime", "onnx"
    dtypes = ("float32", "float16")

    def package_version(self) -> str:
        """As `FileRuntime.package_version`."""
        import onnxruntime

        return str(onnxruntime.__version__)

    def open(self, file: Path, threads: int) -> Session:
        """As `FileRuntime.open`."""
        return Session(OnnxSession(file, threads))
