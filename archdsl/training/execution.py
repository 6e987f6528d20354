"""How a device trains: in which arithmetic, and how often the host waits for it."""

from __future__ import annotations

from typing import NamedTuple


class Execution(NamedTuple):
    """How a device trains."""

    bf16: bool
    """Whether the forward pass is cast to bfloat16 where that is safe (autocast)."""
    reads_every_step: bool
    """Whether every loss is looked at once it is there; else those since the last mark are, so that the host runs ahead
    of the device."""


def execution_on(device: str) -> Execution:
    """On CUDA bfloat16 where the GPU computes in it, and losses read at marks; elsewhere float32, and each step."""
    import torch

    if torch.device(device).type != "cuda":
        return Execution(bf16=False, reads_every_step=True)
    with torch.cuda.device(device):
        return Execution(torch.cuda.is_bf16_supported(including_emulation=False), reads_every_step=False)
