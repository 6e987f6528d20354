"""The front of a library: for each of many budgets the network of the least summed KL, by the integer program."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, PositiveFloat

from archdsl.cost import count
from archdsl.deriving.choice import BudgetTooSmall
from archdsl.deriving.library.folder import Library
from archdsl.deriving.library.solutions import Derived, Solver
from archdsl.language.canonical import canonical_hash

STEPS = 20
"""Budgets from the parent's cost down to nothing, at equal distances."""
_ROUNDING = 1e-9
"""Of sums, relative."""


class FrontPoint(BaseModel):
    """A network of the front.

    limit: the smallest budget that it was solved for. cost: what it is predicted to cost. kl: its summed scores, in
    nats.
    exchanged: the keys of the alternatives in it; empty for the parent.
    """

    model_config = ConfigDict(frozen=True)

    limit: float
    cost: float
    kl: float
    network_hash: str
    exchanged: tuple[str, ...]


class LibraryFront(BaseModel):
    """The networks from the parent to the cheapest one.

    metric: what the budgets are of, `latency` (ms) or `macs`. parent: what the parent costs, in the same unit.
    """

    model_config = ConfigDict(frozen=True)

    metric: str
    parent: PositiveFloat
    points: tuple[FrontPoint, ...]


def library_front(solver: Solver, metric: str, limits: Iterable[float] = (), steps: int = STEPS) -> LibraryFront:
    """The best network for each of `steps` budgets, for `limits` beside them, and the cheapest one; each network once.

    A budget that no network keeps has no point; a library without an alternative gives the parent alone.
    """
    whole = solver.whole[metric]
    if not solver.entries:
        alone = FrontPoint(limit=whole, cost=whole, kl=0.0, network_hash=canonical_hash(solver.parent), exchanged=())
        return LibraryFront(metric=metric, parent=whole, points=(alone,))
    least = _least(solver, metric)
    asked = {least, *limits, *(whole * step / steps for step in range(1, steps + 1))}
    points = dict[str, FrontPoint]()
    for limit in sorted((limit for limit in asked if least <= limit <= whole), reverse=True):
        derived = _within(solver, metric, limit)
        if derived is not None:
            point = _point(derived, metric, limit)
            points[point.network_hash] = point
    return LibraryFront(metric=metric, parent=whole, points=_undominated([*points.values()]))


def macs_front(library: Library) -> LibraryFront:
    """The front by MACs, which a library knows without any measurement."""
    return library_front(Solver(library, lambda spec: {"macs": float(count(spec).macs)}), "macs")


def _least(solver: Solver, metric: str) -> float:
    """The least that a network of the library can cost."""
    try:
        derived = solver.solve({metric: 0.0})
    except BudgetTooSmall as error:
        return error.least
    return solver.whole[metric] if derived is None else derived.costs[metric]


def _undominated(points: list[FrontPoint]) -> tuple[FrontPoint, ...]:
    """Without those that a cheaper one equals in KL: several budgets may have solutions of the same KL."""
    kept, lowest = list[FrontPoint](), float("inf")
    for point in sorted(points, key=lambda point: point.cost):
        if point.kl < lowest * (1 - _ROUNDING):
            kept.append(point)
            lowest = point.kl
    return tuple(reversed(kept))


def _within(solver: Solver, metric: str, limit: float) -> Derived | None:
    try:
        return solver.solve({metric: limit * (1 + _ROUNDING)})  # the least is a sum that may differ by its rounding
    except BudgetTooSmall:
        return None


def _point(derived: Derived, metric: str, limit: float) -> FrontPoint:
    keys = tuple(block.key for block in derived.exchanged if block.key is not None)
    return FrontPoint(
        limit=limit,
        cost=derived.costs[metric],
        kl=derived.kl,
        network_hash=canonical_hash(derived.spec),
        exchanged=keys,
    )
