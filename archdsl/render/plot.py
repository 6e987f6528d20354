"""A small scatter plot in braille, for a front in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille cell, by row and column of its dots."""


WIDTH = 56
_LABELS = 8
"""Columns beside the cells: a percentage, a blank, the axis."""
_FEWEST = 8


class Plot:
    """A scatter plot as wide as there is room for, `WIDTH` cells at most."""

    def __init__(self, points: Sequence[tuple[float, float]], limit: float | None = None) -> None:
        self.points, self.limit = points, limit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield scatter(self.points, self.limit, max(_FEWEST, min(WIDTH, options.max_width - _LABELS)))


def scatter(
    points: Sequence[tuple[float, float]], limit: float | None = None, width: int = WIDTH, height: int = 8
) -> Text:
    """Points (ms, %), from 0 to the largest ms and from the lowest to the highest %; `limit` is a vertical line."""
    right = max([x for x, _ in points] + ([limit] if limit else [])) * 1.02
    low, high = min(y for _, y in points), max(y for _, y in points)
    low, high = low - 0.05 * (high - low or 1), high + 0.05 * (high - low or 1)
    cells = [[0] * width for _ in range(height)]

    def place(x: float, y: float) -> tuple[int, int]:
        column = min(int(x / right * width * 2), width * 2 - 1)
        row = min(int((high - y) / (high - low) * height * 4), height * 4 - 1)
        return row, column

    for x, y in points:
        row, column = place(x, y)
        for near_row, near_column in ((row, column), (row, column ^ 1), (row ^ 1, column), (row ^ 1, column ^ 1)):
            cells[near_row // 4][near_column // 2] |= _DOTS[near_row % 4][near_column % 2]
    line = place(limit, low)[1] // 2 if limit is not None else None
    rows = [_row(cells[index], line) for index in range(height)]
    labels = [
        f"{high:5.1f}%" if index == 0 else f"{low:5.1f}%" if index == height - 1 else " " * 6 for index in range(height)
    ]
    text = "\n".join(f"{label} │{row}" for label, row in zip(labels, rows, strict=True))
    axis = f"{'':7}└{'─' * width}\n{'':8}0{f'{right:.{1 if right < 100 else 0}f} ms':>{width - 1}}"
    return Text(f"{text}\n{axis}", no_wrap=True)


def _row(cells: list[int], line: int | None) -> str:
    return "".join(
        chr(0x2800 + cell) if cell else "┊" if column == line else " " for column, cell in enumerate(cells)
    ).rstrip()
