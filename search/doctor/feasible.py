"""Whether anything in a space is inside its budgets, and if nothing is, what would be.

Every search asks this of its static budgets before it begins. What is found is not proven: the least of a cost is the
least of what was drawn and of what one-variable steps reach from there.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from archdsl.data.agreement import in_built_in_data
from archdsl.errors import SearchError
from archdsl.numbers import plain_text
from archdsl.search.config import Settings
from archdsl.search.doctor.extremes import descend
from archdsl.search.doctor.points import Points
from archdsl.search.network import Choices, Network
from archdsl.search.policy.doctor import DescentPolicy
from archdsl.spaces.sampling import draw
from archdsl.spaces.space import latency_of
from archdsl.spaces.variables import variables

_ROOM = 1.01

_UNITS = {"params": (1e6, "M"), "macs": (1e6, "M"), "memory": (1e6, "MB"), "latency": (1.0, "ms")}


class Remedy(NamedTuple):
    """A budget that cannot be kept beside the others, and what it would have to be."""

    metric: str
    budget: float
    least: float
    """The least found among networks that keep the other budgets, in the metric's base unit."""
    batch: int | None = None
    """Images a batch, where a latency was asked for as images a second: the remedy is said so too."""

    def __str__(self) -> str:
        """`params 0.1 M: the lowest found is 0.2345 M; --params-budget 0.237M would be feasible`."""
        if self.batch is not None:
            asked, most = latency_of(1, self.batch) / self.budget, latency_of(1, self.batch) / self.least
            feasible = f"--throughput-budget {_rounded_down(most)}/s would be feasible"
            return f"throughput {plain_text(asked, 4)}/s: the highest found is {plain_text(most, 4)}/s; {feasible}"
        unit, name = _UNITS[self.metric]
        least = f"the lowest found is {plain_text(self.least / unit, 4)} {name}"
        feasible = f"--{self.metric}-budget {_rounded_up(self.least / unit)}{name} would be feasible"
        return f"{self.metric} {plain_text(self.budget / unit, 4)} {name}: {least}; {feasible}"


def require_feasible(settings: Settings, policy: DescentPolicy) -> None:
    """Refuse budgets that nothing found in the space keeps; of data that is not known, the least is assumed.

    Raises:
        SearchError: no network is inside the static budgets; says which budgets would be feasible.
    """
    limits = settings.budgets.static
    if not limits:
        return
    space = settings.space_document
    least = space.model_copy(update={"channels": 1, "classes": 1})
    points = Points(in_built_in_data(space, settings.data) or least)
    rows = found_rows(points, settings, policy, limits)
    if rows and not any(inside(row, limits) for row in rows):
        remedies = "; or ".join(str(remedy) for remedy in remedies_of(rows, limits))
        raise SearchError(f"no network of the space '{space.name}' that was examined is inside the budgets: {remedies}")


def found_rows(
    points: Points, settings: Settings, policy: DescentPolicy, limits: Mapping[str, float]
) -> list[dict[str, float]]:
    """The costs of networks drawn, and of what steps reach from the best one; ends with the first inside the limits."""
    by_name, generator = variables(points.space.nodes), random.Random(0)
    rows: list[dict[str, float]] = []
    best: tuple[float, Choices] | None = None
    for _ in range(policy.draws):
        choices = {name: draw(variable, generator) for name, variable in by_name.items()}
        network = points.look(choices.__getitem__).network
        if network is None:
            continue
        rows.append(network.costs(settings))
        if inside(rows[-1], limits):
            return rows
        excess = max(rows[-1][metric] / limit for metric, limit in limits.items())
        best = min(best or (excess, choices), (excess, choices), key=lambda pair: pair[0])
    weights = [limits, *({metric: limit} for metric, limit in limits.items())]
    for weight in weights if best is not None else ():
        loss = partial(_excess, settings=settings, limits=weight)
        reached = descend(points, by_name, best[1] if best else {}, loss, policy)
        if reached is not None:
            rows.append(reached[0].costs(settings))
    return rows


def inside(row: Mapping[str, float], limits: Mapping[str, float]) -> bool:
    """Whether costs keep every limit."""
    return all(row[metric] <= limit for metric, limit in limits.items())


def remedies_of(rows: Sequence[Mapping[str, float]], limits: Mapping[str, float]) -> list[Remedy]:
    """The fewest budgets that nothing keeps together, each with the least that it would have to be; empty if one does.

    `rows` are the costs of networks, by metric.
    """
    if any(inside(row, limits) for row in rows):
        return []
    fewest = dict(limits)
    for metric in limits:
        without = {name: limit for name, limit in fewest.items() if name != metric}
        if not any(inside(row, without) for row in rows):
            fewest = without
    remedies = []
    for metric, budget in fewest.items():
        others = {name: limit for name, limit in fewest.items() if name != metric}
        remedies.append(Remedy(metric, budget, min(row[metric] for row in rows if inside(row, others))))
    return remedies


def _excess(network: Network, *, settings: Settings, limits: Mapping[str, float]) -> float:
    """By how much a network is over the limit that it exceeds most, as a ratio."""
    costs = network.costs(settings)
    return max(costs[metric] / limit for metric, limit in limits.items())


def _rounded_down(value: float) -> str:
    """As `_rounded_up`, of what must be reached."""
    return _as_typed(value / _ROOM)


def _rounded_up(value: float) -> str:
    """Three digits with a little room, so that what was found stays inside."""
    return _as_typed(value * _ROOM)


def _as_typed(value: float) -> str:
    """Three digits, as an option takes them: without separators or an exponent."""
    return plain_text(value, 3).replace(",", "")
