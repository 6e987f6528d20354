"""Whether a network scores too low to be trained, by what this search has learned.

The scores earn their place in each search anew: they are used only while the rank correlation of their ensemble with
the proxy accuracies measured there is high enough, and then only against the lowest.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from archdsl.search.ranks import spearman
from archdsl.search.scores.ensemble import MEMBERS, ensemble

ENOUGH = 10
"""Trained networks before the scores are trusted or not."""
LEAST_CORRELATION = 0.5
LOWEST_SHARE = 0.2
"""Share of the networks seen that score too low to be trained, while the scores are trusted."""

Scores = Mapping[str, float]


class Screen:
    """The zero-cost rung. Scores that lack a member, as of an older run, teach nothing."""

    def __init__(self) -> None:
        self._seen: list[Scores] = []
        self._accuracies: list[float | None] = []

    def learn(self, scores: Scores, accuracy: float | None) -> None:
        """The scores of a network that came as far as that, and its proxy accuracy if it was trained."""
        if all(name in scores for name in MEMBERS):
            self._seen.append(scores)
            self._accuracies.append(accuracy)

    @property
    def correlation(self) -> float | None:
        """Spearman's rank correlation of ensemble and proxy accuracy here; None before enough were trained."""
        trained = [row for row, accuracy in enumerate(self._accuracies) if accuracy is not None]
        if len(trained) < ENOUGH:
            return None
        order = ensemble(self._seen)
        found: float = spearman([order[row] for row in trained], [self._accuracies[row] or 0.0 for row in trained])
        return found

    @property
    def reason(self) -> str:
        """Why a network that scores too low falls."""
        return f"among the lowest by {', '.join(MEMBERS)}, which rank accuracy here at {self.correlation:.2f}"

    def too_low(self, scores: Scores) -> bool:
        """Whether a network is among the lowest seen here, itself included, while the scores are trusted."""
        found = self.correlation
        if found is None or found < LEAST_CORRELATION:
            return False
        order = ensemble([*self._seen, scores])
        return bool(order[-1] < np.quantile(order, LOWEST_SHARE))
