"""How long a search may take, and how long it has taken so far, over all resumes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from archdsl.search.config import Settings
from archdsl.search.policy import Policy


def more_time_s(limit_s: float, used_s: float) -> int:
    """A limit under which a search goes on: twice the one that it had, or twice what it has used where that is more.

    The limit counts from the start of the run, so one below the seconds used would end the search at once.
    """
    return math.ceil(2 * max(limit_s, used_s))


class Clock:
    """Seconds spent and left. Without a limit on time or trials there is one on time."""

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        spent: float = 0.0,
        started: float | None = None,
        now: Callable[[], float] | None = None,
        *,
        trials_from: float = 0.0,
    ) -> None:
        """`spent` is what earlier parts took; `started`, a moment of `now`, is when this part began.

        `now` is `time.monotonic` where nothing else is given.
        """
        self._now, self._policy = now or time.monotonic, policy.time
        self._search_share, self._share_with_parent = policy.time.search_share, policy.inheritance.search_share
        self._share_with_library = policy.own_library.search_share
        if settings.parent is not None:
            self.with_parent()
        self._spent, self._started = spent, self._now() if started is None else started
        reading = policy.final_reading
        self.process_s = reading.start_s + reading.rounds_s(settings.budgets.latency_ms or 0.0)
        """About what one fresh process takes that measures a winner at its budget."""
        self._processes = reading.processes
        self._paused: float | None = None
        self._waited = 0.0
        self._retraining_s = 0.0
        self.trials_from = trials_from
        """Seconds after the start at which candidates begin: a parent is prepared before."""
        unlimited = settings.time_s is None and settings.trials is None
        self.limit = self._policy.default_s if unlimited else settings.time_s

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

    def timeout(self, most_s: float) -> float:
        """How long a worker may be silent that may be for `most_s` seconds, and not much beyond the end."""
        left = self.left
        return most_s if left is None else min(most_s, max(left, 0) + self._policy.late_s)

    @property
    def reading_s(self) -> float:
        """Seconds that are kept for the winner's measurement."""
        limit = self.limit or 0.0
        share_s = self._policy.reserve_share * limit
        return min(max(self.process_s, share_s), self._processes * self.process_s, limit / 2)

    @property
    def left_to_train(self) -> float | None:
        """Seconds until a training must have ended, so that the winner can still be trained again and measured."""
        return None if self.left is None else self.left - self.reading_s - self._retraining_s

    def keep_for_retraining(self, seconds: float) -> None:
        """Keep so long for training the likely winner again, whose weights are not here; nothing if time is short."""
        self._retraining_s = 0.0
        left = self.left_to_train
        self._retraining_s = seconds if left is not None and seconds <= left else 0.0

    def begin_trials(self) -> None:
        """The time for candidates is a share of what is left from here on: a parent was prepared before."""
        self.trials_from = round(self.elapsed, 3)

    def with_parent(self) -> None:
        """Candidates get the share of the time that they have where they inherit from a parent."""
        self._search_share = self._share_with_parent

    def with_library(self) -> None:
        """Candidates get the share of the time that they have where the first of them come from a fitted library."""
        self._search_share = self._share_with_library

    @property
    def search_ends_s(self) -> float | None:
        """Seconds after the start at which no further candidate is tried, where no time is kept for a retraining."""
        if self.limit is None:
            return None
        return self.trials_from + self._search_share * max(self.limit - self.trials_from, 0.0)

    @property
    def search_is_over(self) -> bool:
        """Whether no further candidate is to be tried."""
        if self.search_ends_s is None:
            return False
        return self.elapsed > self.search_ends_s or (self._retraining_s > 0 and (self.left_to_train or 0.0) <= 0)
