"""Scores weighed by what this search has trained: ridge regression of accuracies on the ranks of all scores.

Which scores rank networks, and which way round, differs from space to space and with the length of the training; a
fixed ensemble cannot know. A network that was trained is judged by the fit to all others, so that the order is an
honest one: for ridge regression that takes no second fit (the residual over one less its leverage).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from archdsl.search.ranks import Floats, ranks
from archdsl.search.scores.every import NAMES

RIDGE = 10.0
"""Weight of the squared coefficients, the columns having a variance of 1: as much evidence as ten networks."""
LEAST = 3
"""Trained networks, before there is anything to fit."""

Scores = Mapping[str, float]


class Fit(NamedTuple):
    """A regression on the trained of some networks."""

    middle: Floats
    """Of each column over the trained networks."""
    weights: Floats
    mean: float
    """Accuracy of the trained networks."""
    told: Floats
    """Of each network: a trained one's by the fit to all the others."""
    errors: Floats
    """Standard error of what is told of each network, by how far off it is of those left out."""


def fitted(seen: Sequence[Scores], accuracies: Sequence[float | None], *more: Sequence[float] | Floats) -> Floats:
    """The accuracy of each network seen as the others that were trained tell it; all 0 before there are enough.

    `more` are further columns, a number a network, beside the scores.
    """
    columns = np.column_stack([score_columns(seen), *(standardised(column) for column in more)])
    found = fit(columns, accuracies)
    return np.zeros(len(seen)) if found is None else found.told


def fit(columns: Floats, accuracies: Sequence[float | None], ridge: float = RIDGE) -> Fit | None:
    """The regression of accuracies on columns (networks, columns); None before enough were trained."""
    rows = np.array([row for row, accuracy in enumerate(accuracies) if accuracy is not None], dtype=int)
    if len(rows) < LEAST:
        return None
    truth = np.array([accuracies[row] for row in rows], dtype=float)
    middle, mean = columns[rows].mean(0), float(truth.mean())
    centred = columns - middle
    known = centred[rows]
    inverse = np.linalg.inv(known.T @ known + ridge * np.eye(known.shape[1]))
    weights = inverse @ known.T @ (truth - mean)
    told: Floats = mean + centred @ weights
    leverage = 1 / len(rows) + np.einsum("ij,jk,ik->i", centred, inverse, centred)
    left_out = (truth - told[rows]) / (1 - leverage[rows])
    told[rows] = truth - left_out
    return Fit(middle, weights, mean, told, float(np.sqrt(np.mean(left_out**2))) * np.sqrt(leverage))


def score_columns(seen: Sequence[Scores]) -> Floats:
    """(networks, scores): ranks among those seen, of mean 0 and variance about 1."""
    each = [(ranks([scores[name] for scores in seen]) - 0.5) / len(seen) - 0.5 for name in NAMES]
    found: Floats = np.sqrt(12.0) * np.stack(each, axis=1)
    return found


def standardised(column: Sequence[float] | Floats) -> Floats:
    """Of mean 0 and variance 1; all 0 where it is constant."""
    values = np.asarray(column, dtype=float)
    found: Floats = (values - values.mean()) / (values.std() or 1.0)
    return found
