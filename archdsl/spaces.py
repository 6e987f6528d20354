"""Search spaces: from a name or a path to a space that holds, and between its points and backbones."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

from archdsl.errors import Problem, SpecError, short
from archdsl.load import check_kind, load_spec, located, override, source, spec_of
from archdsl.schema.canonical import canonical
from archdsl.schema.document import Spec
from archdsl.schema.expressions import ExpressionError, parse
from archdsl.schema.holes import Point, Unresolved, resolve, satisfied
from archdsl.schema.membership import matches
from archdsl.schema.space import Space
from archdsl.schema.space_draft import space_model, space_problems
from archdsl.schema.variables import Variable, variables

_TRIES = 200


def load_space(name_or_path: str | os.PathLike[str]) -> Space:
    """The space of a shipped name or of a JSON file, checked and frozen.

    Raises:
        SpecError: the document is refused; `problems` says everything that is wrong, with its place.
        UnknownName: there is no such space or file.
    """
    return parse_space(*source(name_or_path))


def parse_space(data: bytes, file: str) -> Space:
    """The space in the bytes of a document; `file` is what messages call it.

    Raises:
        SpecError: as `load_space`.
    """
    space: Space = located(data, file, space_of)
    return space


def space_of(raw: Any) -> Space:
    """The space that Python values describe.

    Beside what its text says, one of its points at least must hold, and its seeds must be points of it.

    Raises:
        SpecError: as `load_space`, without files and lines.
    """
    if not isinstance(raw, dict):
        raise SpecError([Problem((), "a document must be an object", short(raw))])
    check_kind(raw, "space")
    if problems := space_problems(raw):
        raise SpecError(problems)
    space = space_model(raw)
    found = [problem for index in range(len(space.seeds)) for problem in _seed_problems(space, index)]
    if found or (found := _no_point_problems(space)):
        raise SpecError(found)
    return space


def point(space: Space, choose: Callable[[str], Any], name: str | None = None) -> tuple[Spec, dict[str, Any]]:
    """The checked backbone of one choice, and the choices that it depends on.

    Raises:
        SpecError: the choice gives no backbone that holds, or breaks a constraint of the space.
    """
    try:
        found = resolve(space, choose, name)
        broken = next((text for text in space.constraints if not satisfied(parse(text), found)), None)
    except (Unresolved, ExpressionError) as error:
        raise SpecError([Problem((), str(error))]) from None
    if broken is not None:
        index = space.constraints.index(broken)
        raise SpecError([Problem(("constraints", index), f"the constraint {broken} does not hold")])
    return spec_of(found.document), found.choices


def random_point(space: Space, generator: random.Random) -> Point:
    """One choice, uniform in each variable; it may still break a constraint or a shape rule.

    Raises:
        Unresolved: an expression cannot be computed.
    """
    known = variables(space.nodes)
    return resolve(space, lambda name: draw(known[name], generator))


def draw(variable: Variable, generator: random.Random) -> Any:
    """A value of a variable, uniform (by ratio where it says so)."""
    if variable.values:
        return generator.choice(variable.values)
    if variable.log:
        return variable.low * (variable.high / variable.low) ** generator.random()
    return generator.uniform(variable.low, variable.high)


def seeds(space: Space) -> list[tuple[Spec, dict[str, Any]]]:
    """The seeds of a space as its own points, each with its choices."""
    found = []
    for index in range(len(space.seeds)):
        choices = choices_of(space, seed_spec(space, index))
        assert choices is not None
        found.append(point(space, choices.__getitem__))
    return found


def seed_spec(space: Space, index: int) -> Spec:
    """The zoo spec of a seed with its overrides, in the space's channels and classes.

    Raises:
        SpecError, UnknownName: there is no such spec or override.
    """
    seed = space.seeds[index]
    name, *assignments = [seed] if isinstance(seed, str) else seed
    return override(load_spec(name), list(assignments))


def choices_of(space: Space, spec: Spec) -> dict[str, Any] | None:
    """The choices that give a backbone, or None if it is no point of the space.

    Image, channels and nodes are compared, as what they build; classes, training fields and what only a
    dense-prediction build reads are not.
    """
    document = spec.model_dump(mode="json", by_alias=True)
    for choices in matches(space, document["nodes"]):
        try:
            found, used = point(space, choices.__getitem__)
        except (SpecError, KeyError):
            continue
        if _compared(found) == _compared(spec):
            return used
    return None


def _compared(spec: Spec) -> dict[str, Any]:
    form = canonical(spec)
    nodes = [{key: value for key, value in node.items() if key != "out_norm"} for node in form["nodes"]]
    return {"image": form["image"], "channels": form["channels"], "nodes": nodes}


def _seed_problems(space: Space, index: int) -> list[Problem]:
    keys = ("seeds", index)
    seed = space.seeds[index]
    if not isinstance(seed, str) and not (
        isinstance(seed, list | tuple) and all(isinstance(s, str) for s in seed) and seed
    ):
        return [Problem(keys, "a seed is a zoo name, or [name, override, ...]", short(seed))]
    try:
        spec = seed_spec(space, index)
    except SpecError as error:
        return [Problem(keys, problem.rule, problem.value, problem.remedy) for problem in error.problems]
    except Exception as error:
        return [Problem(keys, str(error))]
    if choices_of(space, spec) is None:
        return [Problem(keys, "the seed is no point of the space", short(seed), "change its overrides or the space")]
    return []


def _no_point_problems(space: Space) -> list[Problem]:
    """A space must have a point; the first point's problems are told if none of many has none."""
    generator = random.Random(0)
    first: list[Problem] = []
    known = variables(space.nodes)
    for _ in range(_TRIES):
        try:
            point(space, lambda name: draw(known[name], generator))
            return []
        except SpecError as error:
            first = first or list(error.problems)
    told = [problem for problem in first if problem.keys[:1] == ("constraints",)] or first
    rule = f"none of {_TRIES} points drawn from the space holds; the first one fails by: {told[0].path}: {told[0].rule}"
    return [Problem((), rule, told[0].value, told[0].remedy)]
