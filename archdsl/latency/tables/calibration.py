"""From the sum of a network's parts to its time, fitted on whole networks; and how good the fit is on others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_RIDGE = 1e-5
_CLEARLY = 0.8


class Sum(NamedTuple):
    """What a network's time is told from: the sum of its parts in ms, how many they are, its parameters in millions."""

    ms: float
    parts: int
    params_m: float


class Calibration(NamedTuple):
    """`ms * factor + parts * part_ms + params_m * param_ms`: parts in a network are slower than their sum, or faster.

    factor: parts taken at their quiet moments one by one, where a network has to find one for all of it. part_ms: what
    happens between parts. param_ms: weights that do not stay in the caches from one pass to the next.
    """

    factor: float
    part_ms: float
    param_ms: float

    def __call__(self, total: Sum) -> float:
        """Predicted ms a batch."""
        return total.ms * self.factor + total.parts * self.part_ms + total.params_m * self.param_ms


PLAIN = Calibration(1.0, 0.0, 0.0)
_Fit = Callable[[Sequence[Sum], Sequence[float]], Calibration]


def fitted(sums: Sequence[Sum], measured: Sequence[float]) -> Calibration:
    """The calibration by one factor, or by all three terms where these are clearly better on networks left out.

    Of few networks on a noisy machine three terms learn the noise; one, a median of ratios, hardly does.
    """
    return _chosen(sums, measured)[0](sums, measured) if sums else PLAIN


def error(sums: Sequence[Sum], measured: Sequence[float]) -> float:
    """The mean relative error of what `fitted` fits, on networks left out; 0 of none."""
    return _chosen(sums, measured)[1] if sums else 0.0


def _chosen(sums: Sequence[Sum], measured: Sequence[float]) -> tuple[_Fit, float]:
    """The fit by one factor, or by all terms where that is clearly better; and its error on networks left out."""
    simple, full = (_left_out(fit, sums, measured) for fit in (_factor, _terms))
    return (_terms, full) if full < _CLEARLY * simple else (_factor, simple)


def _factor(sums: Sequence[Sum], measured: Sequence[float]) -> Calibration:
    """The median ratio of a network's time to the sum of its parts."""
    return Calibration(float(np.median([ms / total.ms for total, ms in zip(sums, measured, strict=True)])), 0.0, 0.0)


def _terms(sums: Sequence[Sum], measured: Sequence[float]) -> Calibration:
    """All three by least squared relative error, lightly held to the plain sum."""
    x, y = np.asarray(sums, dtype=float), np.asarray(measured)
    scale = x.mean(axis=0)
    scale[scale == 0] = 1.0
    rows = x / scale / y[:, None]
    start = np.asarray(PLAIN) * scale
    gram = rows.T @ rows + _RIDGE * np.trace(rows.T @ rows) * np.eye(3)
    solved: NDArray[np.float64] = start + np.linalg.solve(gram, rows.T @ (1 - rows @ start))
    return Calibration(*(float(value) for value in solved / scale))


def _left_out(fit: _Fit, sums: Sequence[Sum], measured: Sequence[float]) -> float:
    """The mean relative error on each network of a fit to all the others."""
    errors = []
    for index, (total, ms) in enumerate(zip(sums, measured, strict=True)):
        others = fit(
            [*sums[:index], *sums[index + 1 :]] or sums, [*measured[:index], *measured[index + 1 :]] or measured
        )
        errors.append(abs(others(total) / ms - 1))
    return sum(errors) / len(errors)


class Accuracy(NamedTuple):
    """How far predictions lie from measurements, relative, and how well they rank them."""

    networks: int
    mape: float
    p95: float
    worst: float
    bias: float
    kendall_tau: float


def accuracy(predicted: Sequence[float], measured: Sequence[float]) -> Accuracy:
    """The errors of predictions; all of them 0 and tau 1 where there is nothing to compare."""
    if not measured:
        return Accuracy(0, 0.0, 0.0, 0.0, 0.0, 1.0)
    relative = np.asarray(predicted) / np.asarray(measured) - 1
    errors = np.abs(relative)
    p95 = float(np.percentile(errors, 95))
    return Accuracy(
        len(errors),
        float(errors.mean()),
        p95,
        float(errors.max()),
        float(relative.mean()),
        kendall_tau(predicted, measured),
    )


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's tau-b: 1 where both rank alike, -1 where in reverse; 0 where one of them does not rank at all."""
    from scipy.stats import kendalltau

    if len(first) < 2:  # scipy warns of it
        return 0.0
    tau = float(kendalltau(first, second).statistic)
    return 0.0 if math.isnan(tau) else tau
