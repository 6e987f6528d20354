"""What JSON holds, as Python has it: the types of documents and of files that are read or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]
Scalar: TypeAlias = bool | int | float | str | None
"""What JSON holds besides lists and objects."""
JsonInput: TypeAlias = "bool | int | float | str | Sequence[JsonInput] | Mapping[str, JsonInput] | None"
"""What can be written as JSON: as `Json`, of whatever sequences and mappings."""


def object_in(value: Json) -> JsonObject:
    """A value that a check has found to be an object."""
    assert isinstance(value, dict), value
    return value


def list_in(value: Json) -> list[Json]:
    """A value that a check has found to be a list."""
    assert isinstance(value, list), value
    return value


def objects_in(value: Json) -> list[JsonObject]:
    """A value that a check has found to be a list of objects."""
    return [object_in(item) for item in list_in(value)]


def text_in(value: Json) -> str:
    """A value that a check has found to be text."""
    assert isinstance(value, str), value
    return value


def number_in(value: Json) -> int | float:
    """A value that a check has found to be a number."""
    assert isinstance(value, int | float) and not isinstance(value, bool), value  # noqa: PT018  # one condition
    return value


def scalar_in(value: Json) -> Scalar:
    """A value that a check has found to be neither a list nor an object."""
    assert not isinstance(value, list | dict), value
    return value
