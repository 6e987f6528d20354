"""How fast the processor runs beside each round, which neither the clock nor CPU time tells.

A neighbour on the same physical core, a lower clock and heat slow a process down without taking CPU time from it. A
fixed loop of Python's own arithmetic, some 20 microseconds, is timed before and after each round: where it takes longer
than it usually does there in this process, so does everything else.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from archdsl.timing.rounds import Round

SLOW = 1.25
"""Times what the loop usually takes, above which the processor is slow: a shared physical core costs 1.4 to 1.8."""
_USUAL = 5
"""Percentile of the loop's times that is usual: reached also where the processor is slow most of the time."""
_LEAST = 20
"""Times of the loop before which nothing is known of what is usual."""
_MOST = 5_000
"""Times that are kept, the last ones: a processor that is slower for good is usual after some time."""
_LOOPS = 500
_WAIT_MS = 500.0
"""A wait's length at the most."""


class _Times:
    """What the loop took at one place, before rounds or after them, in ms."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_MOST)
        self._usual_ms, self._new = 0.0, 0

    def add(self, ms: float) -> None:
        self._times.append(ms)
        self._new += 1

    @property
    def usual_ms(self) -> float:
        """What the loop takes there while nothing slows it; computed anew whenever a tenth of the times is new."""
        if self._new >= 0.1 * len(self._times):
            self._usual_ms, self._new = float(np.percentile(self._times, _USUAL)), 0
        return self._usual_ms

    def is_slow(self, ms: float) -> bool:
        """Whether the processor was slower than usual; not before enough is known."""
        return len(self._times) >= _LEAST and ms > SLOW * self.usual_ms


class ProcessorSpeed:
    """What a fixed loop took in this process beside each round.

    Times before and after rounds are kept apart: a round leaves other things in the caches, and threads that still wait
    for work beside the loop.
    """

    def __init__(self, timed: Callable[[], float] | None = None) -> None:
        """`timed` runs the loop and returns the ms that it took."""
        self._timed = timed or loop_ms
        self._before, self._after = _Times(), _Times()

    def look_before(self) -> float:
        """Time the loop before a round, in ms."""
        return self._look(self._before)

    def look_after(self) -> float:
        """Time the loop after a round, in ms."""
        return self._look(self._after)

    def _look(self, times: _Times) -> float:
        ms = self._timed()
        times.add(ms)
        return ms

    def slowed(self, rounds: Sequence[Round]) -> list[bool]:
        """Beside which rounds the processor was slower than usual; none of those beside which nobody looked."""
        return [taken.looks is not None and self._is_slow(*taken.looks) for taken in rounds]

    def _is_slow(self, before: float, after: float) -> bool:
        return self._before.is_slow(before) or self._after.is_slow(after)

    def await_usual(self, most_ms: float) -> float:
        """Wait while the processor is slow, for half a second at the most; how many ms.

        What the loop takes meanwhile is not remembered: so many slow times would pass for what is usual.
        """
        most_ms, waited_ms = min(most_ms, _WAIT_MS), 0.0
        while waited_ms < most_ms and self._before.is_slow(took_ms := self._timed()):
            waited_ms += took_ms
        return waited_ms


@cache
def speed_here() -> ProcessorSpeed:
    """That of this process, which learns over all that is measured in it what is usual."""
    return ProcessorSpeed()


def loop_ms() -> float:
    """Run the fixed loop twice, and return the ms of the faster: the first finds the caches as others left them."""
    return min(_once_ms(), _once_ms())


def _once_ms() -> float:
    begun, total = time.perf_counter(), 0
    for number in range(_LOOPS):
        total += number * number
    return (time.perf_counter() - begun) * 1e3
