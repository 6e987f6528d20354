"""Rank statistics: how alike two orders are, how sure that is, and what an order finds of the best.

Correlations take many draws at once, (..., n), and are 0 where a side is constant; scipy's take one pair of columns and
give nan there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, rankdata

DRAWS = 2000
"""Samples of a bootstrap."""
_LEVEL = 0.9

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A figure, and where nine in ten samples drawn with replacement put it."""

    value: float
    low: float
    high: float


def ranks(values: Sequence[float] | Floats) -> Floats:
    """(..., n) -> (..., n): from 1 for the lowest, ties at their mean rank."""
    ranked: Floats = rankdata(np.asarray(values, float), axis=-1)
    return ranked


def standardised(column: Sequence[float] | Floats) -> Floats:
    """Of mean 0 and variance 1; all 0 where it is constant."""
    values = np.asarray(column, dtype=float)
    centred, deviation = values - values.mean(), float(values.std())
    scaled: Floats = centred / deviation if deviation > 1e-9 * float(np.abs(values).max()) else np.zeros_like(values)
    return scaled


def spearman(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> Floats:
    """Spearman's rank correlation of (..., n) and (..., n) -> (...): ties at their mean rank; 0 where one side is
    constant.
    """
    x, y = (np.asarray(side - side.mean(-1, keepdims=True)) for side in (ranks(a), ranks(b)))
    return _normed((x * y).sum(-1), (x * x).sum(-1) * (y * y).sum(-1))


def kendall(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> Floats:
    """Kendall's tau-b of (..., n) and (..., n) -> (...): of all pairs those in the same order less those in the other.

    0 where one side is constant.
    """
    sides = (np.asarray(side, float) for side in (a, b))
    x, y = (np.sign(side[..., :, None] - side[..., None, :]) for side in sides)
    return _normed((x * y).sum((-1, -2)), (x * x).sum((-1, -2)) * (y * y).sum((-1, -2)))


def _normed(product: Floats, squares: Floats) -> Floats:
    """A product by the root of its sides' squares; 0 where that is 0."""
    size = np.sqrt(squares)
    quotient: Floats = np.divide(product, size, out=np.zeros_like(size), where=size > 0)
    return quotient


def recall(score: Sequence[float], truth: Sequence[float], best: int, kept: int) -> float:
    """Share of the `best` of the truth that are among the `kept` highest scores; a tie is broken as it stands."""
    top = set(np.argsort(-np.asarray(truth, float), kind="stable")[:best].tolist())
    chosen = set(np.argsort(-np.asarray(score, float), kind="stable")[:kept].tolist())
    return len(top & chosen) / max(len(top), 1)


def interval(
    figure: Callable[..., Floats], *columns: Sequence[float] | Floats, seed: int = 0, draws: int = DRAWS
) -> Interval:
    """A figure of columns (n,), with its bootstrap interval of 90 % (percentiles): rows are drawn with replacement.

    The figure is asked for all draws at once, of columns (draws, n). Of one row the interval is the figure itself.
    """
    arrays = [np.asarray(column, float) for column in columns]
    value = float(figure(*arrays))
    if len(arrays[0]) < 2:  # scipy refuses it
        return Interval(value, value, value)
    drawn = bootstrap(
        arrays,
        lambda *samples, axis: figure(*samples),
        n_resamples=draws,
        paired=True,
        vectorized=True,
        confidence_level=_LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(value, float(drawn.low), float(drawn.high))
