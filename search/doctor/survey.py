"""What a space holds: every choice looked at where there are few enough, else many drawn at random."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from archdsl.errors import Problem
from archdsl.json_types import Scalar
from archdsl.search.doctor.points import Looked, Points
from archdsl.search.network import Choices, Network
from archdsl.search.policy.doctor import SurveyPolicy
from archdsl.spaces.enumeration import EveryChoice
from archdsl.spaces.sampling import draw
from archdsl.spaces.space import Space
from archdsl.spaces.variables import Variable, variables

Value = tuple[str, Scalar]
"""A variable's name, and one of its values."""


class Size(NamedTuple):
    """How many points a space has."""

    points: float
    error: float
    """Standard error of an estimate; 0 where every choice was looked at."""
    networks: int | None
    """Different networks among the points, where every choice was looked at."""
    continuous: tuple[str, ...]
    """Variables that are ranges without steps: the points are infinitely many, and counted as if each had one value."""

    @property
    def most_networks(self) -> int | None:
        """How many networks there are, counted or estimated by the points; None where they are infinitely many."""
        if self.continuous:
            return None
        return self.networks if self.networks is not None else max(round(self.points), 1)


class Survey(NamedTuple):
    """The valid points among the choices that were looked at."""

    valid: list[tuple[Choices, Network]]
    looked_at: int
    is_whole: bool
    """Whether every choice of the space was looked at."""
    size: Size
    blame: dict[Value, Counter[Problem]]
    """For every value among the choices, why these were no points."""
    alive: set[Value]
    """Values among the valid points."""
    refused: Counter[Problem]
    """Why choices were no points."""


def survey(space: Space, points: Points, policy: SurveyPolicy, seed: int = 0) -> Survey:
    """Look at a space: as a whole, or at some thousand choices, uniform in each variable."""
    by_name = variables(space.nodes)
    whole = _whole(points, by_name, policy.most_choices)
    if whole is not None:
        return _summed(whole, True, _exact_size(whole))
    generator = random.Random(seed)
    drawn = [points.look(lambda name: draw(by_name[name], generator)) for _ in range(policy.samples)]
    return _summed(drawn, False, _estimated_size(drawn, by_name))


def _whole(points: Points, by_name: dict[str, Variable], most: int) -> list[Looked] | None:
    """Every choice, or None if they are too many."""
    if not all(variable.values for variable in by_name.values()):
        return None
    if _at_least(by_name, points, most) > most:
        return None
    return list(_look_at_all(points, by_name))


def _at_least(by_name: dict[str, Variable], points: Points, most: int) -> int:
    """The number of choices, counted no further than needed; their networks are not made."""
    counted = 0
    for choose in EveryChoice(by_name):
        points.decide(choose)
        counted += 1
        if counted > most:
            break
    return counted


def _look_at_all(points: Points, by_name: dict[str, Variable]) -> Iterator[Looked]:
    for choose in EveryChoice(by_name):
        yield points.look(choose)


def _summed(looked: list[Looked], is_whole: bool, size: Size) -> Survey:
    valid, refused, alive = [], Counter[Problem](), set[Value]()
    blame: dict[Value, Counter[Problem]] = defaultdict(Counter)
    for choices, network, problem in looked:
        if network is not None:
            valid.append((choices, network))
            alive.update(choices.items())
        elif problem is not None:
            refused[problem] += 1
            for value in choices.items():
                blame[value][problem] += 1
    return Survey(valid, len(looked), is_whole, size, blame, alive, refused)


def _exact_size(looked: list[Looked]) -> Size:
    networks = [network for _, network, _ in looked if network is not None]
    return Size(len(networks), 0.0, len({network.network_hash for network in networks}), ())


def _estimated_size(drawn: list[Looked], by_name: dict[str, Variable]) -> Size:
    """A choice's chance is that of the values that it needs: its inverse, where it is a point, has the size as mean."""
    continuous = tuple(name for name, variable in by_name.items() if not variable.values)
    counts = [
        0.0 if network is None else math.prod(float(len(by_name[name].values) or 1) for name in choices)
        for choices, network, _ in drawn
    ]
    mean = sum(counts) / len(counts)
    variance = sum((value - mean) ** 2 for value in counts) / (len(counts) - 1)
    return Size(mean, math.sqrt(variance / len(counts)), None, continuous)
