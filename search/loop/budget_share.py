"""At the end of a search: how many networks of the space are inside its latency budget, measured or predicted.

The networks that a search tries are no fair sample, since it prefers those that fit the budget. So networks are drawn
as the space draws them, and their latencies predicted by what the search has learned; only before it can predict, those
that it measured count. Few are drawn at first: most budgets are clearly neither loose nor tight.
"""

from __future__ import annotations

import random
from statistics import median_low

from archdsl.search.config import Settings
from archdsl.search.doctor.points import Points
from archdsl.search.policy.evaluate import BudgetSharePolicy
from archdsl.search.predict.predictors import Predictors
from archdsl.search.store.budget_share import BudgetShare
from archdsl.spaces.sampling import draw
from archdsl.spaces.space import Space
from archdsl.spaces.variables import variables


def budget_share(
    space: Space, settings: Settings, predictors: Predictors, measured_ms: dict[str, float], policy: BudgetSharePolicy
) -> BudgetShare | None:
    """The share of the space inside the latency budget; None without a budget, or with too few latencies.

    `measured_ms` are the latencies of this search's trials, by the network's hash.
    """
    budget_ms = settings.budgets.latency_ms
    if budget_ms is None:
        return None
    if predictors.median_error is not None:
        drawn = _Drawn(space, settings, predictors, measured_ms)
        found = drawn.share(policy.few, budget_ms)
        is_clear = found is not None and policy.clear <= found.share <= 1 - policy.clear
        return found if is_clear else drawn.share(policy.many, budget_ms)
    latencies = [*measured_ms.values()]
    if len(latencies) < policy.least_measured:
        return None
    inside = sum(ms <= budget_ms for ms in latencies) / len(latencies)
    return BudgetShare(inside, len(latencies), 0, median_low(latencies))


class _Drawn:
    """Networks drawn from a space inside the static budgets, with their latencies."""

    def __init__(self, space: Space, settings: Settings, predictors: Predictors, measured_ms: dict[str, float]) -> None:
        self._settings, self._predictors, self._measured_ms = settings, predictors, measured_ms
        self._points, self._variables = Points(space), variables(space.nodes)
        self._generator = random.Random(settings.seed)
        self._latencies, self._predicted, self._looked_at = list[float](), 0, 0

    def share(self, draws: int, budget_ms: float) -> BudgetShare | None:
        """The share of the networks among so many draws in all whose latency is known; None where there is none."""
        while self._looked_at < draws:
            self._look()
        if not self._latencies:
            return None
        inside = sum(ms <= budget_ms for ms in self._latencies) / len(self._latencies)
        error = self._predictors.median_error if self._predicted else None
        return BudgetShare(inside, len(self._latencies), self._predicted, median_low(self._latencies), error)

    def _look(self) -> None:
        self._looked_at += 1
        network = self._points.look(lambda name: draw(self._variables[name], self._generator)).network
        if network is None or network.over_budget(self._settings) is not None:
            return
        latency = self._measured_ms.get(network.network_hash)
        if latency is None and (latency := self._predictors.predicted_ms(network)) is not None:
            self._predicted += 1
        if latency is not None:
            self._latencies.append(latency)
