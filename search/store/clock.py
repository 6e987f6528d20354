"""How long a search may take, and how long it has taken so far, over all resumes."""

from __future__ import annotations

import time
from collections.abc import Callable

from archdsl.search.config import DEFAULT_TIME_S, Settings

SEARCH_SHARE = 0.75
"""Share of the time that the search itself takes; the rest is for training the finalists and measuring the winner."""
LEAST_TIME_S = 20.0
"""Starting, one short training and one fresh process for the winner take about this long, or longer."""
PROCESSES, ROUNDS, LEAST_S = 3, 70, 3.0
"""What the winner is measured with: fresh processes, and the rounds and seconds of each at the least."""
_RESERVE_SHARE = 0.25
"""Of a short search's time, kept for the winner's measurement: what is left must do for one training."""
_START_S = 6.0
"""About what starting a fresh process and warming it up take."""


class Clock:
    """Seconds spent and left. Without a limit on time or trials there is one on time, of ten minutes."""

    def __init__(
        self,
        settings: Settings,
        spent: float = 0.0,
        started: float | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        """`spent` is what earlier parts took; `started`, a moment of `now`, is when this part began.

        `now` is `time.monotonic` where nothing else is given.
        """
        self._now = now or time.monotonic
        self._spent, self._started = spent, self._now() if started is None else started
        self.process_s = _START_S + max(LEAST_S, ROUNDS * (settings.latency_budget_ms or 0.0) / 1e3)
        """About what one fresh process takes that measures a winner at its budget."""
        self._paused: float | None = None
        self._waited = 0.0
        unlimited = settings.time_s is None and settings.trials is None
        self.limit = DEFAULT_TIME_S if unlimited else settings.time_s

    @property
    def elapsed(self) -> float:
        """Seconds since the start, those of earlier parts included; waiting for the device is not."""
        return self._spent + self._now() - self._started - self.waited

    @property
    def waited(self) -> float:
        """Seconds of this part in which the device was not free to measure on."""
        return self._waited + (0.0 if self._paused is None else self._now() - self._paused)

    def pause(self) -> None:
        """Time does not count from here on: another process measures on the device."""
        if self._paused is None:
            self._paused = self._now()

    def go_on(self) -> None:
        """Time counts again."""
        self._waited, self._paused = self.waited, None

    @property
    def left(self) -> float | None:
        """Seconds until everything must be over; None without a limit, negative once it is past."""
        return None if self.limit is None else self.limit - self.elapsed

    @property
    def left_to_train(self) -> float | None:
        """Seconds until a training must have ended, so that the winner can still be measured."""
        limit = self.limit or 0.0
        reserve = min(max(self.process_s, _RESERVE_SHARE * limit), PROCESSES * self.process_s, limit / 2)
        return None if self.left is None else self.left - reserve

    @property
    def search_is_over(self) -> bool:
        """Whether no further candidate is to be tried."""
        return self.limit is not None and self.elapsed > self.limit * SEARCH_SHARE
