"""How many threads a network runs on here, where nobody says it: those on which it is fastest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archdsl.runtimes.runtime import Runner, Runtime
from archdsl.timing.cores import physical_cores
from archdsl.timing.threads import faster_threads


def fastest_threads(runners: Iterable[Runner], runtime: Runtime) -> int:
    """All physical cores where these are clearly faster than one, else one; torch is left set to it."""
    import torch

    prepared, cores = list(runners), physical_cores()

    def runners_on(threads: int) -> Iterator[Runner]:
        torch.set_num_threads(threads)
        return (runtime.with_threads(runner, threads) for runner in prepared)

    best = faster_threads(cores, runners_on)
    if cores > 1:
        torch.set_num_threads(best)
    return best
