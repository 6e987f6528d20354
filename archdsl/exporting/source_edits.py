"""Edits of a module's text: which bytes of it a syntax tree's places are, and what stands there instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from archdsl.exporting.references import Function

Edit = tuple[int, int, bytes]
"""Bytes of a module from, to, and what stands in their place."""


class Offsets:
    """From places in a syntax tree to bytes of the module."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines
        self._starts = [0]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line))
        self._whole = b"".join(lines)

    def span(self, node: ast.expr | ast.stmt | ast.arg) -> tuple[int, int]:
        """First byte of a node, and the first after it."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[node.end_lineno - 1] + node.end_col_offset

    def lines(self, first: int, last: int) -> Edit:
        """Lines from index `first` to before `last`, left out."""
        return self._starts[first], self._starts[last], b""

    def annotation(self, place: ast.arg | ast.AnnAssign | Function) -> Edit:
        """An annotation with its colon or arrow, left out."""
        if isinstance(place, Function):
            assert place.returns is not None
            start, end = self.span(place.returns)
            return self._whole.rindex(b"->", 0, start) - 1, end, b""
        if isinstance(place, ast.arg):
            start, end = self.span(place)
            default = re.match(rb"\s*=\s*", self._whole[end : end + 40])
            end += default.end() if default else 0
            return start + len(place.arg.encode()), end, b"=" if default else b""
        return self.span(place.target)[1], self.span(place.annotation)[1], b""


def renamed(statement: ast.stmt, old: str, new: str, source: Offsets) -> Iterator[Edit]:
    """The edits that give a definition another name."""
    if old == new:
        return
    if isinstance(statement, Function | ast.ClassDef):
        start, _ = source.span(statement)
        start += len("class " if isinstance(statement, ast.ClassDef) else "def ")
        start += len("async ") * isinstance(statement, ast.AsyncFunctionDef)
        yield start, start + len(old.encode()), new.encode()
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and node.id == old and isinstance(node.ctx, ast.Store):
            yield *source.span(node), new.encode()


def first_line(statement: ast.stmt) -> int:
    """The line at which a statement begins, decorators included, from 1."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])
