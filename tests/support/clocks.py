"""A clock that a test sets."""

from __future__ import annotations


class Ticking:
    """Each look at it takes `tick` seconds."""

    def __init__(self, tick: float = 0.0) -> None:
        self.moment, self.tick = 0.0, tick

    def __call__(self) -> float:
        moment, self.moment = self.moment, self.moment + self.tick
        return moment
