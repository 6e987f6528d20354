"""How many threads a network runs on where nobody says it: all cores where these are clearly faster than one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from archdsl.timing.interleaved import Runner

_PROBE_S, _LEAST_RUNS = 0.1, 3
WORTH = 1.5
"""By what factor all cores must be faster than one: what gains less is disturbed by every neighbour for little."""


def faster_threads(cores: int, runners_on: Callable[[int], Iterable[Runner]]) -> int:
    """`cores` where networks are `WORTH` times faster on so many threads than on one, else 1.

    By the geometric mean of the networks' shortest runs. `runners_on` makes their runners for a number of threads.

    Threads that wait for each other cost a small network more than they save, most of all on a virtual machine, where
    waking one takes long: a network of 3 ms on one thread was seen to take 10 to 20 ms on two.
    """
    if cores == 1:
        return 1
    logs = {threads: [math.log(_shortest(runner)) for runner in runners_on(threads)] for threads in (cores, 1)}
    return cores if math.fsum(logs[1]) - math.fsum(logs[cores]) >= len(logs[1]) * math.log(WORTH) else 1


def _shortest(runner: Runner) -> float:
    """Seconds of the shortest of some runs, after one that does not count."""
    runner()
    times: list[float] = []
    while len(times) < _LEAST_RUNS or math.fsum(times) < _PROBE_S:
        started = time.perf_counter()
        runner()
        times.append(max(time.perf_counter() - started, 1e-9))
    return min(times)
