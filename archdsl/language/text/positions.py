"""Where each key and value of a JSON document stands.

A scanner of our own, since json forgets places. It runs only when there is an error to place, and takes linear time.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from archdsl.errors import Keys, Problem

Place = tuple[int, int]
"""Line and column, both from 1; the column counts characters."""

_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]|[^\s"{}\[\],:]+')


@dataclass(slots=True)
class Spot:
    """A value: the offsets of its first character and of its key, and the values inside it."""

    start: int
    key: int | None = None
    inside: dict[str | int, Spot] | None = None


class Lines:
    """Turns offsets into places; lines end at a newline, as json counts them."""

    def __init__(self, text: str) -> None:
        self._ends = [-1, *(match.start() for match in re.finditer("\n", text))]

    def at(self, offset: int) -> Place:
        """Find the line that holds the character; the end of the text is a place, too."""
        line = bisect_left(self._ends, offset)
        return line, offset - self._ends[line - 1]


class Positions:
    """The places in one document.

    Of a duplicate key the last one counts, as in json; `duplicates` has its keys, the first place and the later one.
    """

    def __init__(self, lines: Lines, root: Spot | None, duplicates: list[tuple[Keys, Place, Place]]) -> None:
        self._lines, self._root, self.duplicates = lines, root, duplicates

    def value(self, keys: Keys) -> Place | None:
        """Find the value at `keys`, else its nearest ancestor that exists; None in an empty text."""
        spot, _ = self._find(keys)
        return self._lines.at(spot.start) if spot else None

    def key(self, keys: Keys) -> Place | None:
        """Find the last of `keys` itself; where none is written (an item of a list, a missing key), as `value` does."""
        spot, is_there = self._find(keys)
        if spot is None or not is_there or spot.key is None:
            return self.value(keys)
        return self._lines.at(spot.key)

    def walk(self) -> Iterator[tuple[Keys, Spot]]:
        """Go through all values in document order, each before what is inside it."""
        waiting: list[tuple[Keys, Spot]] = [((), self._root)] if self._root else []
        while waiting:
            keys, spot = waiting.pop()
            yield keys, spot
            waiting.extend(((*keys, name), child) for name, child in reversed((spot.inside or {}).items()))

    def _find(self, keys: Keys) -> tuple[Spot | None, bool]:
        spot = self._root
        for name in keys:
            if spot is None or not spot.inside or name not in spot.inside:
                return spot, False
            spot = spot.inside[name]
        return spot, True


class _Open:
    """An object or list whose end is not read yet."""

    def __init__(self, spot: Spot, name: str | int, is_object: bool) -> None:
        self.name, self.is_object = name, is_object
        self.inside: dict[str | int, Spot] = {}
        spot.inside = self.inside
        self.pending: tuple[str, int] | None = None  # an object's key that waits for its value
        self.length = 0

    def add(self, start: int) -> tuple[str | int, Spot, Spot | None]:
        """Give the name of the value that begins at `start`, its spot, and the spot that it takes the place of."""
        name, key = self.pending or (self.length, None)
        self.pending, self.length = None, self.length + 1
        earlier = self.inside.pop(name, None)  # popped, so that `inside` stays in document order
        spot = self.inside[name] = Spot(start, key)
        return name, spot, earlier


def locate(text: str) -> Positions:
    """Find the places in `text`, which json has read without complaint."""
    lines, root = Lines(text), None
    twice: list[tuple[Keys, Place, Place]] = []
    firsts: dict[int, int] = {}  # a duplicate's key -> the key that was first, so that a third names the first, too
    stack: list[_Open] = []
    for match in _TOKENS.finditer(text):
        start, token = match.start(), match[0]
        if token in "]}":
            stack.pop()
            continue
        if stack and stack[-1].is_object and stack[-1].pending is None:
            stack[-1].pending = (json.loads(token) if "\\" in token else token[1:-1], start)
            continue
        name, spot, earlier = stack[-1].add(start) if stack else ("", Spot(start), None)
        root = root or spot
        if earlier and earlier.key is not None and spot.key is not None:
            first = firsts[spot.key] = firsts.get(earlier.key, earlier.key)
            keys = (*(opened.name for opened in stack[1:]), name)
            twice.append((keys, lines.at(first), lines.at(spot.key)))
        if token in "[{":
            stack.append(_Open(spot, name, token == "{"))
    return Positions(lines, root, twice)


def place(problem: Problem, positions: Positions, file: str) -> Problem:
    """Add file, line and column; what is missing is placed at the nearest ancestor that exists."""
    where = positions.key(problem.keys) if problem.at_key else positions.value(problem.keys)
    line, column = where or (None, None)
    return problem._replace(file=file, line=line, column=column)
