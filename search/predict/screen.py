"""Whether a network scores too low to be trained, by what this search has learned.

The scores earn their place in each search anew. Two orders stand for it: their ensemble as it is, and accuracies as
those measured here tell them, from scores and from what the networks are; the one that ranks these better is used, only
while its rank correlation with them is high enough, and then only against the lowest among the networks that cost no
more in any other objective: the fastest need not be as accurate as slower ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from archdsl.search.predict.rank_ensemble import MEMBERS, ensemble
from archdsl.search.predict.ranks import Floats, spearman
from archdsl.search.predict.surrogate import Seen, fitted, seen
from archdsl.search.store.front import ACCURACY, costs_no_more, losses
from archdsl.search.trial import Trial

ENOUGH = 10
"""Trained networks before an order is trusted or not, and networks among which one is the lowest."""
LEAST_CORRELATION = 0.5
LOWEST_SHARE = 0.2
"""Share of the networks that score too low to be trained, while the order is trusted."""


class Order(NamedTuple):
    """One way to rank the networks seen, and how well it ranks those that were trained."""

    name: str
    values: Floats
    correlation: float


class _Known(NamedTuple):
    """A network that was scored: the other objectives, and its proxy accuracy if it was trained."""

    costs: tuple[float, ...]
    seen: Seen
    accuracy: float | None


class Screen:
    """The zero-cost rung."""

    def __init__(self, objectives: Sequence[str]) -> None:
        self._is_asked = ACCURACY in objectives
        self._others = [objective for objective in objectives if objective != ACCURACY]
        self._known: list[_Known] = []  # one list, as workers read it while it grows

    def learn(self, trial: Trial) -> None:
        """One finished trial; one that was not scored, or by an older version, teaches nothing."""
        if (known := self._of(trial)) is not None:
            self._known.append(known)

    @property
    def correlation(self) -> float | None:
        """Spearman's rank correlation of the better order and proxy accuracy here; None before enough were trained."""
        best = _best_order(list(self._known))
        return None if best is None else best.correlation

    def too_low(self, trial: Trial) -> str | None:
        """Why a scored network is not to be trained; None where it is, as while no order is trusted."""
        own = self._of(trial)
        if own is None or not self._is_asked:
            return None
        known = [*self._known, own]
        best = _best_order(known)
        if best is None or best.correlation < LEAST_CORRELATION:
            return None
        rivals = [costs_no_more(one.costs, own.costs) for one in known]
        values = best.values[rivals]
        if len(values) <= ENOUGH or best.values[-1] >= np.quantile(values, LOWEST_SHARE):
            return None
        return (
            f"among the lowest of those that cost no more by {best.name}, an order that ranks accuracy here at "
            f"{best.correlation:.2f}"
        )

    def _of(self, trial: Trial) -> _Known | None:
        found = seen(trial.document, trial.scores)
        return None if found is None else _Known(losses(trial, self._others), found, trial.accuracy)


def _best_order(known: Sequence[_Known]) -> Order | None:
    """The order of the networks seen that ranks the trained ones better; None before enough were trained."""
    accuracies = [one.accuracy for one in known]
    trained = [row for row, accuracy in enumerate(accuracies) if accuracy is not None]
    if len(trained) < ENOUGH:
        return None
    truth = [accuracies[row] or 0.0 for row in trained]
    named = {
        ", ".join(MEMBERS): ensemble([one.seen.scores for one in known]),
        "what the networks trained here tell of its kind": fitted([one.seen for one in known], accuracies),
    }
    orders = [Order(name, values, float(spearman(values[trained], truth))) for name, values in named.items()]
    return max(orders, key=lambda order: order.correlation)
