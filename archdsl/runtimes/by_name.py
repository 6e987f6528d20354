"""Runtimes by name, and the one that a device uses where none is named."""

from __future__ import annotations

from archdsl.errors import MeasureError, WrongUse, one_of
from archdsl.runtimes.cuda_graph import CudaGraph
from archdsl.runtimes.eager import Eager
from archdsl.runtimes.onnxruntime import OnnxRuntime
from archdsl.runtimes.openvino import OpenVino
from archdsl.runtimes.runtime import Runtime
from archdsl.runtimes.torch_compile import TorchCompile

_OURS = (Eager(), CudaGraph(), TorchCompile(), OnnxRuntime(), OpenVino())
_BY_NAME: dict[str, Runtime] = {runtime.name: runtime for runtime in _OURS}
RUNTIMES = tuple(_BY_NAME)


def runtime_named(name: str) -> Runtime:
    """The runtime of that name.

    Raises:
        MeasureError: there is none.
    """
    if name not in _BY_NAME:
        raise MeasureError(f"runtime must be {one_of(RUNTIMES)}; got '{name}'")
    return _BY_NAME[name]


def default_runtime(device: str) -> str:
    """`graph` on a GPU, whose eager latency at a small batch is the host's time to launch kernels; `eager` on a CPU."""
    return CudaGraph.name if device.startswith("cuda") else Eager.name


def runtime_of(runtime: str | None, mode: str | None) -> str | None:
    """The runtime of a call that may say it as `mode`, its former name; None if it says neither.

    Raises:
        WrongUse: both are given, and they differ.
    """
    if None not in (runtime, mode) and runtime != mode:
        raise WrongUse(f"runtime '{runtime}' and mode '{mode}' differ; mode is the former name: give runtime alone")
    return mode if runtime is None else runtime
