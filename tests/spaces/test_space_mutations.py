"""Shipped spaces with something changed at random are spaces, or refused with places."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from archdsl import zoo
from archdsl.errors import Problem, SpecError
from archdsl.load.spaces import parse_space

SHIPPED = zoo.spaces()
SMALL: list[Any] = [None, True, 0, -1, 3, 2.5, "3", "w", "", [], {}, [1, 2], 10**30, 1e308, "stage3.alpha", ["$one_of"]]
MARKS: list[Any] = [{"$int": [1, 2]}, {"$one_of": []}, {"$expr": "w"}, {"$same": "stage1"}, {"$float": [0, 1]}]


def places(value: Any, keys: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in items for place in ((*keys, key), *places(inner, (*keys, key)))]


def spoil(document: Any, generator: random.Random) -> None:
    """One change: a value removed, replaced, taken from elsewhere, or its key misspelt."""
    everywhere = places(document)
    *path, last = generator.choice(everywhere)
    place = document
    for key in path:
        place = place[key]
    kind = generator.randrange(4)
    if kind == 0:
        del place[last]
    elif kind == 1:
        place[last] = copy.deepcopy(generator.choice([*SMALL, *MARKS, {"$": 1}, {"type": "mlp"}]))
    elif kind == 2:
        other = document
        for key in generator.choice(everywhere):
            other = other[key]
        place[last] = copy.deepcopy(other)
    elif isinstance(last, str):
        place[generator.choice([f"${last}", last[:-1], last + "s", last.replace("$", "")])] = place.pop(last)


@pytest.mark.parametrize("count", [150, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_spoilt_space_is_a_space_or_refused_with_places(name: str, count: int) -> None:
    original = json.loads(zoo.text(name) or b"")
    generator = random.Random(7)
    refused = 0
    for _ in range(count):
        document = copy.deepcopy(original)
        for _ in range(generator.choice([1, 1, 2, 3])):
            if document:
                spoil(document, generator)
        problems: tuple[Problem, ...] | None = None
        try:
            parse_space(json.dumps(document).encode(), "s.json")
        except SpecError as error:
            problems = error.problems
        refused += problems is not None
        assert problems is None or (
            problems and all(problem.rule and problem.line and problem.column for problem in problems)
        )
    assert refused > count / 2
