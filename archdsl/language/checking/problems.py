"""What pydantic finds, told in the language's words: the place in the document, the rule, the value, the remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from archdsl.errors import Keys, Problem, nearest, nearest_only, one_of, short
from archdsl.families.common.fields import TAG_MARK, type_name
from archdsl.json_types import Json, JsonObject
from archdsl.language import introspection
from archdsl.language.checking.fitting_types import misspelt_type, untyped
from archdsl.language.checking.meant_holes import (
    BESIDE,
    OF_ALTERNATIVES,
    ONLY_IN_SPACES,
    WHERE_SPANS_STAND,
    hole_meant,
    meant_remedy,
    misspelt_hole,
)
from archdsl.language.checking.remedies import BOUNDS, EXAMPLES, MUST_BE, as_meant, default, number_text, what_fits
from archdsl.language.header import SPACE_FIELDS
from archdsl.language.introspection import Location
from archdsl.language.nodes import Node
from archdsl.language.patterns import REMEDIES
from archdsl.language.searchable_models import HOLES, SPAN, SearchableModel
from archdsl.language.sizes import size_remedy
from archdsl.language.text.reader import MAX_PROBLEMS
from archdsl.language.type_forms import Form

MOST_FINDINGS = 16
"""Told of one part; of one document, the same number as of unreadable values."""

_ITEMS = {
    "nodes": "a node",
    "blocks": "a block",
    "from": "a source",
    "image": "a side of the image",
    "features": "a feature",
    "$one_of": "an alternative",
    "$int": "an end of the range",
    "$float": "an end of the range",
    "constraints": "a constraint",
    "objectives": "an objective",
    "budgets": "a budget",
}
"""What messages call an item of a list."""
_PAIRS = {"$int": "[low, high]", "$float": "[low, high]"}
_ARE_TYPED = ("union_tag_not_found", "union_tag_invalid")
_SPACES_HAVE_IT = 'documents of "kind": "space" alone have it'
_OF_LISTS = ("too_short", "too_long", "tuple_type", "list_type")


def problems_of(error: ValidationError, model: type[BaseModel], prefix: Keys = ()) -> list[Problem]:
    """The findings of one validation; `prefix` is where the validated value stands in the document.

    Of a great many the first are told and the others counted: what was never meant as a part of a spec is refused in
    no time, too.
    """
    problems: dict[tuple[Keys, str], Problem] = {}
    findings = error.errors(include_url=False)
    for finding in findings[:MOST_FINDINGS]:
        problem = _problem(finding, model, prefix)
        if problem is not None:
            problems[problem.keys, problem.rule] = problem
    return [*problems.values(), *_more(list(problems.values()), len(findings) - MOST_FINDINGS)]


def first(problems: list[Problem]) -> list[Problem]:
    """The first of a great many problems, and the number of the others."""
    return [*problems[:MAX_PROBLEMS], *_more(problems[:MAX_PROBLEMS], len(problems) - MAX_PROBLEMS)]


def once_a_slip(problems: Sequence[Problem]) -> list[Problem]:
    """Problems without those that follow from a misspelt field: it is unknown, and so its right name is missing."""
    found = ((problem, re.fullmatch(r"did you mean '(.+)'\?", problem.remedy or "")) for problem in problems)
    renamed = {(problem.keys[:-1], meant[1]) for problem, meant in found if meant is not None and problem.at_key}
    return [problem for problem in problems if (problem.keys, problem.rule.removesuffix(" is required")) not in renamed]


def as_a_space(problems: Sequence[Problem]) -> list[Problem]:
    """Problems of a backbone's document; that it is written as a space, with choices, is said once."""
    only = [problem for problem in problems if problem.remedy in (ONLY_IN_SPACES, _SPACES_HAVE_IT)]
    holes = [problem for problem in only if problem.remedy == ONLY_IN_SPACES]
    if len(only) < 2 or not holes:
        return [*problems]
    places = f"at {holes[0].path}" + (f" and {len(holes) - 1} more" if len(holes) > 1 else "")
    rule = f"the document has choices, such as $one_of or $int, {places}; only a search space has them"
    told = Problem(("kind",), rule, None, 'write "kind": "space"')
    return [told, *(problem for problem in problems if problem not in only)]


def _more(shown: list[Problem], more: int) -> list[Problem]:
    return [shown[-1]._replace(rule=f"{more} more problems like these", value=None, remedy=None)] if more > 0 else []


def _problem(finding: ErrorDetails, model: type[BaseModel], prefix: Keys) -> Problem | None:
    loc: Location = finding["loc"]
    value: Json = finding["input"]
    keys: Keys = prefix + tuple(key for key in loc if not str(key).startswith(TAG_MARK))
    kind, context, name = finding["type"], finding.get("ctx", {}), _name(keys)
    if kind == "missing":
        return _missing(keys, value)
    if kind == "extra_forbidden":
        if (field := introspection.former_names(introspection.at(model, loc[:-1])).get(name)) is not None:
            rule = f"{name} is the former name of {field}, which has another value"
            return Problem(keys, rule, short(value), f"remove {name}", at_key=True)
        owner, names = _owner(keys, loc, model)
        if name == SPAN:
            return Problem(keys, f"{owner} has no field '{SPAN}'", None, WHERE_SPANS_STAND, at_key=True)
        in_space = any(key.startswith("$") for key in names)
        meant = nearest(name, names)
        if name.startswith("$") and not in_space:
            meant = (name not in HOLES and nearest_only(name.removeprefix("$"), names)) or ONLY_IN_SPACES
        if len(keys) == 1 and name in SPACE_FIELDS:
            meant = _SPACES_HAVE_IT
        return Problem(keys, f"{owner} has no field {_quoted(name)}", None, meant, at_key=True)
    annotation = introspection.at(model, loc)
    if kind in _ARE_TYPED and (slip := misspelt_type(keys, value, name)) is not None:
        return slip
    if _is_hole(value, issubclass(model, SearchableModel)):
        return _hole(keys, value, model, loc)
    left_out = default(model, loc) if value is None else None
    chosen = None if kind in _OF_LISTS else _meant_choice(model, loc, value)
    if keys == ("image",) and kind not in BOUNDS:
        remedy = chosen if misspelt_hole(value) else size_remedy(value)
        return Problem(keys, "image must be an integer or [height, width]", short(value), remedy)
    if kind in _ARE_TYPED:
        problem = untyped(keys, value, introspection.types(annotation), name, issubclass(model, SearchableModel))
        return problem._replace(remedy=left_out or chosen or problem.remedy)
    if kind == "too_short" and isinstance(value, list | tuple) and len(value) >= context["min_length"]:
        return None  # pydantic leaves out items that it refuses, and counts the rest
    if kind == "too_long" and name in _PAIRS:
        return _no_pair(keys, value)
    rule, offered = _rule(kind, context, finding["msg"], name)
    if kind == "literal_error" and isinstance(value, str):
        offered = nearest_only(value, re.findall("'([^']*)'", context["expected"])).replace("'", '"')
    listed = isinstance(keys[-1], int) if keys else False
    intended = None if listed and chosen else as_meant(kind, value)
    return Problem(keys, rule, short(value), left_out or offered or intended or chosen or what_fits(kind, annotation))


def _meant_choice(model: type[BaseModel], loc: Location, value: Json) -> str | None:
    """What to write instead of a bare list, or of an object that was meant as a hole."""
    holes = _holes_at(model, loc)
    if issubclass(model, SearchableModel) and not holes:
        in_list = isinstance(loc[-1], int) and isinstance(value, list)
        return f'for a choice of lists write {{"$one_of": [{short(value)}, ...]}}' if in_list else None
    types = introspection.types(introspection.at(model, loc))
    if isinstance(value, list) and value and all(item in types for item in value if isinstance(item, str)):
        value = [{"type": item} if isinstance(item, str) else item for item in value]
    return meant_remedy(value, holes, issubclass(model, Node | SearchableModel))


def _holes_at(model: type[BaseModel], loc: Location) -> list[str]:
    """The holes that may stand for the whole value at a location, whatever was taken for its type."""
    while loc and str(loc[-1]).startswith(TAG_MARK):
        loc = loc[:-1]
    return _holes(introspection.at(model, loc))


def _holes(annotation: Form | None) -> list[str]:
    return [kind for kind in introspection.types(annotation) if kind.startswith("$")]


def _hole(keys: Keys, value: JsonObject, model: type[BaseModel], loc: Location) -> Problem:
    """A hole where none may stand, or one that is not known."""
    name, written = (
        _name(keys),
        next((key for key in value if key[:1] == "$" and key not in (*BESIDE, *OF_ALTERNATIVES)), next(iter(value))),
    )
    fitting = _holes(introspection.at(model, loc))
    if fitting:
        if written not in HOLES:
            return _no_such_hole(keys, value, written, fitting)
        return Problem(keys, f"{name} takes no {written}", None, f"write a value, or a hole: {one_of(fitting)}")
    if not issubclass(model, SearchableModel):
        return Problem(keys, f"{name} must not be a hole", short(value), ONLY_IN_SPACES)
    if written in HOLES:
        return Problem(keys, f"{name} must not be a hole", short(value), "write a value")
    return _no_such_hole(keys, value, written, _holes_at(model, loc))


def _no_such_hole(keys: Keys, value: JsonObject, written: str, holes: list[str]) -> Problem:
    """A hole by a name that holes do not have."""
    meant = hole_meant(written)
    remedy = meant_remedy(value, holes or HOLES, True) or nearest(meant or written, HOLES)
    return Problem((*keys, written), f"no such hole: {_quoted(written)}", None, remedy, at_key=True)


def _missing(keys: Keys, value: Json) -> Problem:
    """A field that is not there, or an item of a list of fixed length."""
    name = keys[-1]
    if isinstance(name, int):
        return _no_pair(keys[:-1], value)  # lists of a fixed length are pairs
    return Problem(keys[:-1], f"{name} is required", None, f'add "{name}": {EXAMPLES.get(name, "...")}')


def _no_pair(keys: Keys, value: Json) -> Problem:
    name = _name(keys)
    remedy = size_remedy(value) if name == "image" else f"write {_PAIRS.get(name, '[..., ...]')}"
    return Problem(keys, f"{name} must have 2 items", short(value), remedy)


def _rule(kind: str, context: Mapping[str, Any], message: str, name: str) -> tuple[str, str | None]:
    """The rule and the remedy of a finding about a value."""
    if kind in MUST_BE:
        return f"{name} must be {MUST_BE[kind]}", None
    if kind in BOUNDS:
        words, key = BOUNDS[kind]
        return f"{name} must be {words} {number_text(context[key])}", None
    if kind == "literal_error":
        return f"{name} must be {context['expected'].replace(chr(39), chr(34))}", None
    if kind in ("too_short", "too_long"):
        words, limit = ("at least", "min_length") if kind == "too_short" else ("at most", "max_length")
        rule = f"{name} must have {words} {context[limit]} item{'s' * (context[limit] != 1)}"
        return rule, "add one" if kind == "too_short" else "remove some"
    if kind == "string_pattern_mismatch":
        return f"{name} must match {context['pattern']}", REMEDIES[context["pattern"]]
    if kind == "string_too_long":
        return f"{name} must have at most {context['max_length']} characters", "write a shorter one"
    return f"{name}: {message[:1].lower()}{message[1:]}", None


def _is_hole(value: Json, in_space: bool) -> TypeGuard[JsonObject]:
    """Whether an object is a hole, or was meant as one; in a backbone a key with `$` may be a mere slip."""
    written = [str(key) for key in value] if isinstance(value, dict) else []
    keys = [key for key in written if key.startswith("$") and key not in OF_ALTERNATIVES]
    return bool(keys) and (in_space or any(hole_meant(key) is not None for key in keys))


def _name(keys: Keys) -> str:
    """What a message calls the value at a place: its field, or what the items of a list are."""
    if not keys:
        return "the document"
    if isinstance(keys[-1], str):
        return keys[-1]
    owner = keys[-2] if len(keys) > 1 else "item"
    return _ITEMS.get(str(owner), f"an item of {owner}")


def _quoted(name: str) -> str:
    return f"'{name}'" if len(name) <= 60 and name.isprintable() else short(name)


def _owner(keys: Keys, loc: Location, model: type[BaseModel]) -> tuple[str, list[str]]:
    """Whose field it would be, and the fields that it has."""
    inner = (introspection.models(introspection.at(model, loc[:-1])) or [model])[0]
    names = list(introspection.fields(inner))
    if "type" in names:
        return type_name(inner), names
    if "kind" in names:
        return "the document", [*names, "nodes"]
    tags = [key.removeprefix(TAG_MARK) for key in loc[:-1] if isinstance(key, str) and key.startswith(TAG_MARK)]
    return tags[-1] if tags else _name(keys[:-1]), names
