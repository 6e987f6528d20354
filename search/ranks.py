"""Rank statistics: how alike two orders are, how sure that is, and what an order finds of the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
"""Samples of a bootstrap."""
_EDGES = (0.05, 0.95)

Floats = NDArray[Any]


class Interval(NamedTuple):
    """A figure, and where nine in ten samples drawn with replacement put it."""

    value: float
    low: float
    high: float


def ranks(values: Sequence[float] | Floats) -> Floats:
    """From 1 for the lowest, ties at their mean rank."""
    array = np.asarray(values, float)
    ordered = np.sort(array)
    return (np.searchsorted(ordered, array, "left") + np.searchsorted(ordered, array, "right") + 1) / 2


def spearman(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> float:
    """Spearman's rank correlation, ties at their mean rank; 0 where one side is constant."""
    x, y = ranks(a), ranks(b)
    if x.std() == 0 or y.std() == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])


def kendall(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> float:
    """Kendall's tau-b: of all pairs those in the same order less those in the other; 0 where one side is constant."""
    x, y = (np.sign(np.subtract.outer(side, side)) for side in (np.asarray(a, float), np.asarray(b, float)))
    norm = np.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / norm) if norm else 0.0


def recall(score: Sequence[float], truth: Sequence[float], best: int, kept: int) -> float:
    """Share of the `best` of the truth that are among the `kept` highest scores; a tie is broken as it stands."""
    top = set(np.argsort(-np.asarray(truth, float), kind="stable")[:best].tolist())
    found = set(np.argsort(-np.asarray(score, float), kind="stable")[:kept].tolist())
    return len(top & found) / max(len(top), 1)


def interval(figure: Callable[..., float], *columns: Sequence[float], seed: int = 0, draws: int = DRAWS) -> Interval:
    """A figure of columns, with its bootstrap interval of 90 %: rows are drawn with replacement."""
    arrays = [np.asarray(column, float) for column in columns]
    rng, rows = np.random.default_rng(seed), len(arrays[0])
    drawn = (rng.integers(0, rows, rows) for _ in range(draws))
    found = [figure(*(array[some] for array in arrays)) for some in drawn]
    low, high = np.quantile(found, _EDGES)
    return Interval(figure(*arrays), float(low), float(high))
