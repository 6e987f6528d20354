"""Whether a network scores too low to be trained, by what this search has learned.

The scores earn their place in each search anew. Two orders stand for it: their ensemble as it is, and accuracies
predicted by a model that is fitted to those trained here, from scores and from what the networks are; the one that
ranks these better is used, only while its rank correlation with them is high enough, and then only against the lowest
among the networks that cost no more in any other objective: the fastest need not be as accurate as slower ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from archdsl.search.policy import Policy
from archdsl.search.predict.rank_ensemble import ensemble
from archdsl.search.predict.ranks import Floats, spearman
from archdsl.search.predict.surrogate import NetworkFeatures, network_features, predict_accuracy
from archdsl.search.store.front import ACCURACY, costs_no_more, losses
from archdsl.search.trial import Trial


class Order(NamedTuple):
    """One way to rank the networks seen, and how well it ranks those that were trained."""

    name: str
    values: Floats
    correlation: float


class _Scored(NamedTuple):
    """A network that was scored: the other objectives, and its proxy accuracy if it was trained."""

    costs: tuple[float, ...]
    features: NetworkFeatures
    accuracy: float | None


class Screen:
    """The zero-cost rung."""

    def __init__(self, objectives: Sequence[str], policy: Policy) -> None:
        self._policy, self._surrogate = policy.screen, policy.surrogate
        self._is_an_objective = ACCURACY in objectives
        self._others = [objective for objective in objectives if objective != ACCURACY]
        self._networks: list[_Scored] = []  # one list, as workers read it while it grows

    def learn(self, trial: Trial) -> None:
        """One finished trial; one that was not scored, or by an older version, teaches nothing."""
        if (network := self._scored(trial)) is not None:
            self._networks.append(network)

    @property
    def correlation(self) -> float | None:
        """Spearman's rank correlation of the better order and proxy accuracy here; None before enough were trained."""
        best = self._best_order(list(self._networks))
        return None if best is None else best.correlation

    def too_low(self, trial: Trial) -> str | None:
        """Why a scored network is not to be trained; None where it is, as while no order is trusted."""
        candidate = self._scored(trial)
        if candidate is None or not self._is_an_objective:
            return None
        networks = [*self._networks, candidate]
        best, policy = self._best_order(networks), self._policy
        if best is None or best.correlation < policy.least_correlation:
            return None
        values = best.values[[costs_no_more(network.costs, candidate.costs) for network in networks]]
        if len(values) <= policy.enough or best.values[-1] >= np.quantile(values, policy.lowest_share):
            return None
        return (
            f"{best.name} in the lowest {100 * policy.lowest_share:.0f} % of equal-or-cheaper networks "
            f"(Spearman with accuracy here: {best.correlation:.2f})"
        )

    def _scored(self, trial: Trial) -> _Scored | None:
        features = network_features(trial.document, trial.scores)
        return None if features is None else _Scored(losses(trial, self._others), features, trial.accuracy)

    def _best_order(self, networks: Sequence[_Scored]) -> Order | None:
        """The order of the networks that ranks the trained ones better; None before enough were trained."""
        accuracies = [network.accuracy for network in networks]
        trained = [row for row, accuracy in enumerate(accuracies) if accuracy is not None]
        if len(trained) < self._policy.enough:
            return None
        truth = [accuracies[row] or 0.0 for row in trained]
        features = [network.features for network in networks]
        named = {
            "zero-cost score": ensemble([each.scores for each in features]),
            "predicted accuracy": predict_accuracy(features, accuracies, policy=self._surrogate),
        }
        orders = [Order(name, values, float(spearman(values[trained], truth))) for name, values in named.items()]
        return max(orders, key=lambda order: order.correlation)
