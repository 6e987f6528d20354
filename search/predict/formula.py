"""The latency of an exported network by a formula: `ms = a * MACs + b * operators`, neither coefficient negative.

In the runtimes that run exported files the MACs decide, and each operator of the graph costs a call. Two coefficients
can be fitted to a handful of networks, where the regression of `latency_model.py` needs many; and since neither is
negative, a larger network is never predicted to be faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from archdsl.cost import Count, count
from archdsl.language.document import Spec
from archdsl.search.policy.predict import FormulaPolicy
from archdsl.search.predict.operators import operators
from archdsl.search.predict.ranks import Floats

_EXACTLY = 100.0
"""Weight of the network that a formula passes through."""


class Terms(NamedTuple):
    """What a latency is predicted from."""

    macs: float
    """Multiply-adds of one image."""
    operators: float
    """Of the exported graph, about (`operators.py`)."""


def terms_of(spec: Spec, counted: Count | None = None) -> Terms:
    """The terms of a network, without building or exporting it; `counted` is its cost, where it is known already."""
    return Terms(float((counted or count(spec)).macs), operators(spec))


class Formula(NamedTuple):
    """The fitted coefficients, and how far the formula was off."""

    ms_per_mmac: float
    """ms of a million MACs of one image, for the batch that was measured."""
    ms_per_100_operators: float
    errors: tuple[float, ...]
    """|predicted / measured - 1| of each network by a fit to all others, from least to most."""

    @property
    def median_error(self) -> float:
        """Of the networks left out."""
        return float(np.median(self.errors))

    def error_at(self, share: float) -> float:
        """The error that so large a share of the networks left out stays below."""
        return float(np.quantile(self.errors, share))

    def predict(self, terms: Terms) -> float:
        """The ms of a network."""
        return self.ms_per_mmac * terms.macs / 1e6 + self.ms_per_100_operators * terms.operators / 100

    def __str__(self) -> str:
        """The coefficients with their units, and the error."""
        coefficients = (
            f"{self.ms_per_mmac:.3g} ms per million MACs, {self.ms_per_100_operators:.3g} ms per 100 operators"
        )
        return f"{coefficients}, median error {100 * self.median_error:.0f} % on {len(self.errors)} networks left out"


def fitted(measured: Sequence[tuple[Terms, float]], policy: FormulaPolicy) -> Formula | None:
    """The formula with the least squared relative error on networks and their ms; None for fewer than `policy.enough`.

    Raises:
        ValueError: a latency is not above 0.
    """
    if len(measured) < policy.enough:
        return None
    rows = np.array([(terms.macs / 1e6, terms.operators / 100) for terms, _ in measured])
    ms = np.array([latency for _, latency in measured])
    if not (ms > 0).all():
        raise ValueError(f"latencies must be above 0 ms; got {min(ms):g}")
    scaled = rows / ms[:, None]  # so that what is left over is a relative error
    errors = [abs(float(scaled[left] @ _solved(np.delete(scaled, left, axis=0))) - 1) for left in range(len(ms))]
    per_mmac, per_100_operators = _solved(scaled)
    return Formula(per_mmac, per_100_operators, tuple(sorted(errors)))


def corrected(
    prior: Formula, whole: tuple[Terms, float], measured: Sequence[tuple[Terms, float]], trust: float
) -> Formula:
    """The formula through one measured network, and as near to a few others as its coefficients can be believed.

    Args:
        prior: the formula without them; the ratio of its coefficients counts.
        whole: the terms and the ms that it is to pass through.
        measured: those of others.
        trust: weight of a coefficient of the prior, scaled to `whole`, beside one of these.
    """
    scale = whole[1] / prior.predict(whole[0])
    expected = (scale * prior.ms_per_mmac, scale * prior.ms_per_100_operators)
    known = [(_EXACTLY, whole), *((1.0, each) for each in measured)]
    rows = [(weight * terms.macs / 1e6 / ms, weight * terms.operators / 100 / ms) for weight, (terms, ms) in known]
    rows += [(trust / expected[0], 0.0), (0.0, trust / expected[1])]
    wanted = [*(weight for weight, _ in known), trust, trust]
    coefficients, _ = nnls(np.array(rows), np.array(wanted))
    return Formula(float(coefficients[0]), float(coefficients[1]), prior.errors)


def _solved(scaled: Floats) -> tuple[float, float]:
    """The two coefficients; rows are the terms over the ms measured."""
    coefficients, _ = nnls(scaled, np.ones(len(scaled)))
    return float(coefficients[0]), float(coefficients[1])
