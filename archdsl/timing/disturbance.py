"""Which rounds count: those in which the process had the cores that it runs on, and nothing else used their share.

One thread: the wall time of a round lies within 10 % of the process's CPU time, so it neither waited nor shared.
Several threads wait for each other even on a quiet machine, so that their CPU time is compared with what the same
process reaches at its best (the 90th percentile), and the machine is asked for what others took around the round.
With any number of threads, the processor ran as fast beside the round as it usually does (`speed`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archdsl.timing.machine import MachineWatch
from archdsl.timing.rounds import Round, Rounds
from archdsl.timing.speed import ProcessorSpeed

TOLERANCE = 0.1
"""How far wall time may lie from CPU time, as a share."""
_SPARE_CORES = 0.1
"""What other processes may take beside the cores that are left over: a machine is never quite idle."""
_SHOWS = 0.5
"""Cores, at the least, that a runtime must be seen to use in its best round for its CPU time to say anything."""


def shows_cpu_time(rounds: Sequence[Round]) -> bool:
    """Whether the work of a runtime is part of this process's CPU time: only then can that tell of disturbance."""
    return any(taken.cpu_share >= _SHOWS for taken in rounds)


def undisturbed(
    rounds: Sequence[Round],
    threads: int,
    cores: int,
    watch: MachineWatch | None = None,
    speed: ProcessorSpeed | None = None,
) -> Rounds:
    """The rounds of one process with `threads` threads on `cores` cores, and which of them count.

    Without a `watch` and a `speed` only the CPU time of this process is known, and decides alone.
    """
    shares = [taken.cpu_share for taken in rounds]
    best = 1.0 if threads == 1 or not rounds else float(np.percentile(shares, 90))
    counts = [_is_within(share, best) for share in shares]
    if threads > 1 and watch is not None and watch.is_available:
        spare = cores - threads + _SPARE_CORES
        counts = [
            is_counted and _is_quiet(taken, spare, watch) for is_counted, taken in zip(counts, rounds, strict=True)
        ]
    slowed = speed.slowed(rounds) if speed is not None else [False] * len(rounds)
    counts = [is_counted and not is_slow for is_counted, is_slow in zip(counts, slowed, strict=True)]
    return Rounds(tuple(taken.ms for taken in rounds), tuple(counts), slowed=sum(slowed))


def _is_within(share: float, best: float) -> bool:
    """Whether wall time, as a multiple of the CPU time that is usual, is 1 within the tolerance."""
    return abs(best / max(share, 1e-9) - 1) <= TOLERANCE


def _is_quiet(taken: Round, spare: float, watch: MachineWatch) -> bool:
    """Whether others left the cores alone around a round."""
    window = watch.around(taken.ended_s - taken.wall_ms / 1e3, taken.ended_s)
    return window is None or (window.others <= spare and not window.throttled)
