"""What a study says of its trials, as far as evolution uses it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

Value = None | bool | int | float | str
"""Of a parameter, as Optuna's distributions have them."""
Params = Mapping[str, Value]
"""Values by the names of their parameters."""

_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)


class Observation(NamedTuple):
    """A point that was tried, or is being tried."""

    params: Params
    values: Sequence[float | None]
    """Its objectives in the order of the study, None where one is not known."""
    constraints: Mapping[str, float]
    """By name; one that is above 0 is violated."""

    @property
    def is_complete(self) -> bool:
        """Whether it keeps all constraints and has a value of every objective: the front and parents are such."""
        return None not in self.values and all(value <= 0 for value in self.constraints.values())


def observations(trials: Sequence[FrozenTrial], objectives: int, number: int) -> list[Observation]:
    """Of every trial but that of this number: complete ones with their values, pruned and running ones without.

    A trial that is running counts once it has all parameters of one that ended. Failed trials say nothing.
    """
    shapes = {frozenset(trial.params) for trial in trials if trial.state in _COUNTED}
    return [
        Observation(trial.params, _values(trial, objectives), _levelled(trial.constraints))
        for trial in trials
        if trial.params and trial.number != number
        if trial.state in _COUNTED or (trial.state == TrialState.RUNNING and frozenset(trial.params) in shapes)
    ]


def _values(trial: FrozenTrial, objectives: int) -> Sequence[float | None]:
    """The objectives of a trial; one that is infinite is not known."""
    if trial.state != TrialState.COMPLETE:
        return (None,) * objectives
    return [value if math.isfinite(value) else None for value in trial.values]


def _levelled(constraints: Mapping[str, float]) -> dict[str, float]:
    """Constraints with their signs and the logarithms of 1 + their sizes: some are violated a thousandfold."""
    return {name: math.copysign(math.log1p(abs(value)), value) for name, value in constraints.items()}


def union_space(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Every parameter that an ended trial has, by its last distribution; none of which the kind or choices differ.

    So a point has a value for each parameter, whichever of them a conditional objective then asks for.
    """
    space, mixed = dict[str, BaseDistribution](), set[str]()
    for trial in trials:
        if trial.state in _COUNTED:
            for name, distribution in trial.distributions.items():
                if name in space and not _are_alike(space[name], distribution):
                    mixed.add(name)
                space[name] = distribution
    return {name: distribution for name, distribution in space.items() if name not in mixed}


def _are_alike(first: BaseDistribution, second: BaseDistribution) -> bool:
    """Whether values of one may be values of the other."""
    if isinstance(first, CategoricalDistribution):
        return first == second
    return type(first) is type(second)


class Tried:
    """The points that were tried or are being tried: a point is one of them if it has all their values.

    A conditional objective may not ask for all parameters of a point, so that a trial can have fewer of them.
    """

    def __init__(self, points: Iterator[Params]) -> None:
        self._by_names = dict[tuple[str, ...], set[Hashable]]()
        for params in points:
            names = tuple(sorted(params))
            self._by_names.setdefault(names, set()).add(tuple(params[name] for name in names))

    def __contains__(self, params: Params) -> bool:
        return any(
            all(name in params for name in names) and tuple(params[name] for name in names) in tried
            for names, tried in self._by_names.items()
        )
