"""On how many threads of a CPU a network is trained: on those on which its steps are fastest here."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING

from archdsl.timing.cores import physical_cores

if TYPE_CHECKING:
    from torch import Tensor, nn

_TRIES, _ENOUGH_S = 4, 2.0


def training_threads(model: nn.Module, images: Tensor, most: int) -> dict[int, float]:
    """Seconds of a step's passes forward and back, the shortest of four tries or of two seconds, by threads.

    On a shared machine a second thread can cost more than it gives: it waits for a core that another process has. The
    model is left as it is, and torch set to the last number that was timed.

    Args:
        model: a network on the CPU.
        images: a batch as it reads them, (B, C, H, W).
        most: the threads that are timed beside one.
    """
    import torch

    counts = sorted({1, most})
    with torch.random.fork_rng(devices=[]):
        tried = copy.deepcopy(model)
        return {threads: _shortest(tried, images, threads) for threads in counts}


def fastest_training_threads(model: nn.Module, images: Tensor) -> int:
    """One thread or all physical cores, on whichever a step is faster; torch is left set to it.

    Never more than torch is set to, which OMP_NUM_THREADS bounds.
    """
    import torch

    best = most = min(physical_cores(), torch.get_num_threads())
    if most > 1:
        seconds = training_threads(model, images, most)
        best = min(seconds, key=lambda threads: seconds[threads])
    torch.set_num_threads(best)
    return best


def _shortest(model: nn.Module, images: Tensor, threads: int) -> float:
    import torch

    torch.set_num_threads(threads)
    times: list[float] = []
    while len(times) < _TRIES and sum(times) < _ENOUGH_S:
        started = time.perf_counter()
        outputs = model(images)  # a head that labels tokens returns their labels beside the logits
        (outputs[0] if isinstance(outputs, tuple) else outputs).sum().backward()
        times.append(time.perf_counter() - started)
    return min(times)
