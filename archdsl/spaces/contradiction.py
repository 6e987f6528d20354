"""Constraints that contradict each other: the fewest that no choice keeps, found by leaving out one after another."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import NamedTuple

from archdsl.errors import Keys, Problem, one_of, short
from archdsl.json_types import JsonObject, Scalar, object_in
from archdsl.language.searchable_models import LONGEST_SPAN
from archdsl.spaces.enumeration import EveryChoice
from archdsl.spaces.expressions import ExpressionError, Inactive, parse
from archdsl.spaces.names import expressions
from archdsl.spaces.resolve import Choose, Unresolved, resolve, satisfied, values_at
from archdsl.spaces.sampling import draw
from archdsl.spaces.space import Space
from archdsl.spaces.variables import Variable, alternatives_of, variables, walk

DRAWS = 1000
MOST_CHOICES = 20_000
"""Choices of the variables that constraints depend on, up to which all are looked at."""
_MOST_ROUNDS = 40
_MOST_LISTED = 8

Kept = tuple[bool, ...]
"""Whether a choice keeps each constraint."""


class Contradiction(NamedTuple):
    """Constraints, by index, that no choice keeps together, though it keeps any of them fewer."""

    constraints: tuple[int, ...]
    looked_at: int
    is_proven: bool
    """Whether every choice that they depend on was looked at, not only so many at random."""


def contradiction(space: Space) -> Contradiction | None:
    """The constraints that contradict each other, or None where a choice keeps all of them.

    Shape rules are not looked at. Of several contradictions one is told.
    """
    domains, generator = variables(space.nodes), random.Random(0)
    drawn = (_kept(space, lambda name: draw(domains[name], generator)) for _ in range(DRAWS))
    seen = {kept for kept in drawn if kept is not None}
    for _ in range(_MOST_ROUNDS if seen else 0):
        fewest = _fewest(seen, len(space.constraints))
        if fewest is None:
            return None
        looked_at, counter = _refuted(space, domains, fewest)
        if counter is None:
            return Contradiction(fewest, looked_at or DRAWS, looked_at > 0)
        seen.add(counter)
    return None


def contradiction_problems(space: Space) -> list[Problem]:
    """What is wrong with each constraint of a contradiction; empty where there is none."""
    refuted = contradiction(space)
    if refuted is None:
        return []
    if refuted.is_proven and len(refuted.constraints) == 1:
        (index,) = refuted.constraints
        if rule := _of_one_name(space, space.constraints[index]):
            return [Problem(("constraints", index), rule, None, "change or remove it")]
    how = f"none of {refuted.looked_at:,} choices" + ("" if refuted.is_proven else " drawn")
    texts = {index: f"constraints[{index}] ({space.constraints[index]})" for index in refuted.constraints}
    problems = []
    for index in refuted.constraints:
        others = " and ".join(text for other, text in texts.items() if other != index)
        rule = f"{how} keeps the constraint {space.constraints[index]}" + (f" together with {others}" if others else "")
        remedy = "change one of them" if others else "change or remove it"
        problems.append(Problem(("constraints", index), rule, None, remedy))
    return problems


def _kept(space: Space, choose: Choose) -> Kept | None:
    """Which constraints a choice keeps; None for one whose expressions cannot be computed."""
    try:
        point = resolve(space, choose)
    except Unresolved:
        return None

    def keeps(text: str) -> bool:
        try:
            return satisfied(parse(text), point)
        except ExpressionError:
            return False

    return tuple(keeps(text) for text in space.constraints)


def _fewest(seen: set[Kept], count: int) -> tuple[int, ...] | None:
    """Constraints that no choice seen keeps together, none of which can be left out; None if one keeps all."""
    if any(all(kept) for kept in seen):
        return None
    left = list(range(count))
    for index in range(count):
        without = [other for other in left if other != index]
        if not any(all(kept[other] for other in without) for kept in seen):
            left = without
    return tuple(left)


def _refuted(space: Space, domains: dict[str, Variable], subset: tuple[int, ...]) -> tuple[int, Kept | None]:
    """How many choices were looked at, all that there are or none, and one that keeps the subset, if there is one."""
    looked_at = 0
    for choose in _every_choice(space, domains, [space.constraints[index] for index in subset]):
        kept = _kept(space, choose)
        looked_at += 1
        if kept is None:
            return 0, None
        if all(kept[index] for index in subset):
            return looked_at, kept
    return looked_at, None


def _every_choice(space: Space, domains: dict[str, Variable], texts: list[str]) -> Iterable[Choose]:
    """Every choice of the variables that constraints depend on; none where they are too many, or a range."""
    needed = needed_variables(space, texts)
    free = {name: domains[name] for name in needed}
    if not all(variable.values for variable in free.values()):
        return ()
    if math.prod(len(variable.values) for variable in free.values()) > MOST_CHOICES:
        return ()
    others = {name: fixed(variable) for name, variable in domains.items() if name not in needed}
    return EveryChoice(domains | others)


def _of_one_name(space: Space, text: str) -> str:
    """Why no network keeps a constraint on one name: the values that it has; empty where they are many words."""
    names, values = parse(text).names, set[Scalar]()
    if len(names) != 1:
        return ""
    (name,) = names
    for choose in _every_choice(space, variables(space.nodes), [text]):
        with suppress(Unresolved, Inactive):
            value = values_at(resolve(space, choose))(name)
            if isinstance(value, list | dict):
                return ""
            values.add(value)
    listed = _values_text(values)
    return f"no network meets {text}: {name} is {listed}" if listed else ""


def _values_text(values: Collection[Scalar]) -> str:
    """`1 to 3`, `16, 32 or 48`, `'mlp'`; empty for many values that are no numbers."""
    numbers = sorted(value for value in values if isinstance(value, int | float) and not isinstance(value, bool))
    if len(numbers) == len(values) > 2 and numbers == list(range(int(numbers[0]), int(numbers[-1]) + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    if len(values) <= _MOST_LISTED:
        texts = sorted(f"'{value}'" for value in values if isinstance(value, str))
        truths = [short(value) for value in (True, False) if any(value is other for other in values)]
        return one_of([*map(short, numbers), *texts, *truths]) if values else ""
    return f"{short(numbers[0])} to {short(numbers[-1])}" if len(numbers) == len(values) else ""


def fixed(variable: Variable) -> Variable:
    """A variable that has its first value alone, or the low end of its range."""
    return variable._replace(values=variable.values[:1] or (variable.low,))


def needed_variables(space: Space, texts: list[str]) -> set[str]:
    """Variables that expressions may depend on: named, inside what is named, around these, and who reads whom."""
    domains = variables(space.nodes)
    holes = [(name, keys) for name, _, keys in walk(space.nodes)]
    needed = {name for name, hole, keys in walk(space.nodes) if len(keys) == 2 and _reads_differ(hole)}
    todo = [name for text in texts for name in parse(text).names] + list(needed)
    done = set[str]()
    while todo:
        name = todo.pop()
        if name in done:
            continue
        done.add(name)
        if name in domains:
            needed.add(name)
            places = [keys for other, keys in holes if other == name]
            todo += [other for other, keys in holes if any(_decides(keys, place) for place in places)]
            continue
        inside = _inside(space, name)
        todo += [other for other, keys in holes if inside(keys)]
        for keys, text in expressions(space.nodes):
            if inside(keys):
                todo += parse(text).names
    return needed


def _decides(keys: Keys, place: Keys) -> bool:
    """Whether the choice at `keys` decides if that at `place` is made: around it, or a span that may cover it."""
    if place[: len(keys)] == keys:
        return True
    *around, index = keys
    follows = place[: len(around)] == tuple(around) and around[-1] == "blocks" and len(place) >= len(keys)
    other = place[len(around)] if follows else None
    return isinstance(index, int) and isinstance(other, int) and index < other < index + LONGEST_SPAN


def _reads_differ(hole: JsonObject) -> bool:
    """Whether a node's alternatives have sources of their own, so that others may go unread."""
    return any("from" in object_in(alternative) for alternative in alternatives_of(hole))


def _inside(space: Space, name: str) -> Callable[[Keys], bool]:
    """Whether a place is the field that a name stands for, in any alternative of its node, or is that node's hole."""
    node_id, field = name.split(".")[:2]
    index = next(index for index, node in enumerate(space.nodes) if node["id"] == node_id)

    def inside(keys: Keys) -> bool:
        rest = keys[4:] if keys[2:3] == ("$one_of",) else keys[2:]
        is_field = rest[:1] == (field,) or (field, *rest[:1]) == ("depth", "blocks")  # a depth may follow from blocks
        return keys[:2] == ("nodes", index) and (len(keys) == 2 or is_field)

    return inside
