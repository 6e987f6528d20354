"""What pydantic finds, told in the language's words: the place in the document, the rule, the value, the remedy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from archdsl.blocks.fields import TAG_MARK, SubObject, type_name
from archdsl.errors import Keys, Problem, nearest, short

_MUST_BE = {
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "finite_number": "must be a finite number",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def problems_of(error: ValidationError, model: type[BaseModel], prefix: Keys = ()) -> list[Problem]:
    """Every finding of one validation; `prefix` is where the validated value stands in the document."""
    return [_problem(finding, model, prefix) for finding in error.errors(include_url=False)]


def _problem(finding: Mapping[str, Any], model: type[BaseModel], prefix: Keys) -> Problem:
    keys: Keys = prefix + tuple(key for key in finding["loc"] if not str(key).startswith(TAG_MARK))
    kind, value, context = finding["type"], finding["input"], finding.get("ctx", {})
    name = _name(keys)
    if kind == "missing":
        return Problem(keys[:-1], f"{name} is required", None, f'add "{name}"')
    if kind == "extra_forbidden":
        owner, known = _owner(finding["loc"], model)
        return Problem(keys, f"{owner} has no field {_quoted(name)}", None, nearest(name, known), at_key=True)
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return _untold(keys, value, context)
    rule, remedy = _rule(kind, context, finding["msg"], name)
    return Problem(keys, rule, short(value), remedy)


def _untold(keys: Keys, value: Any, context: Mapping[str, Any]) -> Problem:
    """A union's object without a type, or with one that is not known."""
    known = [tag.strip().strip("'").lstrip(TAG_MARK) for tag in context.get("expected_tags", "").split(",") if tag]
    if not isinstance(value, dict):
        return Problem(keys, f"{_name(keys)} must be an object", short(value), 'write {"type": ...}')
    if not isinstance(value.get("type"), str):
        remedy = f"one of {', '.join(known)}" if known else 'write {"type": ...}'
        return Problem(keys, f"{_name(keys)} needs a type", None, remedy)
    return Problem(
        (*keys, "type"), f"no such type of {_name(keys)}", short(value["type"]), nearest(value["type"], known)
    )


def _rule(kind: str, context: Mapping[str, Any], message: str, name: str) -> tuple[str, str | None]:
    """The rule and the remedy of a finding about a value."""
    if kind in _MUST_BE:
        return f"{name} {_MUST_BE[kind]}", None
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"{name} must be {words} {_number(context[key])}", f"use {_within(kind, context[key])}"
    if kind == "literal_error":
        return f"{name} must be {context['expected'].replace(chr(39), chr(34))}", None
    if kind in ("too_short", "too_long"):
        few = kind == "too_short"
        limit = context["min_length"] if few else context["max_length"]
        return f"{name} must have {'at least' if few else 'at most'} {limit} items", None
    if kind == "string_pattern_mismatch":
        return f"{name} must match {context['pattern']}", "use lower-case letters, digits and _"
    if kind == "string_too_long":
        return f"{name} must have at most {context['max_length']} characters", None
    return f"{name}: {message[:1].lower()}{message[1:]}", None


def _within(kind: str, bound: float) -> str:
    """What is inside a bound, in words."""
    return (
        f"{_number(bound)} or {'more' if kind.startswith('greater') else 'less'}"
        if kind.endswith("equal")
        else (f"{'more' if kind.startswith('greater') else 'less'} than {_number(bound)}")
    )


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) and math.isfinite(value) else str(value)


def _name(keys: Keys) -> str:
    """The field that a message speaks of."""
    names = [key for key in keys if isinstance(key, str)]
    if not keys:
        return "the document"
    if isinstance(keys[-1], int):
        singular = names[-1].removesuffix("s") if names else "item"
        return f"{singular} {keys[-1]}"
    return names[-1]


def _quoted(name: str) -> str:
    return f"'{name}'" if len(name) <= 60 and name.isprintable() else short(name)


def _owner(loc: Iterable[Any], model: type[BaseModel]) -> tuple[str, list[str]]:
    """Whose field it would be, and the fields that it has."""
    path = list(loc)[:-1]
    tags = [key.removeprefix(TAG_MARK) for key in path if isinstance(key, str) and key.startswith(TAG_MARK)]
    inner = _inner(path, model)
    names = [field.alias or name for name, field in inner.model_fields.items()]
    return (tags[-1] if tags else owner_name(inner)), names


def owner_name(model: type[BaseModel]) -> str:
    """How a message names what a model describes: its type, else the document's part."""
    return type_name(model) if "type" in model.model_fields else {"Paper": "paper"}.get(model.__name__, "the document")


def _inner(path: list[Any], model: type[BaseModel]) -> type[BaseModel]:
    """The model that a location inside `model` ends in."""
    for position, key in enumerate(path):
        if isinstance(key, str) and key.startswith(TAG_MARK):
            tag = key.removeprefix(TAG_MARK)
            found = _member(model, path[position - 1], tag)
        else:
            found = _plain(model, key)
        model = found or model
    return model


def _member(model: type[BaseModel], field: Any, tag: str) -> type[BaseModel] | None:
    candidates = {type_name(kind): kind for kind in SubObject.__subclasses__()}
    if tag in candidates:
        return candidates[tag]
    from archdsl.blocks.base import Part

    return Part.kinds.get("block", {}).get(tag)


def _plain(model: type[BaseModel], key: Any) -> type[BaseModel] | None:
    field = model.model_fields.get(key) if isinstance(key, str) else None
    inner = getattr(field.annotation, "__args__", ()) if field else ()
    return next((kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
