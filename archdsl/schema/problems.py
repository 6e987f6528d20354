"""What pydantic finds, told in the language's words: the place in the document, the rule, the value, the remedy."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from archdsl.blocks.fields import TAG_MARK, type_name
from archdsl.errors import Keys, Problem, nearest, one_of, short
from archdsl.schema import introspection
from archdsl.schema.lift import HOLES, Twin
from archdsl.schema.patterns import REMEDIES
from archdsl.schema.reader import MAX_PROBLEMS

MOST_FINDINGS = 16
"""Told of one part; of one document, the same number as of unreadable values."""

_MUST_BE = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
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
_PAIRS = {"image": "[height, width]", "$int": "[low, high]", "$float": "[low, high]"}
_ARE_TYPED = ("union_tag_not_found", "union_tag_invalid")
_ONLY_IN_SPACES = 'holes stand in the nodes of documents of "kind": "space" only'


def problems_of(error: ValidationError, model: type[BaseModel], prefix: Keys = ()) -> list[Problem]:
    """The findings of one validation; `prefix` is where the validated value stands in the document.

    Of a great many the first are told and the others counted: what was never meant as a part of a spec is refused in
    no time, too.
    """
    found: dict[tuple[Keys, str], Problem] = {}
    findings = error.errors(include_url=False)
    for finding in findings[:MOST_FINDINGS]:
        problem = _problem(finding, model, prefix)
        if problem is not None:
            found[problem.keys, problem.rule] = problem
    return [*found.values(), *_more(list(found.values()), len(findings) - MOST_FINDINGS)]


def first(problems: list[Problem]) -> list[Problem]:
    """The first of a great many problems, and the number of the others."""
    return [*problems[:MAX_PROBLEMS], *_more(problems[:MAX_PROBLEMS], len(problems) - MAX_PROBLEMS)]


def _more(told: list[Problem], more: int) -> list[Problem]:
    return [told[-1]._replace(rule=f"{more} more problems like these", value=None, remedy=None)] if more > 0 else []


def untyped(keys: Keys, value: Any, known: list[str], name: str) -> Problem:
    """An object without a type, or with one that is not known; `name` is what messages call it."""
    offer = f"one of {', '.join(known)}"
    if not isinstance(value, dict):
        meant = isinstance(value, str) and value in known
        remedy = f'write {{"type": {short(value)}}}' if meant else f'write {{"type": ...}} with {offer}'
        return Problem(keys, f"{name} must be an object", short(value), remedy)
    if "type" not in value:
        return Problem(keys, f"{name} needs a type", None, f'add "type": {offer}')
    written = value["type"]
    if not isinstance(written, str):
        return Problem((*keys, "type"), "type must be a string", short(written), f"write {offer}")
    kind = name.removeprefix("a ").removeprefix("an ")
    return Problem((*keys, "type"), f"no such type of {kind}", short(written), nearest(written, known))


def _problem(finding: Mapping[str, Any], model: type[BaseModel], prefix: Keys) -> Problem | None:
    loc, value = finding["loc"], finding["input"]
    keys: Keys = prefix + tuple(key for key in loc if not str(key).startswith(TAG_MARK))
    kind, context, name = finding["type"], finding.get("ctx", {}), _name(keys)
    if kind == "missing":
        return _missing(keys, value)
    if kind == "extra_forbidden":
        if (field := introspection.former_names(introspection.at(model, loc[:-1])).get(name)) is not None:
            rule = f"{name} is the former name of {field}, which is given too and differs"
            return Problem(keys, rule, short(value), f"remove {name}", at_key=True)
        owner, known = _owner(keys, loc, model)
        in_space = any(key.startswith("$") for key in known)
        meant = nearest(name, known) if in_space or not name.startswith("$") else _ONLY_IN_SPACES
        return Problem(keys, f"{owner} has no field {_quoted(name)}", None, meant, at_key=True)
    annotation = introspection.at(model, loc)
    if _is_hole(value) and (refused := _hole(keys, value, model, annotation)):
        return refused
    default = _default(model, loc) if value is None else None
    if kind in _ARE_TYPED:
        problem = untyped(keys, value, introspection.types(annotation), name)
        return problem._replace(remedy=default) if default else problem
    if kind == "too_short" and len(value) >= context["min_length"]:
        return None  # pydantic leaves out items that it refuses, and counts the rest
    if kind == "too_long" and name in _PAIRS:
        return _no_pair(keys, value)
    rule, told = _rule(kind, context, finding["msg"], name)
    if kind == "literal_error" and isinstance(value, str):
        told = nearest(value, re.findall("'([^']*)'", context["expected"])).replace("'", '"')
    remedy = default or told or _as_meant(kind, value) or _what_fits(kind, annotation)
    return Problem(keys, rule, short(value), remedy)


def _hole(keys: Keys, value: dict[str, Any], model: type[BaseModel], annotation: Any) -> Problem | None:
    """A hole where none may stand, or one that is not known."""
    name, written = _name(keys), next(key for key in value if key.startswith("$"))
    known = [kind for kind in introspection.types(annotation) if kind.startswith("$")]
    if known:
        return Problem(keys, f"{name} takes no {written}", None, f"write a value, or a hole: {one_of(known)}")
    if not issubclass(model, Twin):
        return Problem(keys, f"{name} must not be a hole", short(value), _ONLY_IN_SPACES)
    if written in HOLES:
        return Problem(keys, f"{name} must not be a hole", short(value), "write a value")
    return Problem((*keys, written), f"no such hole: {_quoted(written)}", None, nearest(written, HOLES), at_key=True)


def _missing(keys: Keys, value: Any) -> Problem:
    """A field that is not there, or an item of a list of fixed length."""
    name = keys[-1]
    if isinstance(name, int):
        return _no_pair(keys[:-1], value)  # lists of a fixed length are pairs
    example = '"version": 1' if name == "version" else f'"{name}": ...'
    return Problem(keys[:-1], f"{name} is required", None, f"add {example}")


def _no_pair(keys: Keys, value: Any) -> Problem:
    name = _name(keys)
    return Problem(keys, f"{name} must have 2 items", short(value), f"write {_PAIRS.get(name, '[..., ...]')}")


def _rule(kind: str, context: Mapping[str, Any], message: str, name: str) -> tuple[str, str | None]:
    """The rule and the remedy of a finding about a value."""
    if kind in _MUST_BE:
        return f"{name} must be {_MUST_BE[kind]}", None
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"{name} must be {words} {_number(context[key])}", None
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


def _as_meant(kind: str, value: Any) -> str | None:
    """The value that was meant, where it can be told: `"3"` and `3.0` for 3, `"true"` and 1 for true."""
    if kind in ("int_type", "int_from_float", "float_type"):
        number = _number_in(value)
        whole = number is not None and number.is_integer() and abs(number) < 1e15
        if number is None or isinstance(value, bool) or (kind != "float_type" and not whole):
            return None
        return f"write {int(number) if whole else number}"
    if kind == "bool_type" and str(value).lower() in ("true", "false", "0", "1"):
        return f"write {'true' if str(value).lower() in ('true', '1') else 'false'}"
    return f"write [{short(value)}]" if kind in ("tuple_type", "list_type") and isinstance(value, str) else None


def _what_fits(kind: str, annotation: Any) -> str | None:
    """What to write instead of a value that says nothing of what was meant."""
    if kind in ("tuple_type", "list_type"):
        return "write [...]"
    if kind == "string_type":
        return "write text in double quotes"
    if _MUST_BE.get(kind) == "an object":
        known = [name for model in introspection.models(annotation) for name in introspection.fields(model)]
        return f"write an object with some of {', '.join(known)}" if known else None
    return _interval(introspection.bounds(annotation))


def _number_in(value: Any) -> float | None:
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _is_hole(value: Any) -> bool:
    return isinstance(value, dict) and any(str(key).startswith("$") for key in value)


def _default(model: type[BaseModel], loc: tuple[Any, ...]) -> str | None:
    """What a null may stand for; None for a field without a default."""
    field = introspection.field_at(model, loc)
    if field is None or field.default is PydanticUndefined or field.default is None:
        return None
    default = field.default
    written = default.model_dump(exclude_defaults=True) if isinstance(default, BaseModel) else default
    return f"leave it out for the default, {json.dumps(written)}"


def _interval(found: Mapping[str, float]) -> str | None:
    """`use 1 to 64`: what is inside the bounds."""
    if {"ge", "le"} <= set(found):
        low, high = _number(found["ge"]), _number(found["le"])
        return f"use {low}" if low == high else f"use {low} to {high}"
    words = [f"{words} {_number(found[key])}" for words, key in _BOUNDS.values() if key in found]
    return f"use {' and '.join(words)}" if words else None


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) and math.isfinite(value) else str(value)


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


def _owner(keys: Keys, loc: tuple[Any, ...], model: type[BaseModel]) -> tuple[str, list[str]]:
    """Whose field it would be, and the fields that it has."""
    inner = (introspection.models(introspection.at(model, loc[:-1])) or [model])[0]
    known = list(introspection.fields(inner))
    if "type" in known:
        return type_name(inner), known
    if "kind" in known:
        return "the document", [*known, "nodes"]
    tags = [key.removeprefix(TAG_MARK) for key in loc[:-1] if str(key).startswith(TAG_MARK)]
    return tags[-1] if tags else _name(keys[:-1]), known
