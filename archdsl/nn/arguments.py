"""What the constructors take, checked by the declarations of the language: one rule holds in documents and here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias, TypeVar

from pydantic import ValidationError
from torch import nn

from archdsl.errors import Problem, ShapeError, WrongUse, short
from archdsl.families.common.base import Part
from archdsl.families.common.fields import type_name
from archdsl.json_types import JsonInput
from archdsl.language.checking.problems import problems_of
from archdsl.shape import Map, Shape

Declared = TypeVar("Declared", bound=Part)
Fields: TypeAlias = Mapping[str, JsonInput]
"""A mechanism with its fields, as in a document: `{"type": "group", "groups": 4}`."""
Norm: TypeAlias = Literal["layer", "batch", "group"] | Fields
"""A norm by its name, or with its fields."""
Size: TypeAlias = int | tuple[int, int]
"""A side of a square map, or (height, width)."""

MOST_CHANNELS = 8192
"""As many as a document may ask for."""
LARGEST_SIDE = 4096
"""Of a map; where none is named the rules are held to a map of this side, which is larger than every kernel."""


def declared(module: nn.Module, kind: type[Declared], x: Shape, **fields: JsonInput) -> Declared:
    """The declaration with these fields, which fits what the module reads.

    Raises:
        WrongUse: a field is out of its bounds, or does not fit what is read or another field.
    """
    try:
        part = kind.model_validate({"type": type_name(kind), **fields})
        part.out(x)
    except ValidationError as error:
        raise refusal(module, "; ".join(_said(problem) for problem in problems_of(error, kind))) from None
    except ShapeError as error:
        reason = str(error)
        if kind.kind == "block":  # whose width is that of the map
            reason = re.sub("^width ", "channels ", reason)
        raise refusal(module, reason) from None
    return part


def _said(problem: Problem) -> str:
    """A problem without its place where the rule begins with that."""
    is_said = problem.rule.split()[:1] == [problem.path]
    return str(problem._replace(keys=())) if is_said else str(problem)


def refusal(module: nn.Module, reason: str) -> WrongUse:
    """The error of a module's constructor."""
    return WrongUse(f"{type(module).__name__}: {reason}")


def chosen(choice: str | Fields) -> JsonInput:
    """A mechanism as documents write it; what is none is left to the declaration's check."""
    return {"type": choice} if isinstance(choice, str) else choice


def map_of(module: nn.Module, channels: int, size: Size | None = None) -> Map:
    """The map that a module is for; without a size one that holds every kernel.

    Raises:
        WrongUse: no whole number of channels, or no size of a map.
    """
    if not _is_whole(channels, MOST_CHANNELS):
        raise refusal(module, f"channels must be a whole number from 1 to {MOST_CHANNELS}; got {short(channels)}")
    if size is None:
        return Map(channels, LARGEST_SIDE, LARGEST_SIDE)
    sides = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2 or not all(_is_whole(side, LARGEST_SIDE) for side in sides):
        rule = f"size must be a whole number from 1 to {LARGEST_SIDE}, or a pair (height, width) of them"
        raise refusal(module, f"{rule}; got {short(size)}")
    return Map(channels, *sides)


def check_table_has_size(module: nn.Module, bias: str, size: Size | None) -> None:
    """Raises `WrongUse` where a position bias is a table of a map's size, and no size is given."""
    if bias in ("relative", "sampled", "fixed") and size is None:
        rule = f'position_bias "{bias}" is a table made for one size of the map'
        raise refusal(module, f'{rule}; give size=(height, width), or position_bias="none"')


def drop_rate(module: nn.Module, rate: float) -> float:
    """A rate of stochastic depth.

    Raises:
        WrongUse: it is not 0 to below 1.
    """
    if not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 <= rate < 1:
        raise refusal(module, f"drop_path must be a number from 0 to below 1; got {short(rate)}")
    return float(rate)


def _is_whole(value: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most
