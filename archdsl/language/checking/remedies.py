"""What to write instead of a value that is refused: what was meant, where it can be told, else what would fit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from archdsl.errors import short
from archdsl.json_types import Json
from archdsl.language import introspection
from archdsl.language.introspection import Location
from archdsl.language.sizes import sides_in
from archdsl.language.type_forms import Form

MUST_BE = {
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
BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


_LARGE = 1e6
"""An upper bound above which a range says little of what is usual."""
EXAMPLES = {
    "version": "1",
    "image": "224",
    "id": '"stage1"',
    "type": '"mlp"',
    "nodes": "[...]",
    "width": "64",
    "depth": "2",
    "heads": "4",
    "window": "4",
    "kernel": "3",
    "stride": "2",
    "groups": "2",
    "metric": '"macs"',
    "unit": '"ms"',
    "max": "5",
    "min": "100",
}
"""A usual value of each field that is required somewhere, as JSON."""


def as_meant(kind: str, value: Json) -> str | None:
    """The value that was meant, where it can be told: 3 for `"3"`, `3.0` and `"3x3"`, true for `"true"` and 1."""
    if kind in ("int_type", "int_from_float", "float_type"):
        number = _number_in(value)
        whole = number is not None and number.is_integer() and abs(number) < 1e15
        if number is None or isinstance(value, bool) or (kind != "float_type" and not whole):
            return None
        return f"write {int(number) if whole else number}"
    if kind == "bool_type" and str(value).lower() in ("true", "false", "0", "1"):
        return f"write {'true' if str(value).lower() in ('true', '1') else 'false'}"
    if kind in ("tuple_type", "list_type") and isinstance(value, str):
        sides = sides_in(value)
        return f"write {sides}" if len(sides) > 1 else f"write [{short(value)}]"
    return None


def what_fits(kind: str, annotation: Form | None) -> str | None:
    """What to write instead of a value that says nothing of what was meant."""
    if kind in ("tuple_type", "list_type"):
        return "write [...]"
    if kind == "string_type":
        return "write text in double quotes"
    if MUST_BE.get(kind) == "an object":
        names = [name for model in introspection.models(annotation) for name in introspection.fields(model)]
        return f"write an object with some of {', '.join(names)}" if names else None
    return _interval(introspection.bounds(annotation))


def default(model: type[BaseModel], loc: Location) -> str | None:
    """What a null may stand for; None for a field without a default."""
    field = introspection.field_at(model, loc)
    if field is None or field.default is PydanticUndefined or field.default is None:
        return None
    value = field.default
    written = value.model_dump(exclude_defaults=True) if isinstance(value, BaseModel) else value
    return f"leave it out for the default, {json.dumps(written)}"


def number_text(value: float) -> str:
    """A bound as people write it: 0.25, 16, 1000000000000."""
    if not isinstance(value, float) or not math.isfinite(value):
        return str(value)
    return f"{Decimal(f'{value:g}'):f}"


def _number_in(value: Json) -> float | None:
    """The one number in a value, [7] also; of a square, `7x7` or [7, 7], its side."""
    sides = sides_in(value) if isinstance(value, str | list | tuple) else []
    if len(set(sides)) == 1 and (len(sides) == 2 or isinstance(value, list | tuple)):
        return float(sides[0])
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _interval(bounds: Mapping[str, float]) -> str | None:
    """`use 1 to 64`: what is inside the bounds."""
    if {"ge", "le"} <= set(bounds):
        low, high = number_text(bounds["ge"]), number_text(bounds["le"])
        return f"use {low}" if low == high else f"use {low} to {high}"
    words = [f"{words} {number_text(bounds[key])}" for words, key in BOUNDS.values() if key in bounds]
    example = ", such as 5" if bounds.get("gt") == 0 and bounds.get("le", 0) > _LARGE else ""
    return f"use {' and '.join(words)}{example}" if words else None
