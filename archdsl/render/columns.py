"""Columns that always fit: some are left out, then words of texts, then rows go on below; no number is ever cut.

What is printed is never broken inside a word; print it with `soft_wrap`, or rich cuts a word that is wider than the
terminal.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

CORE, LUXURY = 5, 10
MORE = " …"
"""Stands for the words that a text is short of."""
_INDENT = 2
_UNIT = re.compile(r"(?<=[0-9]) (?=(?:[kKMGT]i?B?|B|ms|s|%)\b)")


class Column(NamedTuple):
    """A heading and its cells.

    least: the width from which on words are left out of it to make room for others; None for never.
    drop: the larger, the sooner it is left out; 0 for never. Up to `CORE` words of others are left out before it, from
        `LUXURY` on no word is.
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
        """The width at which nothing is left out."""
        return max([len(self.title), *(cell.cell_len for cell in self.cells)])

    @property
    def needed(self) -> int:
        """The width that it holds against columns that can be left out."""
        return self.natural if self.least is None else max(self.floor, min(self.natural, self.least))

    @property
    def floor(self) -> int:
        """The width of the first words, narrower than which it cannot be."""
        return self.natural if self.least is None else max([len(self.title), *(_first(cell) for cell in self.cells)])


class Sheet:
    """Columns between a title and notes; fitted to the width at which they are printed."""

    def __init__(
        self,
        columns: Sequence[Column],
        notes: Sequence[str] = (),
        title: str = "",
        style: str = "dim",
        *,
        names_left_out: bool = False,
    ) -> None:
        """`style` is that of the notes; `names_left_out` adds a note of the columns for which there is no room."""
        self.columns, self.notes, self.title, self.style = columns, notes, title, style
        self.names_left_out = names_left_out

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield from (whole(line, "bold") for line in wrapped(self.title, width))
        yield from fit(self.columns, width)
        notes = [*self._left_out(width), *self.notes]
        if notes:
            yield Text()
        for note in notes:
            yield from (whole(line, self.style) for line in wrapped(note, width))

    def _left_out(self, width: int) -> list[str]:
        """That columns are missing for want of width, where that is to be said."""
        if not self.names_left_out:
            return []
        filled = [column for column in self.columns if any(column.cells)]
        kept = _kept(filled, width)
        missing = [column.title for column in filled if not any(column is other for other in kept)]
        return [f"not shown at this width: {', '.join(missing)} (COLUMNS=120 shows more)"] if missing else []


class Line:
    """A line of which the words are shown that fit."""

    def __init__(self, text: str, style: str = "") -> None:
        self.text = Text(text, style=style, no_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield shortened(self.text, options.max_width)


def whole(text: str, style: str = "") -> Text:
    """A line that is never broken or cut."""
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Lines broken at blanks alone, not between a number and its unit; a word that is wider than all stays whole."""
    kept = _UNIT.sub("\N{NO-BREAK SPACE}", text)
    lines = textwrap.wrap(kept, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def shortened(text: Text, width: int) -> Text:
    """The words that fit, and dots for the others; the first word is always there."""
    if text.cell_len <= width:
        return text.copy()
    ends = [match.end() for match in re.finditer(r"\S+", text.plain)]
    fitting = [end for end in ends if text[:end].cell_len + len(MORE) <= width]
    cut = text[: max(fitting, default=ends[0])]
    return cut.append(MORE) if cut.cell_len + len(MORE) <= width else cut


def fit(columns: Sequence[Column], width: int) -> list[Text]:
    """The heading and a text a row, each of several lines where the columns do not stand beside each other in `width`.

    A column without any content is left out. A line is wider than `width` only where one word is.
    """
    kept = _kept([column for column in columns if any(column.cells) or not column.cells], width)
    groups = _groups(kept, width)
    heading = [Text(column.title, style="dim") for column in kept]
    rows = zip(*(column.cells for column in kept), strict=True)
    return [_row(cells, groups, width) for cells in (heading, *rows)]


def _kept(columns: list[Column], width: int) -> list[Column]:
    """The columns without those that are spared; of these the core ones come back that have room after all."""
    kept = columns
    while True:
        spared = max(kept, key=lambda column: column.drop)
        if not spared.drop or _total(kept, [_wanted(column, spared.drop) for column in kept]) <= width:
            break
        kept = [column for column in kept if column is not spared]
    for back in sorted((column for column in columns if 0 < column.drop <= CORE), key=lambda column: column.drop):
        more = [column for column in columns if column is back or any(column is other for other in kept)]
        if _total(more, [column.floor for column in more]) <= width:
            kept = more
    return kept


def _wanted(column: Column, spared: int) -> int:
    """The width that a column holds against one that can be spared so far."""
    return column.natural if spared >= LUXURY else column.needed if spared > CORE else column.floor


def _groups(columns: Sequence[Column], width: int) -> list[list[Column]]:
    """The columns of each line of a row: as many as stand beside each other."""
    groups: list[list[Column]] = [[]]
    for column in columns:
        together = [*groups[-1], column]
        room = width - _INDENT * (len(groups) > 1)
        if groups[-1] and _total(together, [other.floor for other in together]) > room:
            groups.append([column])
        else:
            groups[-1] = together
    return groups


def _row(cells: Sequence[Text], groups: Sequence[Sequence[Column]], width: int) -> Text:
    row, start = Text(no_wrap=True, overflow="ignore"), 0
    for number, columns in enumerate(groups):
        indent = _INDENT * (number > 0)
        line = Text(" " * indent)
        widths = _widths(columns, width - indent)
        for place, (cell, column) in enumerate(zip(cells[start : start + len(columns)], columns, strict=True)):
            cell = shortened(cell, widths[place])
            cell.align("right" if column.right else "left", widths[place])
            line.append(" " * column.gap * (place > 0))
            line.append_text(cell)
        line.rstrip()
        row.append("\n" * (number > 0)).append_text(line)
        start += len(columns)
    return row


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """Room that is left goes to columns that are short of words, first come first served."""
    widths = [column.needed for column in columns]
    if _total(columns, widths) > width:
        widths = [column.floor for column in columns]
    left = width - _total(columns, widths)
    for place, column in enumerate(columns):
        more = max(0, min(left, column.natural - widths[place]))
        widths[place], left = widths[place] + more, left - more
    return widths


def _total(columns: Sequence[Column], widths: Sequence[int]) -> int:
    return sum(widths) + sum(column.gap for column in columns[1:])


def _first(cell: Text) -> int:
    """The width of a cell's first word, and of the dots for the others."""
    words = cell.plain.split(maxsplit=1)
    return Text(words[0]).cell_len + len(MORE) * (len(words) > 1) if words else 0
