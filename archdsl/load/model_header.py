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
    with path.open("rb") as file:
        table, data_start = _table(file)
        size = os.fstat(file.fileno()).st_size
    header = table.get("__metadata__")
    texts = {key: text for key, text in header.items() if isinstance(text, str)} if isinstance(header, dict) else {}
    if "spec" not in texts or "archdsl" not in texts:
        raise NoModel("has no spec of archdsl in its header")
    whole = data_start + max((_end(tensor) for tensor in table.values()), default=0)
    if size < whole:
        raise NoModel(f"is truncated: {size:,} of {whole:,} bytes are there", "copy or download it again")
    return texts


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


def _end(tensor: Json) -> int:
    """Where a tensor's values end, counted from the end of the header; 0 for what is no tensor."""
    offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    end = offsets[-1] if isinstance(offsets, list) and offsets else 0
    return end if isinstance(end, int) else 0
