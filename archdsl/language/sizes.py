"""Sizes of images as people write them, `224x320` or `(224, 320)`, told in the form that is read: [height, width]."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archdsl.json_types import Json

LEAST_SIDE, MOST_SIDE = 16, 4096
"""Sides of an image, in pixels."""
_FORM = "[height, width]"
_MOST_CHARACTERS = 80
_NUMBER = re.compile(r"(?<![\w.])-?[0-9]{1,9}(?:\.[0-9]{1,9})?|(?<=[xX*\u00d7,;:_hHwW])[0-9]{1,9}(?:\.[0-9]{1,9})?")
_SIDES = (("height", "width"), ("h", "w"), ("H", "W"), ("rows", "columns"))


def size_remedy(value: Json | tuple[int, ...]) -> str:
    """What to write instead of a value that is no image size: its very numbers as [height, width] where it has two.

    >>> size_remedy("224x320")
    'use [224, 320] (height 224, width 320)'
    """
    sides = sides_in(value)
    if isinstance(value, str) and value.lstrip().startswith(("[", "(")) and len(sides) == 1:
        return f"write {_FORM} without blanks, or in quotes for the shell"  # which handed over half of it
    if len(sides) != 2:
        listed = isinstance(value, list | tuple)
        return f"write {_FORM if listed else sides[0]}" if listed or (sides and _fits(sides)) else _bounds()
    if not _fits(sides):
        return f"use {_FORM}, each {LEAST_SIDE} to {MOST_SIDE}"
    height, width = sides
    square = f"{height}, or " if height == width else ""
    return f"use {square}[{height}, {width}] (height {height}, width {width})"


def sides_in(value: Json | tuple[int, ...]) -> list[int]:
    """The whole numbers that may be sides in a value: two of `224x320` and of [3, 224, 320], whose first is channels.

    An object's are read by their names, height first, whichever is written first.
    """
    if isinstance(value, dict):
        pairs = ([value[name] for name in names] for names in _SIDES if set(names) == set(value))
        value = next(pairs, None)
    numbers = list(_numbers(value))
    if isinstance(value, str) and 0 <= value.lower().find("w") < value.lower().find("h"):
        numbers.reverse()  # `width=320, height=224`
    if len(numbers) == 3:  # (channels, height, width), or the channels last
        numbers = numbers[1:] if numbers[0] < LEAST_SIDE else numbers[:2] if numbers[2] < LEAST_SIDE else numbers
    return [int(number) for number in numbers] if all(number.is_integer() for number in numbers) else []


def _numbers(value: Json | tuple[int, ...]) -> Iterator[float]:
    if isinstance(value, str):
        if len(value) <= _MOST_CHARACTERS:
            yield from (float(number) for number in _NUMBER.findall(value))
    elif isinstance(value, list | tuple):
        for item in value[:4]:
            yield from _numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9:
        yield float(value)


def _fits(sides: list[int]) -> bool:
    return all(LEAST_SIDE <= side <= MOST_SIDE for side in sides)


def _bounds() -> str:
    return f"use {LEAST_SIDE} to {MOST_SIDE}, or {_FORM}"
