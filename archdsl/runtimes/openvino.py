"""OpenVINO on a CPU: the network as an ONNX file. Its reader of torch's graphs is wrong for deformable attention."""

from __future__ import annotations

from pathlib import Path

from archdsl.runtimes.file_runtime import FileRuntime, Session
from archdsl.runtimes.openvino_session import OpenVinoSession


class OpenVino(FileRuntime):
    """One stream for latency, float32 pinned (by default it computes in bfloat16), threads that the system may move."""

    name = "openvino"
    runs_elsewhere = True
    package, extra = "openvino", "openvino"

    def package_version(self) -> str:
        """As `FileRuntime.package_version`."""
        import openvino

        return str(openvino.__version__)

    def open(self, file: Path, threads: int) -> Session:
        """As `FileRuntime.open`."""
        return Session(OpenVinoSession(file, threads))
