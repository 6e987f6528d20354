"""Statistics of samples, and the ratio of two runners measured in the same rounds."""

from __future__ import annotations

from typing import NamedTuple

from archdsl.errors import MeasureError, one_of
from archdsl.timing.estimate import STATS as STATS
from archdsl.timing.estimate import percentile as percentile


class Ratio(NamedTuple):
    """A ratio of two latencies and the 95 % interval that it lies in; below 1 the first of the two is faster."""

    value: float
    low: float
    high: float


def ratio(samples: tuple[float, ...], base: tuple[float, ...], stat: str, resamples: int = 1000) -> Ratio:
    """Ratio of a statistic of two runners measured in the same rounds, with its paired-bootstrap interval.

    Rounds are drawn with replacement, the same for both, since what disturbs a round disturbs both. Seeded.
    """
    import numpy as np

    above, below = np.asarray(samples), np.asarray(base)
    rounds = np.random.default_rng(0).integers(0, len(above), (resamples, len(above)))
    percent = STATS[checked_stat(stat)]
    drawn = np.percentile(above[rounds], percent, axis=1) / np.percentile(below[rounds], percent, axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Ratio(float(np.percentile(above, percent) / np.percentile(below, percent)), float(low), float(high))


def default_stat(device: str) -> str:
    """The median, on every device."""
    return "p50"


def checked_stat(name: str) -> str:
    """The statistic's name; raises MeasureError where there is none of that name."""
    if name not in STATS:
        raise MeasureError(f"statistic must be {one_of(list(STATS))}; got '{name}'")
    return name
