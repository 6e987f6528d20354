"""What a latency holds for: device, batch, dtype and runtime, checked and named canonically."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from archdsl.errors import MeasureError, WrongSetting, one_of
from archdsl.runtimes.by_name import RUNTIMES as RUNTIMES
from archdsl.runtimes.by_name import default_runtime as default_runtime
from archdsl.runtimes.by_name import deployment_runtime as deployment_runtime
from archdsl.runtimes.by_name import naming_package, runs_files, runtime_named
from archdsl.runtimes.by_name import runtime_of as runtime_of
from archdsl.runtimes.runtime import Runtime

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")

Image = tuple[int, int, int]
"""(C, H, W) of one input."""

DTYPES = {"float32": "float32", "float16": "float16", "bfloat16": "bfloat16", "int8": "int8"}
DTYPES |= {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}

WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of a process that measures, unless the user says otherwise; it counts from before torch is imported.

Threads that wait for each other sleep then. Where they spin, another process on the machine makes 6 ms read 60.
"""


def sleep_while_waiting() -> None:
    """Set `WAITING` in this process's environment, where it is not set and torch, which reads it, is not loaded yet.

    Whatever measures calls this first. A program that imports torch by itself sets the variable by itself, or measures
    without it; the provenance of a latency says which.
    """
    if "torch" not in sys.modules:
        for name, value in WAITING.items():
            os.environ.setdefault(name, value)


def default_device() -> str:
    """`cuda` if there is one, else `cpu`."""
    sleep_while_waiting()
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def with_runtime(facts: Mapping[str, Value]) -> dict[str, Value]:
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

    @property
    def executor(self) -> Runtime:
        """The runtime itself, for the device and the dtype."""
        with naming_package(self.runtime):
            return runtime_named(self.runtime).for_setting(self.device, self.dtype)

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype as torch's own; a network that a file computes in int8 is float32 before its export."""
        import torch

        return {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(self.dtype, torch.float32)

    @classmethod
    def checked(cls, device: str | None, batch: int, dtype: str, runtime: str | None) -> Setting:
        """Canonical names; None stands for the default device, and for the runtime of its calls from Python.

        Raises:
            MeasureError: one is unknown, or cannot run here.
        """
        device = checked_device(device or default_device())
        if not isinstance(batch, int) or batch < 1:
            raise MeasureError(f"batch must be at least 1; got {batch}")
        if dtype not in DTYPES:
            raise MeasureError(f"dtype must be {one_of(list(dict.fromkeys(DTYPES.values())))}; got '{dtype}'")
        runtime = default_runtime(device) if runtime is None else runtime
        if dtype == "int8" and not runs_files(runtime):
            rule = f"runtime {runtime} has no dtype int8: exported files alone are quantised"
            raise WrongSetting(f"{rule}; use --runtime onnxruntime or openvino")
        with naming_package(runtime):
            runtime_named(runtime).check(device, DTYPES[dtype])
        return cls(device, batch, DTYPES[dtype], runtime)


def checked_device(device: str) -> str:
    """The device as named.

    Raises:
        MeasureError: it is the name of none.
        WrongSetting: it is not here.
    """
    sleep_while_waiting()
    import torch

    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise MeasureError(f"device must be cpu, cuda or cuda:N; got '{device}'")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device != "cpu" and int(device.partition(":")[2] or 0) >= count:
        here = one_of(["cpu", *(f"cuda:{number}" for number in range(count))])
        raise WrongSetting(f"torch sees no device {device} here; use {here}")
    return device
