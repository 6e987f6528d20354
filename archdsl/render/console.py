"""The two streams: plain text when piped, colour on a terminal, and never an encoding error.

Markup, highlighting and emoji codes are off, so that a path with brackets is printed as it is. What a stream cannot
encode is replaced by an ASCII likeness, else by its escape.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, RenderableType

from archdsl.render.texts import escaped, printable

Renderable = RenderableType
"""What rich can draw; other rooms name its type by this."""
WIDTH = 80
"""Columns where no terminal says otherwise."""

_LIKENESS = dict(zip("●│├┼─╮╯┬┴└┊◆…█▏▎▍▌▋▊▉", "*||+-.'.''|*~#-------", strict=True))
_LIKENESS |= {"±": "+-", **{chr(code): "." for code in range(0x2801, 0x2900)}}  # braille: the points of a plot


def _likeness(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that a stream cannot encode; an error handler of `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_LIKENESS.get(char) or escaped(char) for char in text), error.end


codecs.register_error("archdsl.likeness", _likeness)


class _Encodable:
    """A stream that is handed only what it can encode."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    @property
    def encoding(self) -> str:
        return getattr(self.stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        self.stream.write(text.encode(self.encoding, "archdsl.likeness").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()


def stdout(width: int | None = None) -> Console:
    """Where results go. `width` in columns; else the terminal's, or COLUMNS, or 80."""
    return _console(sys.stdout, width)


def stderr(width: int | None = None) -> Console:
    """Where messages and progress go."""
    return _console(sys.stderr, width)


def message(text: str) -> None:
    """A line on stderr, never wrapped; control characters are shown, not obeyed."""
    print_lines([text], stderr())


def print_lines(lines: Iterable[str], console: Console | None = None) -> None:
    """Lines as they are, on stdout unless told otherwise: never wrapped, control characters shown, not obeyed."""
    console = console or stdout()
    for line in lines:
        console.print(printable(line, "\t\n"), soft_wrap=True)


def _console(stream: TextIO, width: int | None) -> Console:
    return Console(
        file=_Encodable(stream),  # type: ignore[arg-type]  # rich calls no more of a stream than it has
        width=width or _width(stream),
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        markup=False,
        highlight=False,
        emoji=False,
    )


def _width(stream: TextIO) -> int | None:
    """None leaves it to rich, which asks the terminal; on a pipe it would ask the terminal of another stream."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    return None if stream.isatty() else WIDTH
