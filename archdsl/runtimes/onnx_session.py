"""An ONNX file opened by ONNX Runtime: whoever checks a file and whoever measures it open it here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.errors import ExportError

if TYPE_CHECKING:
    import onnxruntime
    from torch import Tensor

    from archdsl.exporting.frozen import Outputs

CPU_PROVIDER = "CPUExecutionProvider"
_WARNINGS = 3
"""Of ONNX Runtime's log: errors and worse alone. It remarks on what it optimises."""


def open_session(file: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """A session on the CPU with so many threads, all optimisations, and threads that sleep while they wait.

    Threads that spin while they wait slow down whatever else runs on the machine, as in `runtimes.setting.WAITING`.

    Raises:
        ExportError: onnxruntime is not installed, or it cannot run the file.
    """
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
    except Exception as error:  # its errors have no common class of their own
        raise ExportError(f"ONNX Runtime cannot run the file: {' '.join(str(error).split())[:300]}") from error


def outputs_of(session: onnxruntime.InferenceSession, images: Tensor) -> Outputs:
    """What a session gives for images (B, C, H, W): all its outputs, in float32."""
    import torch

    name = session.get_inputs()[0].name
    try:
        outputs = session.run(None, {name: images.numpy()})
    except Exception as error:
        raise ExportError(f"ONNX Runtime cannot run the file: {' '.join(str(error).split())[:300]}") from error
    return tuple(torch.from_numpy(each) for each in outputs)
