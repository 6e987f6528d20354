"""A scatter plot as SVG: axes with units, lines of limits, and points that tell about themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from archdsl.render.page.markup import Markup, element, together

WIDTH, HEIGHT = 720, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 16, 46


class Point(NamedTuple):
    """A point, what it tells, and how it looks: `front`, `winner` or `other`."""

    x: float
    y: float
    told: str
    look: str = "front"
    error: float | None = None
    """Half the height of its error bar, in units of y."""


class Axis(NamedTuple):
    """The range of an axis and what stands at it."""

    title: str
    low: float
    high: float

    @property
    def ticks(self) -> list[float]:
        """Some five round numbers inside the range."""
        rough = (self.high - self.low) / 5
        size = 10 ** math.floor(math.log10(rough))
        step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [step * place for place in range(first, math.floor(self.high / step + 1e-9) + 1)]


def axis(title: str, values: Sequence[float], from_zero: bool = False) -> Axis:
    """An axis that holds the values with some room around them."""
    low, high = (0.0 if from_zero else min(values)), max(values)
    room = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    return Axis(title, low if from_zero else low - room, high + room)


def scatter(name: str, x: Axis, y: Axis, points: Sequence[Point], limit: float | None = None) -> Markup:
    """The plot; `limit` is a vertical line at a budget. Points of the front can be reached by the keyboard."""
    across, down = _scale(x, _LEFT, WIDTH - _RIGHT), _scale(y, HEIGHT - _BOTTOM, _TOP)
    parts: list[Markup] = [*_grid(x, y, across, down)]
    if limit is not None and x.low <= limit <= x.high:
        parts.append(_line("budget", across(limit), _TOP, across(limit), HEIGHT - _BOTTOM))
        parts.append(_text("budget", across(limit) - 6, _TOP + 12, "end"))
    order = sorted(points, key=lambda point: (point.look != "other", point.x))
    parts += [_point(point, across, down) for point in order]
    return _drawing(name, parts)


def diagonal(name: str, x: Axis, y: Axis, points: Sequence[Point]) -> Markup:
    """The plot of two numbers that should be equal, with the line on which they are; both axes have one range."""
    both = min(x.low, y.low), max(x.high, y.high)
    x, y = x._replace(low=both[0], high=both[1]), y._replace(low=both[0], high=both[1])
    across, down = _scale(x, _LEFT, WIDTH - _RIGHT), _scale(y, HEIGHT - _BOTTOM, _TOP)
    ideal = _line("ideal", across(both[0]), down(both[0]), across(both[1]), down(both[1]))
    return _drawing(name, [*_grid(x, y, across, down), ideal, *(_point(point, across, down) for point in points)])


def _drawing(name: str, parts: Sequence[Markup]) -> Markup:
    size = f"0 0 {WIDTH} {HEIGHT}"
    return element("svg", together(parts), viewBox=size, role="group", aria_label=name)


def _scale(axis: Axis, start: float, end: float) -> Callable[[float], float]:
    return lambda value: round(start + (value - axis.low) / (axis.high - axis.low) * (end - start), 1)


def _grid(x: Axis, y: Axis, across: Callable[[float], float], down: Callable[[float], float]) -> list[Markup]:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = [_line("axis", _LEFT, bottom, right, bottom), _line("axis", _LEFT, _TOP, _LEFT, bottom)]
    for tick in x.ticks:
        parts += [_line("grid", across(tick), _TOP, across(tick), bottom)]
        parts += [_text(f"{tick:.6g}", across(tick), bottom + 17, "middle")]
    for tick in y.ticks:
        parts += [_line("grid", _LEFT, down(tick), right, down(tick))]
        parts += [_text(f"{tick:.6g}", _LEFT - 6, down(tick) + 4, "end")]
    parts.append(_text(x.title, (_LEFT + right) / 2, HEIGHT - 8, "middle"))
    middle = (_TOP + bottom) / 2
    turned = f"rotate(-90 14 {middle})"
    parts.append(element("text", y.title, x=14, y=middle, text_anchor="middle", transform=turned, aria_hidden="true"))
    return parts


def _point(point: Point, across: Callable[[float], float], down: Callable[[float], float]) -> Markup:
    x, y = across(point.x), down(point.y)
    parts = [element("title", point.told)]
    if point.error:
        parts.append(_line("spread", x, down(point.y - point.error), x, down(point.y + point.error)))
    parts.append(element("circle", cx=x, cy=y, r=4 if point.look == "other" else 6))
    reached = None if point.look == "other" else 0
    label = point.told.replace("\n", "; ")
    return element("g", *parts, class_=f"point {point.look}", tabindex=reached, role="img", aria_label=label)


def _line(look: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return element("line", class_=look, x1=x1, y1=y1, x2=x2, y2=y2)


def _text(text: str, x: float, y: float, anchor: str) -> Markup:
    return element("text", text, x=x, y=y, text_anchor=anchor, aria_hidden="true")
