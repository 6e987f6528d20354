"""How far a training is, in steps or in time, and the learning rate that follows from it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from archdsl.training.named_recipes import Recipe


@dataclass
class Clock:
    """The share of a training that is done: of its steps, or of its seconds where it has a limit, the larger one."""

    steps: int
    limit_s: float | None
    """Seconds of training, those before an interruption counted; None: no limit."""
    before_s: float = 0.0
    """Seconds that were spent before this process."""
    started: float = field(default_factory=time.monotonic)
    share: float = 0.0
    """As of the last call of `advance`."""

    @property
    def seconds(self) -> float:
        """Spent so far."""
        return self.before_s + time.monotonic() - self.started

    def share_at(self, done: int) -> float:
        """0 to 1, after so many steps."""
        of_time = self.seconds / self.limit_s if self.limit_s is not None else 0.0
        return min(1.0, max(done / self.steps, of_time))


@dataclass(frozen=True)
class Rates:
    """A linear rise, then half a cosine down (arXiv:1608.03983)."""

    clock: Clock
    warmup: float
    """Share of the training in which the rate rises."""
    first: float
    """The rate that the rise begins with, and the one that the cosine ends at; a group's peak may be lower."""
    last: float

    def __call__(self, done: int, peak: float) -> float:
        """The rate of a group after so many steps."""
        share = self.clock.share
        if share < self.warmup:
            first = min(self.first, peak)
            return first + (peak - first) * share / self.warmup
        last = min(self.last, peak)
        falling = (share - self.warmup) / (1 - self.warmup)
        return last + (peak - last) * 0.5 * (1 + math.cos(math.pi * falling))


def rates_of(recipe: Recipe, clock: Clock, batch: int, factor: float) -> Rates:
    """Of a recipe at a batch of so many images; `factor` is by how much a user's peak differs from the recipe's."""
    first, last = recipe.ends(batch)
    return Rates(clock, recipe.warmup, first * factor, last * factor)
