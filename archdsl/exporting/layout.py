"""Expressions of Python laid out: on one line where they fit, else an item a line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from archdsl.json_types import Json

WIDTH = 100
"""Characters of a line, where it can be broken."""
_STEP = "    "


class Group(NamedTuple):
    """Items between two brackets, each with what stands before it (`heads=`), and commas between them or not."""

    opening: str
    items: tuple[tuple[str, Expression], ...]
    closing: str
    comma: bool = True


Expression = str | Group


def flat(expression: Expression) -> str:
    """On one line."""
    if isinstance(expression, str):
        return expression
    inner = (", " if expression.comma else " ").join(before + flat(item) for before, item in expression.items)
    lone = "," if expression.opening == "(" and len(expression.items) == 1 else ""
    return f"{expression.opening}{inner}{lone}{expression.closing}"


def laid_out(expression: Expression, indent: str, before: str = "", after: str = "") -> str:
    """As it stands in a file, `before` in front of it on its first line and `after` behind it on its last."""
    line = indent + before + flat(expression) + after
    if len(line) <= WIDTH or isinstance(expression, str) or not expression.items:
        return line
    comma = "," if expression.comma else ""
    inner = [laid_out(item, indent + _STEP, name, comma) for name, item in expression.items]
    return "\n".join([f"{indent}{before}{expression.opening}", *inner, f"{indent}{expression.closing}{after}"])


def call(function: str, arguments: Iterable[tuple[str, Expression]]) -> Group:
    """A call with arguments by name, or by place where the name is empty."""
    items = tuple((f"{name}=" if name else "", value) for name, value in arguments)
    return Group(f"{function}(", items, ")")


def sequence(items: Sequence[Expression], opening: str = "[", closing: str = "]") -> Expression:
    """A list; where it repeats, a comprehension that makes every item anew."""
    count = len(items)
    period = next((p for p in range(1, count) if all(items[i] == items[i - p] for i in range(p, count))), count)
    times = count // period if period else 0
    if opening != "[" or times < 2:
        return Group(opening, tuple(("", item) for item in items), closing)
    loop = f"for _ in range({times})"
    if period == 1:
        return Group("[", (("", items[0]), ("", loop)), "]", comma=False)
    turn = Group("(", tuple(("", item) for item in items[:period]), ")")
    repeated = (("", "block"), ("", loop), ("for block in ", turn))
    rest = items[times * period :]
    if not rest:
        return Group("[", repeated, "]", comma=False)
    return Group("[", (("*", Group("(", repeated, ")", comma=False)), *(("", item) for item in rest)), "]")


def literal(value: Json | tuple[Json, ...]) -> Expression:
    """A value of JSON, or a tuple of such, as Python writes it."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return Group("{", tuple((f"{text(name)}: ", literal(item)) for name, item in value.items()), "}")
    if isinstance(value, list):
        return Group("[", tuple(("", literal(item)) for item in value), "]")
    if isinstance(value, tuple):
        return Group("(", tuple(("", literal(item)) for item in value), ")")
    return repr(value) if not isinstance(value, float) or math.isfinite(value) else f'float("{value}")'


def text(value: str) -> str:
    """A text in double quotes."""
    written = json.dumps(value, ensure_ascii=False)
    return written if written.isprintable() else repr(value)


def filled(opening: str, items: Iterable[str], closing: str) -> str:
    """Many short items, as many a line as fit."""
    lines, line = [opening], ""
    for item in items:
        if line and len(_STEP) + len(line) + len(item) + 2 > WIDTH:
            lines.append(_STEP + line.rstrip())
            line = ""
        line += f"{item}, "
    return "\n".join([*lines, *([_STEP + line.rstrip()] if line else []), closing])
