"""Accuracies told from those of other networks: a Gaussian process on what networks are.

How choices go together decides more than each does by itself, so that neighbours tell more than weights do: of the 252
networks of `benchmarks/search_quality` the process ranks those left out at 0.70 after 40 trainings and 0.77 after 80,
ridge regression on the choices at 0.59 and 0.62 (Spearman).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from archdsl.search.predict.ranks import Floats

NOISE = 0.1
"""Variance of a training's seed, as a share of the variance over networks."""
MOST = 1000
"""Trained networks that are worth to be looked at, the last ones: time grows with their cube."""


class Told(NamedTuple):
    """Of each network that was asked for."""

    means: Floats
    deviations: Floats
    """How unsure the mean is, in its unit; the noise of a training's seed not counted."""

    def chance_below(self, limit: float) -> Floats:
        """How likely each is below a limit."""
        distance = limit - self.means
        found: Floats = np.where(
            self.deviations > 0, ndtr(distance / np.where(self.deviations > 0, self.deviations, 1.0)), distance >= 0
        )
        return found


def told(trained: Floats, accuracies: Floats, asked: Floats) -> Told:
    """The posterior at the rows asked for.

    Rows are networks and columns have about mean 0 and variance 1: (trained, columns), (trained,), (asked, columns).
    The mean is unknown, the kernel Matern's with smoothness 5/2 (Rasmussen and Williams 2006, sections 2.7 and 4.2.1)
    over the distance divided by the root of the number of columns; the process' variance is the likeliest one.
    """
    known = np.append(accuracies, 0.0)
    near = np.column_stack([_kernel(asked, trained), np.ones(len(asked))])
    solved = np.linalg.solve(_system(trained), np.column_stack([known, near.T]))
    variance = max(float(known @ solved[:, 0]), 0.0) / max(len(accuracies) - 1, 1)
    left = 1 - np.einsum("ij,ji->i", near, solved[:, 1:])
    return Told(near @ solved[:, 0], np.sqrt(variance * np.clip(left, 0, None)))


def left_out(trained: Floats, accuracies: Floats) -> Floats:
    """The mean at each trained network by the process of all others (Dubrule 1983)."""
    inverse = np.linalg.inv(_system(trained))
    known = np.append(accuracies, 0.0)
    found: Floats = (known - inverse @ known / np.diag(inverse))[:-1]
    return found


def _system(trained: Floats) -> Floats:
    """The covariances of what was trained, with a row and a column for the unknown mean."""
    size = len(trained)
    found = np.ones((size + 1, size + 1))
    found[:size, :size] = _kernel(trained, trained) + NOISE * np.eye(size)
    found[size, size] = 0
    return found


def _kernel(one: Floats, other: Floats) -> Floats:
    """The correlation of every row of one with every row of the other."""
    square = (one**2).sum(1)[:, None] + (other**2).sum(1)[None, :] - 2 * one @ other.T
    scaled = np.sqrt(5 * np.clip(square, 0, None) / max(one.shape[1], 1))
    found: Floats = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
    return found
