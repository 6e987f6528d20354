"""The header of a `.safetensors` of ours: 8 bytes that say its length, then JSON; it is read without torch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import BinaryIO

from archdsl.errors import short
from archdsl.json_types import Json, JsonObject

MODEL = ".safetensors"
REMEDY = "make one with: archdsl import SPEC FILE -o model.safetensors"
_MOST_BYTES = 100_000_000
"""Of a header; safetensors itself refuses a longer one."""


class NoModel(ValueError):
    """A file that is no model of ours: the rule that it breaks, and what to do about it."""

    def __init__(self, rule: str, remedy: str = REMEDY) -> None:
        super().__init__(f"{rule}; {remedy}")
        self.rule, self.remedy = rule, remedy


def read_model_header(path: Path) -> dict[str, str]:
    """The `__metadata__` of a model of ours, which has its spec under `spec`.

    Raises:
        NoModel: the file is none of ours, or a part of one.
        OSError: it cannot be read.
        ValueError: no file can have that path.
    """
    header, _ = read_safetensors_header(path)
    if "spec" not in header or "archdsl" not in header:
        raise NoModel("has no spec of archdsl in its header")
    return header


def read_safetensors_header(path: Path) -> tuple[dict[str, str], dict[str, tuple[int, int]]]:
    """The `__metadata__` of a safetensors file, and where in the file the bytes of each tensor begin and end.

    Raises:
        NoModel: it is not a safetensors file, or a part of one.
        OSError: it cannot be read.
        ValueError: no file can have that path.
    """
    with path.open("rb") as file:
        table, data_start = _table(file)
        size = os.fstat(file.fileno()).st_size
    header = table.pop("__metadata__", None)
    texts = {key: text for key, text in header.items() if isinstance(text, str)} if isinstance(header, dict) else {}
    places = {
        name: (data_start + _offset(tensor, 0), data_start + _offset(tensor, -1)) for name, tensor in table.items()
    }
    whole = max((end for _, end in places.values()), default=data_start)
    if size < whole:
        raise NoModel(f"is truncated: {size:,} of {whole:,} bytes are there", "copy or download it again")
    return texts, places


def _table(file: BinaryIO) -> tuple[JsonObject, int]:
    """The header as JSON, and where the tensors' values begin.

    Raises:
        NoModel: the file does not begin as a safetensors file does, or ends inside its header.
    """
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > _MOST_BYTES:
        raise NoModel("is not a safetensors file")
    text = file.read(length)
    if len(text) < length and text.startswith(b"{"):
        raise NoModel(
            f"is truncated: {len(text):,} of its header's {length:,} bytes are there", "copy or download it again"
        )
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoModel(f"is not a safetensors file ({short(str(error))})") from None
    if not isinstance(table, dict):
        raise NoModel("is not a safetensors file")
    return table, 8 + length


def _offset(tensor: Json, which: int) -> int:
    """Where a tensor's values begin or end, counted from the end of the header; 0 for what is no tensor."""
    offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    place = offsets[which] if isinstance(offsets, list) and offsets else 0
    return place if isinstance(place, int) else 0
