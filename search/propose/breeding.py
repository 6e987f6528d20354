"""Parents, and children that are bred of them: values of the distributions of a study's parameters.

A child takes the value of each parameter from one of two parents and changes some of them, or is drawn at random.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from archdsl.search.predict.ranks import Floats
from archdsl.search.propose.observation import Observation, Params, Value

Space = Mapping[str, BaseDistribution]


class Breeder(NamedTuple):
    """Breeds points of a search space."""

    space: Space
    generator: random.Random
    random_share: float
    """Of the children, drawn at random."""

    def child(self, parents: Sequence[Params]) -> dict[str, Value]:
        """A child of two parents, or of none."""
        left, right = self.generator.choice(parents), self.generator.choice(parents)
        params = {name: self._inherited(name, left, right) for name in self.space}
        changed = [name for name in self.space if self.generator.random() < 1 / len(self.space)]
        if self.generator.random() < self.random_share:
            changed = list(self.space)
        for name in changed or [self.generator.choice(list(self.space))]:
            params[name] = draw(self.space[name], self.generator)
        return params

    def _inherited(self, name: str, left: Params, right: Params) -> Value:
        """The value of one parent by chance; of the other where that has none, and a new one where neither has."""
        chosen = self.generator.choice((left, right))
        for parent in (chosen, left, right):
            if name in parent:
                value: Value = parent[name]
                if is_inside(self.space[name], value):
                    return value
        return draw(self.space[name], self.generator)


def better_half(observed: Sequence[Observation], signs: Floats) -> list[Params]:
    """The better half of complete observations: by how many others each is beaten in everything.

    `signs` are 1 for an objective that is minimised and -1 for one that is maximised: (objectives,).
    """
    values = np.array([observation.values for observation in observed], dtype=float).reshape(-1, len(signs)) * signs
    beaten = [int((values <= row).all(1).sum() - (values == row).all(1).sum()) for row in values]
    order = sorted(range(len(observed)), key=lambda index: beaten[index])
    return [observed[index].params for index in order[: math.ceil(len(order) / 2)]]


def draw(distribution: BaseDistribution, generator: random.Random) -> Value:
    """A value, uniform; by ratio where the distribution says so.

    Raises:
        TypeError: a distribution of another library.
    """
    match distribution:
        case CategoricalDistribution(choices=choices):
            category: Value = generator.choice(choices)
            return category
        case IntDistribution(low=low, high=high, log=True):
            exact = math.exp(generator.uniform(math.log(low - 0.5), math.log(high + 0.5)))
            return min(max(round(exact), low), high)
        case IntDistribution(low=low, high=high, step=step):
            return int(low + step * generator.randrange((high - low) // step + 1))
        case FloatDistribution(low=low, high=high, log=True):
            return min(float(low * (high / low) ** generator.random()), high)
        case FloatDistribution(low=low, high=high, step=None):
            return generator.uniform(low, high)
        case FloatDistribution(low=low, high=high, step=float(step)):
            return min(_stepped(low, step, generator.randrange(round((high - low) / step) + 1)), high)
    raise TypeError(f"an unsupported distribution: {distribution}")


def _stepped(low: float, step: float, count: int) -> float:
    """Decimals as they are written: 0.3 + 3 * 0.2 is 0.9."""
    return float(Decimal(str(low)) + count * Decimal(str(step)))


def is_inside(distribution: BaseDistribution, value: Value) -> bool:
    """Whether a value of the same parameter is one of this distribution, steps not looked at."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return value in choices
        case IntDistribution(low=low, high=high) | FloatDistribution(low=low, high=high):
            return isinstance(value, int | float) and low <= value <= high
    return False


def described(space: Space, params: Params) -> dict[str, float]:
    """A point as numbers: a number as it is, or its logarithm where its distribution is by ratio; 1 for a category."""
    columns = dict[str, float]()
    for name, distribution in space.items():
        if name not in params:
            continue
        value = params[name]
        if isinstance(distribution, CategoricalDistribution):
            columns[f"{name} is {distribution.choices.index(value)}"] = 1.0
        elif isinstance(value, int | float):
            is_log = isinstance(distribution, IntDistribution | FloatDistribution) and distribution.log
            columns[name] = math.log(value) if is_log else float(value)
    return columns
