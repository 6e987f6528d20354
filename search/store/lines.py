"""Files of one JSON object a line that only grow: a line is on disk as a whole, or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from archdsl.errors import SearchError
from archdsl.json_types import JsonObject
from archdsl.search.store.run_schema import validation_message

T = TypeVar("T")


def append_line(path: Path, line: JsonObject) -> None:
    """One line more, on disk when this returns; where there is no room, not even a part of it."""
    left = memoryview(json.dumps(line).encode() + b"\n")
    with path.open("ab", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(size)
            raise


def read_lines(path: Path, parse: Callable[[JsonObject], T], repair: bool = True) -> list[T]:
    """Every line; a last one that a kill cut off is left out. Empty where there is no file.

    With `repair` such a line is also cut off the file.

    Raises:
        SearchError: another line cannot be read, or `parse` refuses it by a `ValidationError`.
    """
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if repair and len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    lines = enumerate(whole.splitlines(), 1)
    return [_parsed(line, parse, f"{path}:{number}") for number, line in lines if line.strip()]


def _parsed(line: bytes, parse: Callable[[JsonObject], T], place: str) -> T:
    try:
        return parse(json.loads(line))
    except ValidationError as error:
        wrong = validation_message(error)
    except ValueError as error:
        wrong = str(error)
    raise SearchError(f"{place}: not a record: {wrong}; remove the line")
