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
        return Session(OnnxSession(file, threads))
