"""The running training loss: what a training that is under way tells of its end.

An exponential moving average over a tenth of the training's steps, without the bias of its start. On small data it
ranks networks better than their early accuracy does: it is a mean over many batches and costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

MARKS = 20
"""Equal shares of the steps after each of which the running loss is noted."""
_WINDOW = 0.1


def ends_of_marks(steps: int) -> list[int]:
    """The step after which each mark is noted; of fewer steps than marks, several marks end with one step."""
    return [max(1, math.ceil(mark * steps / MARKS)) for mark in range(1, MARKS + 1)]


class Running:
    """The average of the losses so far; recent ones weigh more, by a factor of e over a tenth of `steps`.

    `limits` are the highest averages, by mark, with which the training goes on.
    """

    def __init__(self, steps: int, limits: Mapping[int, float] | None = None) -> None:
        self._keep = math.exp(-1 / max(1.0, _WINDOW * steps))
        self._ends = ends_of_marks(steps)
        self._limits = limits or {}
        self._step, self._sum, self._weight = 0, 0.0, 0.0
        self.marks: list[float] = []
        """The average at each mark that was reached."""
        self.halted: int | None = None
        """The mark at which the average was over its limit."""

    def add(self, loss: float) -> bool:
        """One step's loss; whether the training goes on."""
        self._step += 1
        self._sum = self._keep * self._sum + loss
        self._weight = self._keep * self._weight + 1
        while len(self.marks) < MARKS and self._ends[len(self.marks)] == self._step:
            self.marks.append(self._sum / self._weight)
            mark = len(self.marks)
            if self.halted is None and self.marks[-1] > self._limits.get(mark, math.inf):
                self.halted = mark
        return self.halted is None
