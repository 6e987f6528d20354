"""A small scatter plot in braille, for a front in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from archdsl.numbers import plain_text
from archdsl.render.prose import Prose

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille cell, by row and column of its dots."""
_BRAILLE = 0x2800

WIDTH, HEIGHT = 56, 8
_LABELS = 8
"""Columns beside the cells: a percentage, a blank, the axis."""
_FEWEST = 8
BUDGET, WINNER, NETWORK = "┊", "◆", "⠛"

Point = tuple[float, float]
"""(ms, %)"""


class Plot:
    """A scatter plot with its legend, as wide as there is room for, `WIDTH` cells at most.

    limit: the latency budget in ms, a vertical line.
    winner: the point that is marked as the winner.
    stat: the statistic that the latencies are.
    """

    def __init__(
        self, points: Sequence[Point], limit: float | None = None, winner: Point | None = None, stat: str = "latency"
    ) -> None:
        self.points, self.limit, self.winner, self.stat = points, limit, winner, stat

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(_FEWEST, min(WIDTH, options.max_width - _LABELS))
        yield scatter(self.points, self.limit, width, self.winner)
        yield Prose(f"across: {self.stat} latency, ms per batch; up: proxy accuracy, %", "dim", hanging="  ")
        yield Prose("; ".join(self._marks()), "dim", hanging="  ")

    def _marks(self) -> list[str]:
        """What each mark is."""
        marks = [f"{NETWORK} network of the Pareto front"]
        marks += [f"{WINNER} winner"] if self.winner is not None else []
        return marks + ([f"{BUDGET} budget of {plain_text(self.limit)} ms"] if self.limit is not None else [])


def scatter(
    points: Sequence[Point], limit: float | None = None, width: int = WIDTH, winner: Point | None = None
) -> Text:
    """Points from 0 to the largest ms and from the lowest to the highest %; `limit` is a vertical line."""
    right = max([ms for ms, _ in points] + ([limit] if limit else [])) * 1.02
    low, high = min(percent for _, percent in points), max(percent for _, percent in points)
    room = 0.05 * (high - low or 1)
    low, high = max(low - room, 0.0), min(high + room, 100.0)

    def place(point: Point) -> tuple[int, int]:
        """(row, column) of a dot: a cell is four high and two wide."""
        column = min(int(point[0] / right * width * 2), width * 2 - 1)
        row = min(int((high - point[1]) / (high - low) * HEIGHT * 4), HEIGHT * 4 - 1)
        return row, column

    cells = [[" "] * width for _ in range(HEIGHT)]
    if limit is not None:
        for row in cells:
            row[place((limit, low))[1] // 2] = BUDGET
    for (row_number, column), dots in _dots([place(point) for point in points]).items():
        cells[row_number][column] = chr(_BRAILLE + dots)
    if winner is not None:
        row_number, column = place(winner)
        cells[row_number // 4][column // 2] = WINNER
    labels = [f"{high:5.1f}%", *[" " * 6] * (HEIGHT - 2), f"{low:5.1f}%"]
    lines = [f"{label} │{''.join(row)}".rstrip() for label, row in zip(labels, cells, strict=True)]
    end = f"{right:.{2 if right < 1 else 1 if right < 100 else 0}f} ms"
    return Text("\n".join([*lines, f"{'':7}└{'─' * width}", f"{'':8}0{end:>{width - 1}}"]), no_wrap=True)


def _dots(places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """The bits of each cell; a point is two dots high and two wide, so that it is seen."""
    cells: dict[tuple[int, int], int] = {}
    for row, column in places:
        for near_row, near_column in ((row, column), (row, column ^ 1), (row ^ 1, column), (row ^ 1, column ^ 1)):
            cell = near_row // 4, near_column // 2
            cells[cell] = cells.get(cell, 0) | _DOTS[near_row % 4][near_column % 2]
    return cells
