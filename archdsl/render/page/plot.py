"""A scatter plot laid out in SVG units: axes with units, lines of limits, and marks that carry their text.

Nothing is written here: `templates/plot.html` draws a `Drawing`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from archdsl.numbers import plain_text

WIDTH, HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 16, 20, 64
_LARGE, _SMALL = 7, 4

Look = Literal["front", "winner", "other", "untrained"]


@dataclass(frozen=True)
class Point:
    """A point in the units of the axes, what it says, and how it looks."""

    x: float
    y: float
    label: str
    look: Look = "front"
    error: float | None = None
    """Half the height of its error bar, in units of y."""
    note: str = ""
    """A few characters beside it."""


@dataclass(frozen=True)
class Axis:
    """The range of an axis and what stands at it; of a logarithmic one the powers of ten."""

    title: str
    low: float
    high: float
    is_log: bool = False

    def text(self, tick: float) -> str:
        """What stands at a tick; `.0001` is short enough for a telephone."""
        return plain_text(10**tick).removeprefix("0") if self.is_log else f"{tick:.6g}"

    @property
    def ticks(self) -> list[float]:
        """Some five round numbers inside the range; of a logarithmic axis each power of ten."""
        if self.is_log:
            return [float(power) for power in range(math.ceil(self.low), math.floor(self.high) + 1)]
        rough = (self.high - self.low) / 5
        size = 10 ** math.floor(math.log10(rough))
        step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [step * place for place in range(first, math.floor(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Line:
    """A line by its ends; `look` is its class."""

    look: str
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Label:
    """A text; `anchor` is SVG's text-anchor."""

    text: str
    x: float
    y: float
    anchor: Literal["start", "middle", "end"]


@dataclass(frozen=True)
class Mark:
    """A point where it is drawn; `spread` is its error bar."""

    x: float
    y: float
    radius: int
    label: str
    look: Look
    spread: Line | None


@dataclass(frozen=True)
class Drawing:
    """A plot, ready to be written; `y_title` stands upright beside the middle of the axis."""

    name: str
    lines: Sequence[Line]
    labels: Sequence[Label]
    y_title: Label
    marks: Sequence[Mark]
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def looks(self) -> set[str]:
        """What there is to explain."""
        lines = {line.look for line in self.lines}
        return lines | {mark.look for mark in self.marks} | {mark.spread.look for mark in self.marks if mark.spread}


def axis(title: str, values: Sequence[float], from_zero: bool = False) -> Axis:
    """An axis that holds the values with some room around them."""
    low, high = (0.0 if from_zero else min(values)), max(values)
    room = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    return Axis(title, low if from_zero else low - room, high + room)


def scatter(name: str, x: Axis, y: Axis, points: Iterable[Point], limit: float | None = None) -> Drawing:
    """The plot; `limit` is a vertical line at a budget. Points that are not `other` are drawn last, over the others."""
    across, down = _scale(x, _LEFT, WIDTH - _RIGHT), _scale(y, HEIGHT - _BOTTOM, _TOP)
    lines, labels = _grid(x, y, across, down)
    if limit is not None and x.low <= limit <= x.high:
        lines.append(Line("budget", across(limit), _TOP, across(limit), HEIGHT - _BOTTOM))
    order = sorted(points, key=lambda point: (point.look not in ("other", "untrained"), point.x))
    labels += [_note(point, across, down) for point in order if point.note]
    return Drawing(name, lines, labels, _upright(y.title), [_mark(point, across, down) for point in order])


def diagonal(name: str, x: Axis, y: Axis, points: Iterable[Point]) -> Drawing:
    """The plot of two numbers that should be equal, with the line on which they are; both axes have one range."""
    low, high = min(x.low, y.low), max(x.high, y.high)
    x, y = Axis(x.title, low, high), Axis(y.title, low, high)
    across, down = _scale(x, _LEFT, WIDTH - _RIGHT), _scale(y, HEIGHT - _BOTTOM, _TOP)
    lines, labels = _grid(x, y, across, down)
    lines.append(Line("ideal", across(low), down(low), across(high), down(high)))
    return Drawing(name, lines, labels, _upright(y.title), [_mark(point, across, down) for point in points])


def _scale(axis: Axis, start: float, end: float) -> Callable[[float], float]:
    return lambda value: round(start + (value - axis.low) / (axis.high - axis.low) * (end - start), 1)


def _grid(
    x: Axis, y: Axis, across: Callable[[float], float], down: Callable[[float], float]
) -> tuple[list[Line], list[Label]]:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    lines = [Line("axis", _LEFT, bottom, right, bottom), Line("axis", _LEFT, _TOP, _LEFT, bottom)]
    lines += [Line("grid", across(tick), _TOP, across(tick), bottom) for tick in x.ticks]
    lines += [Line("grid", _LEFT, down(tick), right, down(tick)) for tick in y.ticks]
    labels = [Label(x.text(tick), across(tick), bottom + 22, "middle") for tick in x.ticks]
    labels += [Label(y.text(tick), _LEFT - 8, down(tick) + 5, "end") for tick in y.ticks]
    return lines, [*labels, Label(x.title, (_LEFT + right) / 2, HEIGHT - 12, "middle")]


def _upright(title: str) -> Label:
    return Label(title, 20, (_TOP + HEIGHT - _BOTTOM) / 2, "middle")


def _note(point: Point, across: Callable[[float], float], down: Callable[[float], float]) -> Label:
    """Beside the point, on the side that has more room."""
    x, is_left = across(point.x), across(point.x) < WIDTH / 2
    return Label(point.note, x + (12 if is_left else -12), down(point.y) - 8, "start" if is_left else "end")


def _mark(point: Point, across: Callable[[float], float], down: Callable[[float], float]) -> Mark:
    x, spread = across(point.x), None
    if point.error:
        spread = Line("spread", x, down(point.y - point.error), x, down(point.y + point.error))
    return Mark(x, down(point.y), _SMALL if point.look == "other" else _LARGE, point.label, point.look, spread)
