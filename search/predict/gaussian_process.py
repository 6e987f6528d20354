"""A Gaussian process: what is expected of points that were not tried, and how sure that is.

How choices go together decides more than each does by itself, so that neighbours say more than weights do: of the 252
networks of `benchmarks/search_quality` the process ranks the accuracies of those left out at 0.70 after 40 trainings
and 0.77 after 80, ridge regression on the choices at 0.59 and 0.62 (Spearman).

Rows are points, and columns what they are, of about mean 0 and variance 1. The mean of the process is unknown, its
kernel Matern's with smoothness 5/2 (Rasmussen and Williams 2006, sections 2.7 and 4.2.1) over the distance divided by
the root of the number of columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from archdsl.search.predict.ranks import Floats


class Posterior(NamedTuple):
    """The process at the points asked for, given the values that are known: both (points,)."""

    means: Floats
    deviations: Floats
    """How unsure the mean is, in its unit; the noise of a value not counted."""

    def chance_below(self, limit: float) -> Floats:
        """The probability that each is at most the limit: (points,)."""
        distance = limit - self.means
        chance: Floats = np.where(
            self.deviations > 0, ndtr(distance / np.where(self.deviations > 0, self.deviations, 1.0)), distance >= 0
        )
        return chance


def posterior(rows: Floats, values: Floats, asked: Floats, noise: float) -> Posterior:
    """The posterior at the rows asked for; `noise` is a value's, as a share of the variance over points.

    Shapes: (known, columns), (known,), (asked, columns). The variance of the process is the likeliest one.
    """
    extended = np.append(values, 0.0)
    near = np.column_stack([_kernel(asked, rows), np.ones(len(asked))])
    solved = np.linalg.solve(_system(rows, noise), np.column_stack([extended, near.T]))
    variance = max(float(extended @ solved[:, 0]), 0.0) / max(len(values) - 1, 1)
    unexplained = 1 - np.einsum("ij,ji->i", near, solved[:, 1:])
    return Posterior(near @ solved[:, 0], np.sqrt(variance * np.clip(unexplained, 0, None)))


def leave_one_out(rows: Floats, values: Floats, noise: float) -> Floats:
    """The mean at each known row by the process of all others (Dubrule 1983): (known,)."""
    inverse = np.linalg.inv(_system(rows, noise))
    extended = np.append(values, 0.0)
    means: Floats = (extended - inverse @ extended / np.diag(inverse))[:-1]
    return means


def _system(rows: Floats, noise: float) -> Floats:
    """The covariances of the known values, with a row and a column for the unknown mean."""
    size = len(rows)
    system = np.ones((size + 1, size + 1))
    system[:size, :size] = _kernel(rows, rows) + noise * np.eye(size)
    system[size, size] = 0
    return system


def _kernel(first: Floats, second: Floats) -> Floats:
    """The correlation of every row of one with every row of the other: (first, second)."""
    square = (first**2).sum(1)[:, None] + (second**2).sum(1)[None, :] - 2 * first @ second.T
    scaled = np.sqrt(5 * np.clip(square, 0, None) / max(first.shape[1], 1))
    correlations: Floats = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
    return correlations
