"""Scores weighed by what this search has trained: ridge regression of accuracies on the ranks of all scores.

Which scores rank networks, and which way round, differs from space to space and with the length of the training; a
fixed ensemble cannot know. A network that was trained is judged by the fit to all others, so that the order is an
honest one: for ridge regression that takes no second fit (the residual over one less its leverage).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from archdsl.search.ranks import Floats, ranks
from archdsl.search.scores.every import NAMES

RIDGE = 10.0
"""Weight of the squared coefficients, the ranks having a variance of 1: as much evidence as ten networks."""
LEAST = 3
"""Trained networks, before there is anything to fit."""


def fitted(seen: Sequence[Mapping[str, float]], accuracies: Sequence[float | None]) -> Floats:
    """The accuracy of each network seen as the others that were trained tell it; all 0 before there are enough."""
    rows = np.array([row for row, accuracy in enumerate(accuracies) if accuracy is not None], dtype=int)
    if len(rows) < LEAST:
        return np.zeros(len(seen))
    truth = np.array([accuracies[row] for row in rows], dtype=float)
    columns = _columns(seen)
    centred = columns - columns[rows].mean(0)
    known = centred[rows]
    inverse = np.linalg.inv(known.T @ known + RIDGE * np.eye(known.shape[1]))
    found: Floats = truth.mean() + centred @ (inverse @ known.T @ (truth - truth.mean()))
    leverage = 1 / len(rows) + np.einsum("ij,jk,ik->i", known, inverse, known)
    found[rows] = truth - (truth - found[rows]) / (1 - leverage)
    return found


def _columns(seen: Sequence[Mapping[str, float]]) -> Floats:
    """(networks, scores): ranks among those seen, of mean 0 and variance about 1."""
    each = [(ranks([scores[name] for scores in seen]) - 0.5) / len(seen) - 0.5 for name in NAMES]
    found: Floats = np.sqrt(12.0) * np.stack(each, axis=1)
    return found
