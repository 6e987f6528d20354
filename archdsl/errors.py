"""The errors that archdsl raises.

    ArchError
    ├── SpecError       a document is refused; `problems` holds every reason at once
    ├── ShapeError      a part does not fit its input; the graph adds which node it is
    ├── WeightsError    a checkpoint does not fit the model
    ├── MeasureError    a latency could not be measured; ConnectionLost: as another machine is out of reach
    ├── ExportError     a network cannot be written to a file, or the file is wrong
    ├── LookError       nothing can be shown of a network for an image
    ├── SearchError     a search cannot start or go on, or its data cannot be used
    ├── TrainingError   a training cannot start or go on
    └── WrongUse        what was named is not there, or may not be used: exit code 2

`WrongSetting` is a MeasureError and a WrongUse, `NotFound` a SearchError and a WrongUse.

A message says where, which rule, which values and what to do. Where is added once, by the layer that knows it: a part
speaks of its shape, the graph adds the node, the reader the file, line and column.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

Keys = tuple[str | int, ...]
"""A place in a JSON document: the keys and indices from its root."""


class ArchError(Exception):
    """Root of all errors that a user can cause; never shown with a traceback.

    `command_text` is what the command line says instead, where it calls by other names what a caller in Python gives.
    """

    def __init__(self, *arguments: object, command_text: str | None = None) -> None:
        self.command_text = command_text
        super().__init__(*arguments)


class Problem(NamedTuple):
    """One thing that is wrong in a document, and what to do about it."""

    keys: Keys
    rule: str
    value: str | None = None
    remedy: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    at_key: bool = False
    """Whether the place is the key itself (an unknown field) instead of its value."""

    @property
    def path(self) -> str:
        """The JSON path as a person writes it: `nodes[2].alpha`; empty for the document itself."""
        return json_path(self.keys)

    def __str__(self) -> str:
        """`FILE:LINE:COLUMN: nodes[2].alpha: RULE; got VALUE; REMEDY` on one line."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        got = None if self.value is None else f"got {self.value}"
        text = "; ".join(part for part in (self.rule, got, self.remedy) if part)
        return " ".join(": ".join(part for part in (place, self.path, text) if part).splitlines())

    def as_json(self) -> dict[str, Any]:
        """The same facts for programs."""
        fields = ("file", "line", "column", "path", "rule", "value", "remedy")
        return {name: getattr(self, name) for name in fields}


class SpecError(ArchError):
    """A document is refused. `problems` holds everything that is wrong with it, in document order.

    With `shapes_unchecked` they may not be all: a node or the header is so wrong that shapes behind it are unknown.
    """

    def __init__(
        self, problems: Iterable[Problem], shapes_unchecked: bool = False, command_text: str | None = None
    ) -> None:
        self.problems, self.shapes_unchecked = tuple(problems), shapes_unchecked
        super().__init__("\n".join(str(problem) for problem in self.problems), command_text=command_text)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by its problems, so that a worker's error reaches its parent."""
        return type(self), (self.problems, self.shapes_unchecked, self.command_text)


class ShapeError(ArchError):
    """A part does not fit the shape that it reads, or two of its fields do not fit each other.

    `field` names the field to change, where one can be named; `value` and `remedy` end in the user's message.
    """

    def __init__(
        self, rule: str, value: str | None = None, remedy: str | None = None, field: str | None = None
    ) -> None:
        self.rule, self.value, self.remedy = rule, value, remedy
        self.keys: Keys = tuple(field.split(".")) if field else ()
        super().__init__("; ".join(part for part in (rule, value and f"got {value}", remedy) if part))

    def inside(self, keys: Keys) -> ShapeError:
        """The same error, its field inside a part that stands at `keys`."""
        self.keys = keys + self.keys
        return self


class WeightsError(ArchError):
    """A checkpoint does not fit the model it is loaded into."""


class MeasureError(ArchError):
    """A latency could not be measured."""


class ConnectionLost(MeasureError):
    """A machine cannot be reached, or the connection to it ended; nothing is known of what was to be measured."""


class ExportError(ArchError):
    """A network cannot be written to a file for another tool, or the file that was written is wrong."""


class LookError(ArchError):
    """Nothing can be shown of a network for an image: the image cannot be read, or there is nothing to be drawn."""


class SearchError(ArchError):
    """A search cannot start or go on."""


class TrainingError(ArchError):
    """A training cannot start or go on."""


class WrongUse(ArchError):
    """What was named is not there, or may not be used so: the command line is wrong, no document and no search."""


class WrongSetting(MeasureError, WrongUse):
    """A device is not here, or a runtime does not take the device, the dtype or the batch that were asked for."""


class NotFound(SearchError, WrongUse):
    """The data, the run or the check that was named does not exist."""


def json_path(keys: Keys) -> str:
    """`("nodes", 2, "alpha")` -> `nodes[2].alpha`; a key that is no plain name is quoted."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            plain = key.replace("$", "_").replace("_", "a").isalnum() and key.isascii()
            name = key if plain else short(key)
            text += f".{name}" if text else name
    return text


def short(value: object, limit: int = 60) -> str:
    """A value as JSON, cut to `limit` characters, for a message."""
    if isinstance(value, int) and abs(value) >= 10**limit:
        return f"an integer of about 10^{int(value.bit_length() * 0.30103)}"
    if isinstance(value, dict):
        return f"an object with {len(value)} field{'s' * (len(value) != 1)}"
    if isinstance(value, list | tuple) and len(value) > 8:
        return f"a list of {len(value)}"
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def one_line(error: BaseException, limit: int = 300) -> str:
    """What an error says, on one line of at most `limit` characters; its class where it says nothing."""
    return " ".join(str(error).split())[:limit] or type(error).__name__


def nearest_only(name: str, allowed: Iterable[str]) -> str:
    """The remedy for an unknown name: the nearest allowed name; empty where none is near."""
    written = {each.lower(): each for each in sorted(set(allowed))}
    close = difflib.get_close_matches(name[:80].lower(), written, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{written[close[0]]}'?"
    return ""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """The remedy for an unknown name: the nearest allowed name, else all of them if they are few."""
    names = sorted(set(allowed))
    return nearest_only(name, names) or (f"known: {', '.join(names)}" if 0 < len(names) <= 40 else "")


def one_of(values: Sequence[object]) -> str:
    """`8, 10 or 16`: values that a remedy offers."""
    return _listed(values, "or")


def all_of(values: Sequence[object]) -> str:
    """`8, 10 and 16`: values of which all are meant."""
    return _listed(values, "and")


def _listed(values: Sequence[object], last: str) -> str:
    words = [str(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
