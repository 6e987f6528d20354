"""How fast the processor runs beside each round, which neither the clock nor CPU time tells.

A neighbour on the same physical core, a lower clock and heat slow a process down without taking CPU time from it. A
fixed loop of Python's own arithmetic, some 30 microseconds, is timed between rounds: where it takes longer than usual
in this process, so does everything else.
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


class ProcessorSpeed:
    """What a fixed loop took in this process, each time that it was looked at, in ms."""

    def __init__(self, timed: Callable[[], float] | None = None) -> None:
        """`timed` runs the loop and returns the ms that it took."""
        self._timed = timed or loop_ms
        self._times: deque[float] = deque(maxlen=_MOST)
        self._usual_ms, self._new = 0.0, 0

    def look(self) -> float:
        """Time the loop, in ms."""
        self._times.append(self._timed())
        self._new += 1
        return self._times[-1]

    def is_slow(self, ms: float) -> bool:
        """Whether a time of the loop shows that the processor was slower than usual; not before enough is known."""
        return len(self._times) >= _LEAST and ms > SLOW * self.usual_ms

    def slowed(self, rounds: Sequence[Round]) -> list[bool]:
        """Beside which rounds the processor was slow; none of those beside which nobody looked."""
        return [taken.loop_ms is not None and self.is_slow(taken.loop_ms) for taken in rounds]

    @property
    def usual_ms(self) -> float:
        """What the loop takes in this process while nothing slows it; computed anew whenever a tenth of it is new."""
        if self._new >= 0.1 * len(self._times):
            self._usual_ms, self._new = float(np.percentile(self._times, _USUAL)), 0
        return self._usual_ms

    def await_usual(self, most_ms: float) -> float:
        """Wait while the processor is slow, for half a second at the most; how many ms.

        What the loop takes meanwhile is not remembered: so many slow times would pass for what is usual.
        """
        most_ms, waited_ms = min(most_ms, _WAIT_MS), 0.0
        while waited_ms < most_ms and self.is_slow(took_ms := self._timed()):
            waited_ms += took_ms
        return waited_ms


@cache
def speed_here() -> ProcessorSpeed:
    """That of this process, which learns over all that is measured in it what is usual."""
    return ProcessorSpeed()


def loop_ms() -> float:
    """Run the fixed loop, and return the ms that it took."""
    begun, total = time.perf_counter(), 0
    for number in range(_LOOPS):
        total += number * number
    return (time.perf_counter() - begun) * 1e3
