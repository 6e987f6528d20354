"""The least and the most of a cost in a space, by steps that each change one variable: found, not proven."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from archdsl.json_types import Scalar
from archdsl.search.doctor.points import Points
from archdsl.search.network import Choices, Network
from archdsl.search.policy.doctor import DescentPolicy
from archdsl.spaces.variables import Variable

Loss = Callable[[Network], float]


def descend(
    points: Points,
    by_name: Mapping[str, Variable],
    start: Mapping[str, Scalar],
    loss: Loss,
    policy: DescentPolicy,
    enough: float | None = None,
) -> tuple[Network, Choices] | None:
    """The network of least loss that is reached from a choice, with its choices; None if nothing on the way holds.

    Each variable in turn takes its best value, until a round brings nothing, or the loss is `enough`.
    """
    choices = _complete(by_name, start)
    best = points.look(choices.__getitem__).network
    for _ in range(policy.most_rounds):
        before = best
        for name, variable in by_name.items():
            for value in _tried(variable, policy.most_values):
                changed = {**choices, name: value}
                network = points.look(changed.__getitem__).network
                if network is not None and (best is None or loss(network) < loss(best)):
                    best, choices = network, changed
            if best is not None and enough is not None and loss(best) <= enough:
                return best, choices
        if best is before:
            break
    return None if best is None else (best, choices)


def _complete(by_name: Mapping[str, Variable], start: Mapping[str, Scalar]) -> Choices:
    """A value for every variable, the first where none is chosen."""
    first = {name: variable.values[0] if variable.values else variable.low for name, variable in by_name.items()}
    return {**first, **start}


def _tried(variable: Variable, most: int) -> list[Scalar]:
    """Values that a step tries: all, or the ends and some evenly between."""
    if not variable.values:
        return [variable.low, (variable.low + variable.high) / 2, variable.high]
    last = len(variable.values) - 1
    if last < most:
        return list(variable.values)
    return [variable.values[round(index * last / (most - 1))] for index in range(most)]
