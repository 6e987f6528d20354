"""Columns that always fit: what can be spared goes first, then what can be cut is cut."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

FLOOR = 4
"""Narrower than this no column is cut."""
LUXURY = 5


class Column(NamedTuple):
    """A heading and its cells.

    least: the width from which on it may be cut to make room for others; None for never.
    drop: the larger, the sooner it is left out; 0 for never. From `LUXURY` on it is left out before another is cut.
    gap: blanks before it.
    """

    title: str
    cells: Sequence[Text]
    right: bool = False
    least: int | None = None
    drop: int = 0
    gap: int = 2

    @property
    def natural(self) -> int:
        """The width at which nothing is cut."""
        return max([len(self.title), *(cell.cell_len for cell in self.cells)])

    @property
    def needed(self) -> int:
        """The width that it holds against columns that can be left out."""
        return self.natural if self.least is None else min(self.natural, self.least)


class Sheet:
    """Columns between a title and notes; fitted to the width at which they are printed."""

    def __init__(self, columns: Sequence[Column], notes: Sequence[str] = (), title: str = "") -> None:
        self.columns, self.notes, self.title = columns, notes, title

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield from (Text(line, style="bold") for line in textwrap.wrap(self.title, width))
        yield from fit(self.columns, width)
        if self.notes:
            yield Text()
        for note in self.notes:
            yield from (Text(line, style="dim") for line in textwrap.wrap(note, width))


def fit(columns: Sequence[Column], width: int) -> list[Text]:
    """The heading line and a line a row, none of them wider than `width`. A column without any content is left out."""
    kept = _kept([column for column in columns if any(column.cells) or not column.cells], width)
    widths = _widths(kept, width)
    heading = [Text(column.title, style="dim") for column in kept]
    rows = zip(*(column.cells for column in kept), strict=True)
    return [_line(cells, kept, widths, width) for cells in (heading, *rows)]


def _kept(columns: list[Column], width: int) -> list[Column]:
    while True:
        spared = max(columns, key=lambda column: column.drop)
        wanted = [column.natural if spared.drop >= LUXURY else column.needed for column in columns]
        if not spared.drop or _total(columns, wanted) <= width:
            return columns
        columns = [column for column in columns if column is not spared]


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """Room that is left goes to columns that would be cut, first come first served; room that is missing is cut."""
    widths = [column.needed for column in columns]
    left = width - _total(columns, widths)
    for place, column in enumerate(columns):
        given = max(0, min(left, column.natural - widths[place]))
        widths[place], left = widths[place] + given, left - given
    while left < 0:
        widest = max(_cuttable(columns, widths), key=lambda place: widths[place], default=None)
        if widest is None:
            break
        widths[widest], left = widths[widest] - 1, left + 1
    return widths


def _cuttable(columns: Sequence[Column], widths: Sequence[int]) -> Iterator[int]:
    return (place for place, column in enumerate(columns) if column.least is not None and widths[place] > FLOOR)


def _total(columns: Sequence[Column], widths: Sequence[int]) -> int:
    return sum(widths) + sum(column.gap for column in columns[1:])


def _line(cells: Sequence[Text], columns: Sequence[Column], widths: Sequence[int], width: int) -> Text:
    line = Text(no_wrap=True)
    for place, (cell, column) in enumerate(zip(cells, columns, strict=True)):
        cell = cell.copy()
        cell.truncate(widths[place], overflow="ellipsis")
        cell.align("right" if column.right else "left", widths[place])
        line.append(" " * column.gap * (place > 0))
        line.append_text(cell)
    line.rstrip()
    line.truncate(width, overflow="ellipsis")
    return line
