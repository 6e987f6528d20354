"""How many threads a network runs on where nobody says it: those on which it is fastest here."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from archdsl.runtimes.runtime import Runner, Runtime
from archdsl.timing.cores import physical_cores

_PROBE_S, _LEAST_RUNS = 0.1, 3
WORTH = 1.5
"""By what factor all cores must be faster than one: what gains less is disturbed by every neighbour for little."""


def fastest_threads(runners: Iterable[Runner], runtime: Runtime) -> int:
    """All physical cores where these are `WORTH` times faster, else one; torch is left set to it.

    By the geometric mean of the networks' shortest runs.

    Threads that wait for each other cost a small network more than they save, most of all on a virtual machine, where
    waking one takes long: a network of 3 ms on one thread was seen to take 10 to 20 ms on two.
    """
    import torch

    runners, cores = list(runners), physical_cores()
    if cores == 1:
        return 1
    log_seconds: dict[int, float] = {}
    for threads in (cores, 1):
        torch.set_num_threads(threads)
        log_seconds[threads] = math.fsum(
            math.log(_shortest(runtime.with_threads(runner, threads))) for runner in runners
        )
    best = cores if log_seconds[1] - log_seconds[cores] >= len(runners) * math.log(WORTH) else 1
    torch.set_num_threads(best)
    return best


def _shortest(runner: Runner) -> float:
    """Seconds of the shortest of some runs, after one that does not count."""
    runner()
    times: list[float] = []
    while len(times) < _LEAST_RUNS or math.fsum(times) < _PROBE_S:
        started = time.perf_counter()
        runner()
        times.append(max(time.perf_counter() - started, 1e-9))
    return min(times)
