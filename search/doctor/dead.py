"""Values of a space that occur in no valid network, each with why and where."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from archdsl.errors import Keys, Problem, short
from archdsl.json_types import JsonObject, Scalar
from archdsl.search.doctor.points import Points
from archdsl.search.doctor.survey import Survey, Value
from archdsl.search.network import Choices
from archdsl.spaces.sampling import draw
from archdsl.spaces.space import Space
from archdsl.spaces.spans import block_alternatives
from archdsl.spaces.variables import Variable, alternatives_of, label_of, span_of, variables, walk


class Dead(NamedTuple):
    """A value that no valid network has."""

    name: str
    value: Scalar
    keys: Keys
    """Where it is written."""
    reasons: tuple[tuple[Problem, int], ...]
    """Why choices with it were no networks, and how many, the most frequent first."""
    looked_at: int
    """Choices with it that were looked at."""
    is_proven: bool
    """Whether these were all that there are."""


class Hole(NamedTuple):
    """One place of a variable, and the choices around it that bring it about."""

    hole: JsonObject
    keys: Keys
    around: Choices
    before: Choices
    """Of a position of a sequence, choices at those before it that do not cover it."""


def dead_values(space: Space, points: Points, survey: Survey, draws: int) -> list[Dead]:
    """The dead values in document order; what stands inside a dead alternative is not told again.

    `draws` choices are drawn with a value before it is called dead, where the space was not looked at as a whole.
    """
    holes = holes_of(space)
    dead_by_value: dict[Value, Dead] = {}
    for name, variable in variables(space.nodes).items():
        for value in variable.values:
            if (name, value) in survey.alive:
                continue
            places = [
                place for place in holes[name] if not any(outer in dead_by_value for outer in place.around.items())
            ]
            dead = _dead(space, points, survey, draws, name, value, places) if places else None
            if dead is not None:
                dead_by_value[name, value] = dead
    return list(dead_by_value.values())


def holes_of(space: Space) -> dict[str, list[Hole]]:
    """The places of every variable; what stands around a place comes before it."""
    written = {keys: (name, hole) for name, hole, keys in walk(space.nodes)}
    holes_by_name: dict[str, list[Hole]] = {}
    for keys, (name, hole) in written.items():
        around: Choices = {}
        for length, key in enumerate(keys):
            if key == "$one_of" and keys[:length] in written:
                outer, alternatives = written[keys[:length]]
                place = keys[length + 1]
                assert isinstance(place, int)
                around[outer] = label_of(alternatives_of(alternatives)[place])
        holes_by_name.setdefault(name, []).append(Hole(hole, keys, around, _uncovering(written, keys)))
    return holes_by_name


def _uncovering(written: Mapping[Keys, tuple[str, JsonObject]], keys: Keys) -> Choices:
    """For each position before the one at which a place is, the first choice there whose span ends in time."""
    choices: Choices = {}
    for length, key in enumerate(keys):
        index = keys[length + 1] if key == "blocks" and length + 1 < len(keys) else 0
        assert isinstance(index, int)
        for other in range(index):
            name, hole = written.get((*keys[: length + 1], other), ("", {}))
            short_enough = [label_of(each) for each in block_alternatives(hole) if span_of(each) <= index - other]
            choices |= {name: short_enough[0]} if short_enough else {}
    return choices


def _dead(
    space: Space, points: Points, survey: Survey, draws: int, name: str, value: Scalar, places: list[Hole]
) -> Dead | None:
    """Why a value that was not seen in a network is dead; None if it is alive after all."""
    blame = survey.blame.get((name, value), Counter[Problem]())
    if not survey.is_whole:
        drawn = _blame_of_drawn(space, points, draws, name, value, places)
        if drawn is None:
            return None
        blame = drawn
    keys = value_keys(places[0], value)
    return Dead(name, value, keys, tuple(blame.most_common(2)), blame.total(), survey.is_whole)


def _blame_of_drawn(
    space: Space, points: Points, draws: int, name: str, value: Scalar, places: list[Hole]
) -> Counter[Problem] | None:
    """Why choices drawn with a value are no networks; None as soon as one is."""
    blame = Counter[Problem]()
    for choices in _drawn_with(variables(space.nodes), draws, name, value, places):
        looked = points.look(choices.__getitem__)
        if looked.network is not None:
            return None
        if looked.problem is not None:
            blame[looked.problem] += 1
    return blame


def _drawn_with(
    by_name: dict[str, Variable], draws: int, name: str, value: Scalar, places: list[Hole]
) -> Iterator[Choices]:
    """Choices at random that have a value, in each of its places in turn."""
    generator = random.Random(0)
    for index in range(draws):
        place = places[index % len(places)]
        forced = place.before | place.around | {name: value}
        yield {other: draw(variable, generator) for other, variable in by_name.items()} | forced


def value_keys(place: Hole, value: Scalar) -> Keys:
    """Where a value is written; one of a range, where the range is."""
    alternatives = place.hole.get("$one_of")
    if isinstance(alternatives, list | tuple):
        return (*place.keys, "$one_of", [label_of(alternative) for alternative in alternatives].index(value))
    return (*place.keys, "$int" if "$int" in place.hole else "$float")


def dead_value_problem(dead: Dead) -> Problem:
    """A dead value as something to be told at its place."""
    how = (
        "no valid network has it"
        if dead.is_proven
        else f"none of {dead.looked_at:,} combinations drawn with it is valid"
    )
    reasons = "; ".join(
        f"{count} of {dead.looked_at}: {problem}" if count < dead.looked_at else str(problem)
        for problem, count in dead.reasons
    )
    return Problem(dead.keys, f"{dead.name} = {short(dead.value)} is dead: {how}: {reasons}")
