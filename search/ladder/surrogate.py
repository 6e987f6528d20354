"""What accuracy a network may reach, told from those that were trained: a Gaussian process on its choices.

How two choices go together decides more than either does by itself, so that neighbours tell more than weights do: of
the 252 networks of `benchmarks/search_quality` the process ranks those left out at 0.69 after 40 trainings and 0.78
after 80, ridge regression on the same columns at 0.59 and 0.62 (Spearman).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from archdsl.search.ranks import Floats

NOISE = 0.1
"""Variance of a training's seed, as a share of the variance over networks."""


class Told(NamedTuple):
    """Of each network that was asked for."""

    means: Floats
    deviations: Floats
    """How unsure the mean is, in its unit; the noise of a training's seed not counted."""


def told(trained: Floats, accuracies: Floats, asked: Floats) -> Told:
    """The posterior at the rows asked for.

    Rows are networks and columns have about mean 0 and variance 1: (trained, columns), (trained,), (asked, columns).
    The kernel is Matern's with smoothness 5/2 (Rasmussen and Williams 2006, equation 4.17) over the distance divided
    by the root of the number of columns; the process' variance is the likeliest one.
    """
    mean = accuracies.mean()
    known = _kernel(trained, trained) + NOISE * np.eye(len(trained))
    across = _kernel(asked, trained)
    solved = np.linalg.solve(known, np.column_stack([accuracies - mean, across.T]))
    variance = (accuracies - mean) @ solved[:, 0] / len(accuracies)
    left = 1 - np.einsum("ij,ji->i", across, solved[:, 1:])
    return Told(mean + across @ solved[:, 0], np.sqrt(variance * np.clip(left, 0, None)))


def _kernel(one: Floats, other: Floats) -> Floats:
    """The correlation of every row of one with every row of the other."""
    square = (one**2).sum(1)[:, None] + (other**2).sum(1)[None, :] - 2 * one @ other.T
    scaled = np.sqrt(5 * np.clip(square, 0, None) / one.shape[1])
    found: Floats = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
    return found
