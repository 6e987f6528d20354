"""A training that must end by a moment: its schedule is compressed as far as the steps so far show to be needed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

T = TypeVar("T")

EVALUATION = 0.35
"""Steps that an evaluation of as many images takes as long as."""
_WINDOW = 0.05
"""Share of the steps, 10 at least, over which the seconds of a step are averaged."""
_UNTIMED = 3
"""Steps after which the end is projected; the first one is slower than others and is not counted."""


@dataclass(frozen=True)
class Deadline:
    """A moment by which a training ends, with what follows its last step."""

    moment: float
    """Of `now`."""
    least_steps: int | None = None
    """To which it may be shortened; None: it is not shortened, and what does not end by then is not finished."""
    now: Callable[[], float] = time.monotonic

    @property
    def left_s(self) -> float:
        """Seconds until then; negative once it is past."""
        return self.moment - self.now()

    def sooner(self, seconds: float) -> Deadline:
        """So many seconds before, for something else that follows."""
        return replace(self, moment=self.moment - seconds)

    def enough(self, steps: int) -> int:
        """Steps after which a training of `steps` counts as finished."""
        return steps if self.least_steps is None else min(steps, max(self.least_steps, 1))


class Schedule:
    """How far a training is, 0 to 1, from which its learning rate follows.

    This is the share of its steps that is done. Where these will not end in time, at the pace of the last ones, what is
    left of the share is spread over the steps that still fit, so that the rate falls to its end by the deadline.
    """

    def __init__(self, steps: int, deadline: Deadline | None = None, after: float = 0.0) -> None:
        """`after` is what follows the last step, in steps that take as long."""
        self._steps, self._deadline, self._after = steps, deadline, after
        self._keep = math.exp(-1 / max(10.0, _WINDOW * steps))
        self._sum = self._weight = 0.0
        self._before = math.nan
        self._begun = 0
        self._is_compressed = False
        self.share = 0.0
        """Before the step that began last."""

    def goes_on(self) -> bool:
        """Whether another step begins."""
        done, fit = self._begun, self._that_fit()
        if done >= self._steps or fit < 1:
            return False
        left = min(self._steps - done, fit)
        self._is_compressed = self._is_compressed or left < self._steps - done
        if self._is_compressed and done:
            self.share += (1 - self.share) / (left + 1)
        else:
            self.share = done / self._steps
        self._begun += 1
        return True

    def _that_fit(self) -> float:
        """Steps that there is time for."""
        deadline, done = self._deadline, self._begun
        if deadline is None:
            return math.inf
        now = deadline.now()
        if done > 1:
            self._sum = self._keep * self._sum + (now - self._before)
            self._weight = self._keep * self._weight + 1
        self._before = now
        left_s = deadline.moment - now
        if left_s < 0:
            return 0.0
        if deadline.least_steps is None or done < _UNTIMED or self._sum <= 0:
            return math.inf
        return left_s / (self._sum / self._weight) - self._after


def in_time(batches: Iterator[T], schedule: Schedule) -> Iterator[T]:
    """Batches as long as the schedule goes on."""
    while schedule.goes_on():
        yield next(batches)
