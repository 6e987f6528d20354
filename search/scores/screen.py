"""Whether a network scores too low to be trained, by what this search has learned.

The scores earn their place in each search anew. Two orders stand for it: their ensemble as it is, and the scores as
fitted to the accuracies measured here; the one that ranks these better is used, only while its rank correlation with
them is high enough, and then only against the lowest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from archdsl.search.ranks import Floats, spearman
from archdsl.search.scores.ensemble import MEMBERS, ensemble
from archdsl.search.scores.every import NAMES
from archdsl.search.scores.fitted import fitted

ENOUGH = 10
"""Trained networks before the scores are trusted or not."""
LEAST_CORRELATION = 0.5
LOWEST_SHARE = 0.2
"""Share of the networks seen that score too low to be trained, while the scores are trusted."""

Scores = Mapping[str, float]


class Order(NamedTuple):
    """One way to rank the networks seen, and how well it ranks those that were trained."""

    name: str
    values: Floats
    correlation: float


class Screen:
    """The zero-cost rung. Scores that are not complete, as of an older run, teach nothing."""

    def __init__(self) -> None:
        self._known: list[tuple[Scores, float | None]] = []  # one list, as workers read it while it grows

    def learn(self, scores: Scores, accuracy: float | None) -> None:
        """The scores of a network that came as far as that, and its proxy accuracy if it was trained."""
        if all(name in scores for name in NAMES):
            self._known.append((scores, accuracy))

    @property
    def correlation(self) -> float | None:
        """Spearman's rank correlation of the better order and proxy accuracy here; None before enough were trained."""
        best = best_order(self._known)
        return None if best is None else best.correlation

    @property
    def reason(self) -> str:
        """Why a network that scores too low falls."""
        best = best_order(self._known)
        assert best is not None
        return f"among the lowest by {best.name}, which rank accuracy here at {best.correlation:.2f}"

    def too_low(self, scores: Scores) -> bool:
        """Whether a network is among the lowest seen here, itself included, while the scores are trusted."""
        best = best_order([*self._known, (scores, None)])
        if best is None or best.correlation < LEAST_CORRELATION:
            return False
        return bool(best.values[-1] < np.quantile(best.values, LOWEST_SHARE))


def best_order(known: list[tuple[Scores, float | None]]) -> Order | None:
    """The order of the networks seen that ranks the trained ones better; None before enough were trained."""
    known = list(known)
    seen, accuracies = [scores for scores, _ in known], [accuracy for _, accuracy in known]
    trained = [row for row, accuracy in enumerate(accuracies) if accuracy is not None]
    if len(trained) < ENOUGH:
        return None
    truth = [accuracies[row] or 0.0 for row in trained]
    named = {
        ", ".join(MEMBERS): ensemble(seen),
        "all scores as fitted to the networks trained here": fitted(seen, accuracies),
    }
    orders = [Order(name, values, spearman(values[trained], truth)) for name, values in named.items()]
    return max(orders, key=lambda order: order.correlation)
