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
