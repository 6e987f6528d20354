"""The processes that `torchrun` started, each of which trains with a part of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class Processes(NamedTuple):
    """How many there are, and which this is."""

    number: int
    rank: int
    local_rank: int

    @property
    def is_first(self) -> bool:
        """The first process writes and speaks."""
        return self.rank == 0


def processes() -> Processes:
    """As torchrun says; one process without it."""
    count, rank, local = (int(os.environ.get(name, "") or default) for name, default in _NAMES)
    return Processes(count, rank, local)


_NAMES = (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0"))


@contextmanager
def joined(group: Processes, device: torch.device) -> Iterator[None]:
    """Connected to the others while inside: by gloo on CPUs, by NCCL on GPUs."""
    import torch.distributed as dist

    if group.number == 1:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def shared_gradients(model: nn.Module, group: Processes) -> nn.Module:
    """The model, with gradients that are the mean over all processes."""
    from torch.nn.parallel import DistributedDataParallel

    if group.number == 1:
        return model
    return DistributedDataParallel(model, find_unused_parameters=True)


def mean_over(group: Processes, loss: Tensor) -> Tensor:
    """The mean of a loss over all processes, so that all of them see the same."""
    import torch.distributed as dist

    if group.number == 1:
        return loss
    total = loss.detach().clone()
    dist.all_reduce(total)
    return loss + (total / group.number - loss.detach())


def told_by_first(group: Processes, value: float, device: torch.device) -> float:
    """The first process's value, in all of them."""
    import torch
    import torch.distributed as dist

    if group.number == 1:
        return value
    told = torch.tensor([value], dtype=torch.float64, device=device)
    dist.broadcast(told, 0)
    return float(told)


def wait_for_all(group: Processes) -> None:
    """Until every process is here."""
    import torch.distributed as dist

    if group.number > 1:
        dist.barrier()
