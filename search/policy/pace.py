"""How long a network is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.latency.rounds import Pace as PaceOptions


@dataclass(frozen=True)
class Pace:
    """How long a network is measured; None is the default of `archdsl.measure`."""

    rounds: int
    """At the least, where there is time for them."""
    warmup_s: float
    """Before the first round."""
    settle_s: float
    """By which the warm-up goes on while the device has not settled."""
    time_limit_s: float | None = None
    """After which no round begins, the warm-up counted."""
    least_s: float | None = None
    """Of rounds."""
    sample_ms: float | None = None
    """Of a round, at the least."""

    def options(self) -> PaceOptions:
        """As `archdsl.measure` takes it."""
        options: PaceOptions = {"rounds": self.rounds, "warmup_s": self.warmup_s, "settle_s": self.settle_s}
        if self.time_limit_s is not None:
            options["time_limit_s"] = self.time_limit_s
        if self.least_s is not None:
            options["least_s"] = self.least_s
        if self.sample_ms is not None:
            options["sample_ms"] = self.sample_ms
        return options
