"""The variables of a space: every hole's name, what it may be, and where it stands."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from archdsl.errors import Keys, Problem, short

CHOICES = ("$one_of", "$int", "$float")


class Variable(NamedTuple):
    """One choice of a space. `values` are what a name stands for in an expression: a scalar, or a label.

    A range without steps has no values but `low`, `high` and `log`.
    """

    name: str
    values: tuple[Any, ...]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    is_label: bool = False
    """Whether values are labels of sub-objects, blocks or nodes, instead of scalars."""

    @property
    def is_ordered(self) -> bool:
        """Whether the values are numbers that rise."""
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)
        return numbers and list(self.values) == sorted(self.values)


def label_of(alternative: Any) -> Any:
    """What an alternative is called: the scalar itself, else `$label`, else its `type`, else its JSON."""
    if isinstance(alternative, dict):
        return alternative.get("$label", alternative.get("type", json.dumps(alternative)))
    return json.dumps(alternative) if isinstance(alternative, list) else alternative


def variable_of(hole: dict[str, Any], name: str) -> Variable:
    """The variable of a choice."""
    if "$one_of" in hole:
        alternatives = hole["$one_of"]
        is_label = any(isinstance(value, dict) for value in alternatives)
        return Variable(name, tuple(label_of(value) for value in alternatives), is_label=is_label)
    if "$int" in hole:
        low, high = hole["$int"]
        return Variable(name, tuple(range(low, high + 1, hole.get("$step", 1))))
    low, high = hole["$float"]
    if hole.get("$step") is None:
        return Variable(name, (), float(low), float(high), bool(hole.get("$log", False)))
    return Variable(name, _decimals(low, high, hole["$step"]))


def _decimals(low: float, high: float, step: float) -> tuple[float, ...]:
    """Stepped floats as decimals: 0.3 + 3 * 0.2 is 0.9."""
    start, pace = Decimal(str(low)), Decimal(str(step))
    count = int((Decimal(str(high)) - start) / pace) + 1
    return tuple(float(start + pace * index) for index in range(max(count, 0)))


def walk(nodes: Any) -> Iterator[tuple[str, dict[str, Any], Keys]]:
    """Every choice in the nodes of a space: the variable's name, the hole as written, its place."""
    for index, node in enumerate(nodes):
        keys: Keys = ("nodes", index)
        if "$one_of" not in node:
            yield from _walk_fields(node, str(node.get("id")), keys)
            continue
        name = node.get("$name", node["id"])
        yield name, node, keys
        for place, alternative in enumerate(node["$one_of"]):
            path = f"{node['id']}.{label_of(alternative)}"
            yield from _walk_fields(alternative, path, (*keys, "$one_of", place))


def _walk_fields(value: dict[str, Any], path: str, keys: Keys) -> Iterator[tuple[str, dict[str, Any], Keys]]:
    for key, inner in value.items():
        if key in ("id", "type", "from") or (key.startswith("$") and key not in ("$repeat", "$times")):
            continue
        name = path if key == "$repeat" else f"{path}.{key.removeprefix('$')}"
        yield from _walk_value(inner, name, (*keys, key))


def _walk_value(value: Any, path: str, keys: Keys) -> Iterator[tuple[str, dict[str, Any], Keys]]:
    if isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, dict):
                yield from _walk_value(inner, f"{path}.{index}", (*keys, index))
    elif isinstance(value, dict) and any(key in value for key in CHOICES):
        yield value.get("$name", path), value, keys
        for place, alternative in enumerate(value.get("$one_of", ())):
            if isinstance(alternative, dict):
                yield from _walk_fields(alternative, f"{path}.{label_of(alternative)}", (*keys, "$one_of", place))
    elif isinstance(value, dict):
        yield from _walk_fields(value, path, keys)


def variables(nodes: Any, problems: list[Problem] | None = None) -> dict[str, Variable]:
    """Every variable by name. Holes of one name must have equal labels or bounds; problems are added to the list."""
    found: dict[str, Variable] = {}
    for name, hole, keys in walk(nodes):
        problem = _range_problem(hole, keys)
        if problem is None:
            variable = variable_of(hole, name)
            problem = _domain_problem(variable, found.get(name), keys)
            found.setdefault(name, variable)
        if problem is not None and problems is not None:
            problems.append(problem)
    return found


def _range_problem(hole: dict[str, Any], keys: Keys) -> Problem | None:
    """A range goes from low to high, in a bounded number of steps."""
    key = next(key for key in CHOICES if key in hole)
    if key == "$one_of":
        return None
    low, high = hole[key]
    if low > high:
        rule = f"a range goes from low to high: {key} [low, high] with low <= high"
        return Problem((*keys, key), rule, short([low, high]), f"write [{high}, {low}]")
    step = hole.get("$step")
    if step is not None and (high - low) / step > 10_000:
        return Problem((*keys, "$step"), "a range has at most 10,000 steps", short(step), "use a larger step")
    if hole.get("$log") and (low <= 0 or step is not None):
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
