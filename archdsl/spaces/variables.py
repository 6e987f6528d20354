"""The variables of a space: every hole's name, what it may be, and where it stands."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from archdsl.errors import Keys, Problem, short
from archdsl.json_types import Json, JsonObject, Scalar, list_in, number_in, object_in, scalar_in, text_in
from archdsl.language.searchable_models import HOLES, SPAN

CHOICES = ("$one_of", "$int", "$float")


class Variable(NamedTuple):
    """One choice of a space. `values` are what a name stands for in an expression: a scalar, or a label.

    A range without steps has no values but `low`, `high` and `log`.
    """

    name: str
    values: tuple[Scalar, ...]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    is_label: bool = False
    """Whether values are labels of sub-objects, blocks or nodes, instead of scalars."""

    @property
    def numbers(self) -> tuple[int | float, ...]:
        """The values that are numbers; true and false are none."""
        return tuple(value for value in self.values if isinstance(value, int | float) and not isinstance(value, bool))

    @property
    def is_ordered(self) -> bool:
        """Whether the values are numbers that rise."""
        return self.numbers == self.values and list(self.numbers) == sorted(self.numbers)


class Range(NamedTuple):
    """A hole of numbers from low to high: whole ones, or any where `is_whole` is false and there is no step."""

    low: float
    high: float
    is_whole: bool
    step: float | None
    log: bool


def alternatives_of(hole: JsonObject) -> list[Json]:
    """What a choice offers."""
    return list_in(hole["$one_of"])


def range_of(hole: JsonObject) -> Range:
    """The range of an `$int` or a `$float`."""
    is_whole = "$int" in hole
    low, high = (number_in(end) for end in list_in(hole["$int" if is_whole else "$float"]))
    step = hole.get("$step", 1 if is_whole else None)
    return Range(low, high, is_whole, None if step is None else number_in(step), bool(hole.get("$log", False)))


def name_of(hole: JsonObject, path: str) -> str:
    """The name of a hole's variable: `$name`, else where the hole stands."""
    name = hole.get("$name")
    return path if name is None else text_in(name)


def label_of(alternative: Json) -> Scalar:
    """What an alternative is called: the scalar itself, else `$label`, else its `type`, else its JSON."""
    if isinstance(alternative, dict):
        return scalar_in(alternative.get("$label", alternative.get("type", json.dumps(alternative))))
    return json.dumps(alternative) if isinstance(alternative, list) else alternative


def span_of(alternative: Json) -> int:
    """The positions of a sequence in whose place an alternative stands."""
    span = alternative.get(SPAN, 1) if isinstance(alternative, dict) else 1
    assert isinstance(span, int)
    return span


def has_holes(value: Json) -> bool:
    """Whether a value of a space is still to be chosen or computed, in any part of it."""
    if isinstance(value, dict):
        return any(key in HOLES for key in value) or any(map(has_holes, value.values()))
    return isinstance(value, list) and any(map(has_holes, value))


def variable_of(hole: JsonObject, name: str) -> Variable:
    """The variable of a choice."""
    if "$one_of" in hole:
        alternatives = alternatives_of(hole)
        is_label = any(isinstance(value, dict) for value in alternatives)
        return Variable(name, tuple(label_of(value) for value in alternatives), is_label=is_label)
    low, high, is_whole, step, log = range_of(hole)
    if is_whole:
        return Variable(name, tuple(range(int(low), int(high) + 1, int(step or 1))))
    if step is None:
        return Variable(name, (), float(low), float(high), log)
    return Variable(name, _decimals(low, high, step))


def _decimals(low: float, high: float, step: float) -> tuple[float, ...]:
    """Stepped floats as decimals: 0.3 + 3 * 0.2 is 0.9."""
    start, pace = Decimal(str(low)), Decimal(str(step))
    count = int((Decimal(str(high)) - start) / pace) + 1
    return tuple(float(start + pace * index) for index in range(max(count, 0)))


def walk(nodes: Iterable[JsonObject]) -> Iterator[tuple[str, JsonObject, Keys]]:
    """Every choice in the nodes of a space: the variable's name, the hole as written, its place."""
    for index, node in enumerate(nodes):
        keys: Keys = ("nodes", index)
        if "$one_of" not in node:
            yield from _walk_fields(node, str(node.get("id")), keys)
            continue
        yield name_of(node, text_in(node["id"])), node, keys
        for place, alternative in enumerate(alternatives_of(node)):
            path = f"{node['id']}.{label_of(alternative)}"
            yield from _walk_fields(object_in(alternative), path, (*keys, "$one_of", place))


def _walk_fields(value: JsonObject, path: str, keys: Keys) -> Iterator[tuple[str, JsonObject, Keys]]:
    for key, inner in value.items():
        if key in ("id", "type", "from") or (key.startswith("$") and key not in ("$repeat", "$times")):
            continue
        name = path if key == "$repeat" else f"{path}.{key.removeprefix('$')}"
        yield from _walk_value(inner, name, (*keys, key))


def _walk_value(value: Json, path: str, keys: Keys) -> Iterator[tuple[str, JsonObject, Keys]]:
    if isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, dict):
                yield from _walk_value(inner, f"{path}.{index}", (*keys, index))
    elif isinstance(value, dict) and any(key in value for key in CHOICES):
        yield name_of(value, path), value, keys
        for place, alternative in enumerate(alternatives_of(value) if "$one_of" in value else ()):
            if isinstance(alternative, dict):
                yield from _walk_fields(alternative, f"{path}.{label_of(alternative)}", (*keys, "$one_of", place))
    elif isinstance(value, dict):
        yield from _walk_fields(value, path, keys)


def variables(nodes: Iterable[JsonObject], problems: list[Problem] | None = None) -> dict[str, Variable]:
    """Every variable by name. Holes of one name must have equal labels or bounds; problems are added to the list."""
    by_name: dict[str, Variable] = {}
    for name, hole, keys in walk(nodes):
        problem = _range_problem(hole, keys)
        if problem is None:
            variable = variable_of(hole, name)
            problem = _domain_problem(variable, by_name.get(name), keys)
            by_name.setdefault(name, variable)
        if problem is not None and problems is not None:
            problems.append(problem)
    return by_name


def _range_problem(hole: JsonObject, keys: Keys) -> Problem | None:
    """A range goes from low to high, in a bounded number of steps."""
    key = next(key for key in CHOICES if key in hole)
    if key == "$one_of":
        return None
    low, high, _, step, log = range_of(hole)
    if low > high:
        rule = f"a range goes from low to high: {key} [low, high] with low <= high"
        return Problem((*keys, key), rule, short([low, high]), f"write [{high}, {low}]")
    if step is not None and (high - low) / step > 10_000:
        return Problem((*keys, "$step"), "a range has at most 10,000 steps", short(step), "use a larger step")
    if log and (low <= 0 or step is not None):
        rule, remedy = "a range by ratio starts above 0 and has no step", "start above 0, or leave out one of the two"
        return Problem((*keys, "$log"), rule, short([low, high]), remedy)
    return None


def _domain_problem(variable: Variable, first: Variable | None, keys: Keys) -> Problem | None:
    if len(set(map(repr, variable.values))) < len(variable.values):
        doubled = next(v for v in variable.values if variable.values.count(v) > 1)
        remedy = 'give one of them a "$label"' if variable.is_label else "remove one"
        return Problem(keys, f"two alternatives of '{variable.name}' have one label", short(doubled), remedy)
    if first is not None and first != variable:
        ranges = f"{_domain(variable)}, elsewhere {_domain(first)}"
        rule = f"holes named '{variable.name}' are one variable and must have equal labels or bounds"
        return Problem(keys, rule, ranges, "make them equal, or give one another name")
    return None


def _domain(variable: Variable) -> str:
    return short(list(variable.values)) if variable.values else f"[{variable.low:g}, {variable.high:g}]"


def size(variable: Variable) -> float:
    """How many values a variable has; infinite for a range without steps."""
    return len(variable.values) if variable.values else math.inf
