"""What a latency holds for: device, batch, dtype and mode, checked and named canonically."""

from __future__ import annotations

import re
from typing import NamedTuple

from archdsl.errors import MeasureError, one_of

Image = tuple[int, int, int]
"""(C, H, W) of one input."""

MODES = ("eager", "graph", "compile")
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


class Setting(NamedTuple):
    """What a latency holds for; `Setting.checked` makes one."""

    device: str
    batch: int
    dtype: str
    mode: str

    @classmethod
    def checked(cls, device: str | None, batch: int, dtype: str, mode: str) -> Setting:
        """Canonical names; raises MeasureError for what is unknown or cannot run here."""
        device = checked_device(device or default_device())
        if not isinstance(batch, int) or batch < 1:
            raise MeasureError(f"batch must be at least 1; got {batch}")
        if dtype not in DTYPES:
            raise MeasureError(f"dtype must be {one_of(list(dict.fromkeys(DTYPES.values())))}; got '{dtype}'")
        if mode not in MODES:
            raise MeasureError(f"mode must be {one_of(MODES)}; got '{mode}'")
        if mode == "graph" and device == "cpu":
            raise MeasureError("mode graph replays a CUDA graph and needs a GPU; got device cpu; use eager or compile")
        return cls(device, batch, DTYPES[dtype], mode)


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
