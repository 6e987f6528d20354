"""When the building of a library ends early: its time is over, or it is so slow that too little would be finished."""

from __future__ import annotations

import time
from collections.abc import Callable


class TimeLimit:
    """The time of one building, which begins when this is made."""

    def __init__(self, seconds: float | None, least: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`least` alternatives make a library worth its time; without seconds there is no limit."""
        self.seconds, self.least = seconds, least
        self._clock, self._started = clock, clock()

    def is_over(self, finished: int) -> bool:
        """Whether the time is over, or half of it is and twice as many as are `finished` would be too few."""
        if self.seconds is None:
            return False
        spent = self._clock() - self._started
        return spent >= self.seconds or (spent >= self.seconds / 2 and 2 * finished < self.least)
