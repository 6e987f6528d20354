"""What a latency holds for: device, batch, dtype and runtime, checked and named canonically."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from archdsl.errors import MeasureError, WrongUse, one_of

Image = tuple[int, int, int]
"""(C, H, W) of one input."""

RUNTIMES = ("eager", "graph", "compile")
"""What executes a network: torch op by op, a replayed CUDA graph, or `torch.compile`."""
DTYPES = {"float32": "float32", "float16": "float16", "bfloat16": "bfloat16"}
DTYPES |= {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of a process that measures, unless the user says otherwise; it counts from before torch is imported.

Threads that wait for each other sleep then. Where they spin, another process on the machine makes 6 ms read 60.
"""


def default_device() -> str:
    """`cuda` if there is one, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def default_runtime(device: str) -> str:
    """`graph` on a GPU, whose eager latency at a small batch is the host's time to launch kernels; `eager` on a CPU."""
    return "graph" if device.startswith("cuda") else "eager"


def runtime_of(runtime: str | None, mode: str | None) -> str | None:
    """The runtime of a call that may say it as `mode`, its former name; None if it says neither.

    Raises:
        WrongUse: both are given, and they differ.
    """
    if None not in (runtime, mode) and runtime != mode:
        raise WrongUse(f"runtime '{runtime}' and mode '{mode}' differ; mode is the former name: give runtime alone")
    return mode if runtime is None else runtime


def with_runtime(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a record, in their order, with the runtime under its name; earlier versions wrote it as `mode`."""
    if "mode" not in facts:
        return dict(facts)
    left_out = "runtime" if facts.get("runtime") is None else "mode"
    return {"runtime" if name == "mode" else name: value for name, value in facts.items() if name != left_out}


class Setting(NamedTuple):
    """What a latency holds for; `Setting.checked` makes one."""

    device: str
    batch: int
    dtype: str
    runtime: str

    @classmethod
    def checked(cls, device: str | None, batch: int, dtype: str, runtime: str | None) -> Setting:
        """Canonical names; None stands for the default device, and for the device's default runtime.

        Raises:
            MeasureError: one is unknown, or cannot run here.
        """
        device = checked_device(device or default_device())
        if not isinstance(batch, int) or batch < 1:
            raise MeasureError(f"batch must be at least 1; got {batch}")
        if dtype not in DTYPES:
            raise MeasureError(f"dtype must be {one_of(list(dict.fromkeys(DTYPES.values())))}; got '{dtype}'")
        runtime = default_runtime(device) if runtime is None else runtime
        if runtime not in RUNTIMES:
            raise MeasureError(f"runtime must be {one_of(RUNTIMES)}; got '{runtime}'")
        if runtime == "graph" and device == "cpu":
            rule = "runtime graph replays a CUDA graph and needs a GPU; got device cpu"
            raise MeasureError(f"{rule}; use eager or compile")
        return cls(device, batch, DTYPES[dtype], runtime)


def checked_device(device: str) -> str:
    """The device as named; raises MeasureError where it is none, or not here."""
    import torch

    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise MeasureError(f"device must be cpu, cuda or cuda:N; got '{device}'")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device != "cpu" and int(device.partition(":")[2] or 0) >= count:
        here = one_of(["cpu", *(f"cuda:{number}" for number in range(count))])
        raise MeasureError(f"torch sees no device {device} here; use {here}")
    return device
