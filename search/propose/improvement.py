"""How far a network is expected to push the front out: expected hypervolume improvement (Emmerich et al. 2006).

The front is of a gain, the more the better, and of a cost, the less the better. The gain of what was not tried is a
normal variable, its cost is taken as known, so that the expectation has a closed form: between two costs of the front
the improvement is the expected excess over the best gain there, times the distance of the costs.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from archdsl.search.predict.ranks import Floats


def improvements(
    costs: Floats, gains: Floats, asked: Floats, means: Floats, deviations: Floats, *, limit: float
) -> Floats:
    """Of each network asked for, by its cost and the mean and deviation of its gain: (asked,).

    `costs` and `gains` are of what was tried, one network at least; the area counts up to the cost of `limit` and from
    the least gain on.
    """
    order = np.argsort(costs, kind="stable")
    starts = np.append(-np.inf, costs[order])
    ends = np.append(costs[order], limit)
    levels = np.append(gains.min(), np.maximum.accumulate(gains[order]))
    widths = np.clip(ends - np.maximum(starts, asked[:, None]), 0, None)
    improvement: Floats = (widths * _excess(means[:, None], deviations[:, None], levels)).sum(1)
    return improvement


def _excess(mean: Floats, deviation: Floats, level: Floats) -> Floats:
    """By how much a normal variable is expected to be over a level, what is below it counted as 0."""
    over = mean - level
    distance = over / np.where(deviation > 0, deviation, 1.0)
    density = np.exp(-(distance**2) / 2) / np.sqrt(2 * np.pi)
    improvement: Floats = np.where(deviation > 0, over * ndtr(distance) + deviation * density, np.clip(over, 0, None))
    return improvement
