"""Search spaces: from a name or a path to a space that holds, and between its points and backbones."""

from __future__ import annotations

import os
import random
import re
from contextlib import suppress
from itertools import islice, takewhile
from typing import Any

from archdsl import zoo
from archdsl.errors import Problem, SpecError, nearest, short
from archdsl.json_types import Json, JsonObject, Scalar, objects_in
from archdsl.language.arguments import wrong_document
from archdsl.language.canonical import canonical, canonical_hash
from archdsl.language.checking.draft import in_order
from archdsl.language.checking.problems import first, once_a_slip
from archdsl.language.document import Spec
from archdsl.language.text.values import json_values
from archdsl.load.sources import other_kind, source
from archdsl.load.specs import check_kind, check_version, load_spec, located, override, spec_of
from archdsl.spaces.contradiction import contradiction_problems
from archdsl.spaces.draft import space_model, space_problems
from archdsl.spaces.membership import matches
from archdsl.spaces.names import expressions
from archdsl.spaces.resolve import Choices, Choose, Unresolved, resolve
from archdsl.spaces.sampling import broken, draw, drawn_problems, random_point
from archdsl.spaces.space import Space
from archdsl.spaces.variables import variables

__all__ = [
    "choices_of",
    "draw",
    "load_space",
    "parse_space",
    "point",
    "random_point",
    "sample",
    "seed_spec",
    "seeds",
    "space_of",
]

_TRIES = 200
_DIVIDES = re.compile(r"(?<!/)/(?!/)")
_DRAWN = 64
_MOST_MISSES = 1_000
_MOST_OF_A_NAME = 55
"""Characters of a space's name in the name of a point, which has nine more."""
_MOST_MATCHES = 256
"""Choices that are tried before a backbone is no point: alternatives that differ in derived values alone look alike."""


def load_space(document: str | os.PathLike[str] | dict[str, Any]) -> Space:
    """The space of a shipped name, of a JSON file or of a dict, checked and frozen.

    Raises:
        SpecError: the document is refused; `problems` says everything that is wrong, with its place; of a dict its
            JSON path alone.
        UnknownName: there is no such space or file.
        TypeError: it is something else.
    """
    if isinstance(document, dict):
        return space_of(json_values(document))
    if not isinstance(document, str | os.PathLike):
        raise wrong_document("load_space", document, "space")
    return parse_space(*source(document, "space"))


def parse_space(data: bytes, file: str) -> Space:
    """The space in the bytes of a document; `file` is what messages call it.

    Raises:
        SpecError: as `load_space`.
    """
    return located(data, file, space_of, "space")


def space_of(raw: Any) -> Space:
    """The space that Python values describe.

    Beside what its text says, one of its points at least must hold, and its seeds must be points of it.

    Raises:
        SpecError: as `load_space`, without files and lines.
    """
    if not isinstance(raw, dict):
        raise SpecError([Problem((), "a document must be an object", short(raw))])
    check_kind(raw, "space")
    check_version(raw)
    if problems := space_problems(raw):
        raise SpecError(first(in_order(raw, once_a_slip(problems))), shapes_unchecked=True)
    space = space_model(raw)
    problems = drawn_problems(space, _DRAWN) or _no_point_problems(space)
    problems = problems or [problem for index in range(len(space.seeds)) for problem in _seed_problems(space, index)]
    if problems:
        raise SpecError(problems)
    return space


def point(space: Space, choose: Choose, name: str | None = None) -> tuple[Spec, Choices]:
    """The checked backbone of one choice, and the choices that it depends on.

    Raises:
        SpecError: the choice gives no backbone that holds, or breaks a constraint of the space.
    """
    try:
        resolved = resolve(space, choose, name)
    except Unresolved as error:
        raise SpecError([Problem((), str(error))]) from None
    if problems := list(broken(space, resolved)):
        raise SpecError(problems)
    return spec_of(resolved.document), resolved.choices


def sample(space: Space, number: int, seed: int = 0, name: str | None = None) -> list[Spec]:
    """Different valid points, drawn uniformly in each variable; each is called `name` (else the space) and its hash.

    Fewer than asked for are given where 1,000 draws in a row bring no other network.
    """
    domains, generator = variables(space.nodes), random.Random(seed)
    looked_at, found = set[str](), dict[str, Spec]()
    missed = 0
    while len(found) < number and missed < _MOST_MISSES:
        missed += 1
        with suppress(SpecError, Unresolved):
            choices = resolve(space, lambda name: draw(domains[name], generator)).choices
            if (key := repr(choices)) in looked_at:
                continue
            looked_at.add(key)
            spec, _ = point(space, choices.__getitem__)
            digest = canonical_hash(spec)[:8]
            if digest not in found:
                called = f"{(name or space.name)[:_MOST_OF_A_NAME]}-{digest}"
                found[digest], missed = spec.model_copy(update={"name": called}), 0
    return list(found.values())


def seeds(space: Space) -> list[tuple[Spec, Choices]]:
    """The seeds of a space as its own points, each with its choices."""
    points = []
    for index in range(len(space.seeds)):
        choices = choices_of(space, seed_spec(space, index))
        assert choices is not None
        points.append(point(space, choices.__getitem__))
    return points


def seed_spec(space: Space, index: int) -> Spec:
    """The zoo spec of a seed with its overrides, in the space's channels and classes.

    Raises:
        SpecError, UnknownName: there is no such spec or override.
    """
    seed = space.seeds[index]
    name, *assignments = [seed] if isinstance(seed, str) else seed
    return override(load_spec(name), list(assignments))


def choices_of(space: Space, spec: Spec) -> Choices | None:
    """The choices that give a backbone, or None if it is no point of the space.

    Image, channels and nodes are compared, as what they build; classes, training fields and what only a
    dense-prediction build reads are not.
    """
    document: JsonObject = spec.model_dump(mode="json", by_alias=True)
    for choices in islice(matches(space, objects_in(document["nodes"])), _MOST_MATCHES):
        try:
            candidate, used = point(space, choices.__getitem__)
        except (SpecError, KeyError):
            continue
        if _compared(candidate) == _compared(spec):
            return used
    return None


def _compared(spec: Spec) -> JsonObject:
    """What a point and a backbone agree in; of the norm at a stage's end, whether the classifier has it."""
    form = canonical(spec)
    nodes: list[Json] = [node | {"out_norm": node.get("out_norm") == "always"} for node in objects_in(form["nodes"])]
    return {"image": form["image"], "channels": form["channels"], "nodes": nodes}


def _seed_problems(space: Space, index: int) -> list[Problem]:
    keys = ("seeds", index)
    seed = space.seeds[index]
    name, *assignments = seed if isinstance(seed, list | tuple) and seed else [seed]
    if not all(isinstance(text, str) for text in (name, *assignments)):
        rule = "a seed must be a zoo name, or [name, override, ...]"
        return [Problem(keys, rule, short(seed), 'write "litv2_s", or ["litv2_s", "image=64"]')]
    if other := other_kind(name, "arch"):
        return [Problem(keys, other, None, "name a backbone")]
    if name not in zoo.names():
        return [Problem(keys, "no such zoo name", short(name), nearest(name, zoo.names()))]
    try:
        spec = seed_spec(space, index)
    except SpecError as error:
        return [Problem(keys, *_of_another(problem)) for problem in error.problems]
    if choices_of(space, spec) is None:
        rule = f"the seed is not a network of the space{_difference(space, spec)}"
        return [Problem(keys, rule, short(seed), "change its overrides or the space")]
    return []


def _of_another(problem: Problem) -> tuple[str, str | None, str | None]:
    """A problem of another document, with its path there in the rule."""
    rule = f"{problem.path}: {problem.rule}" if problem.keys else problem.rule
    return rule, problem.value, problem.remedy


def _difference(space: Space, spec: Spec) -> str:
    """Why a seed is no point, where that is plain."""
    for field in ("image", "channels"):
        if getattr(spec, field) != getattr(space, field):
            return f": its {field} is {short(getattr(spec, field))}, the space's {short(getattr(space, field))}"
    ids = {node["id"] for node in space.nodes}
    missing = [node.id for node in spec.nodes if node.id not in ids]
    return f": the space has no node '{missing[0]}'" if missing else ""


def _no_point_problems(space: Space) -> list[Problem]:
    """A space must have a point: else the constraints that contradict each other, or the first point's problems."""
    generator, first = random.Random(0), list[Problem]()
    domains = variables(space.nodes)
    for _ in range(_TRIES):
        drawn: Choices = {}

        def draw_once(name: str, drawn: Choices = drawn) -> Scalar:
            if name not in drawn:
                drawn[name] = draw(domains[name], generator)
            return drawn[name]

        try:
            point(space, draw_once)
            return []
        except SpecError as error:
            first = first or [_in_the_space(space, draw_once, problem) for problem in error.problems]
    if problems := contradiction_problems(space):
        return problems
    problem = first[0]
    rule = f"none of {_TRIES} networks drawn from the space is valid; the first one fails because {problem.rule}"
    return [problem._replace(rule=rule)]


def _in_the_space(space: Space, choose: Choose, problem: Problem) -> Problem:
    """A problem of a point at its place in the space's document, as far as the two agree."""
    if problem.keys[:1] != ("nodes",) or len(problem.keys) < 2:
        return problem
    with suppress(Unresolved):
        index = problem.keys[1]
        assert isinstance(index, int)
        node_id = resolve(space, choose).nodes[index]["id"]
        place = next(number for number, node in enumerate(space.nodes) if node["id"] == node_id)
        fields = tuple(takewhile(lambda key: isinstance(key, str), problem.keys[2:]))
        return _of_an_expression(space, problem._replace(keys=("nodes", place, *fields)))
    return problem._replace(keys=())


def _of_an_expression(space: Space, problem: Problem) -> Problem:
    """A value that is no integer because an expression divides, told at the expression."""
    if not problem.rule.endswith("must be an integer"):
        return problem
    for keys, text in expressions(space.nodes):
        if keys[:-1][: len(problem.keys)] == problem.keys and keys[-1] == "$expr" and _DIVIDES.search(text):
            return problem._replace(keys=keys, remedy=f"write // instead of /: {_DIVIDES.sub('//', text)}")
    return problem
