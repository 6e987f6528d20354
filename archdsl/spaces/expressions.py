"""Expressions of search spaces, read and computed: `merge2.width // 32`, `stage1 == 'mlp' or stage2 != 'mlp'`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from archdsl.errors import short
from archdsl.json_types import Json
from archdsl.spaces.grammar import ExpressionError, Scalar, SyntaxNode, bounded, check_operand, tree_of

__all__ = ["Expression", "ExpressionError", "Inactive", "Scalar", "parse"]

_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Inactive(Exception):  # no error: the caller decides what it means
    """A name that the chosen alternatives leave without a value."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression; `parse` makes it. Equal texts are equal expressions."""

    text: str
    tree: SyntaxNode = field(repr=False, compare=False)
    names: frozenset[str] = field(repr=False, compare=False)

    def evaluate(self, env: Callable[[str], Json]) -> Scalar:
        """Compute the value, with names looked up in `env`.

        All names are looked up before anything is computed, also those that `and` or `or` then skips: whether an
        expression mentions something inactive must not depend on its other values. What follows from it is the
        caller's to decide: a constraint counts as true, a derived field is an error.

        Raises:
            Inactive: `env` raised it.
            ExpressionError: an operator does not take its operands, or a number leaves the bounds.

        """
        return _evaluate(self.tree, {name: env(name) for name in sorted(self.names)}, {})


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Read an expression.

    Raises:
        ExpressionError: the text is outside the grammar or its bounds.

    """
    return Expression(text, *tree_of(text))


def _same(left: Scalar, right: Scalar) -> bool:
    """Compare as JSON does: unlike in Python, true is not 1."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _evaluate(node: SyntaxNode, values: Mapping[str, Json], done: dict[int, Scalar]) -> Scalar:
    """The value of a part; one that stands in two links of a chain is computed once."""
    if id(node) not in done:
        done[id(node)] = _computed(node, values, done)
    return done[id(node)]


def _computed(node: SyntaxNode, values: Mapping[str, Json], done: dict[int, Scalar]) -> Scalar:
    if node.op == "literal":
        return node.literals[0]
    if node.op == "name":
        return _named(node, values[node.name])
    left = _evaluate(node.operands[0], values, done)
    check_operand(node, left)
    if node.op == "not":
        return not left
    if node.op == "minus":
        return -_number(left)
    if node.op == "in":
        return any(_same(left, value) for value in node.literals)
    if node.op in ("and", "or") and left is (node.op == "or"):
        return left
    right = _evaluate(node.operands[1], values, done)
    check_operand(node, right)
    return _apply(node, left, right)


def _named(node: SyntaxNode, value: Json) -> Scalar:
    if not isinstance(value, bool | str | int | float):
        raise ExpressionError(node.column, f"{node.name} must be a number, text, true or false", short(value))
    return value if isinstance(value, bool | str) else bounded(node.column, value)


def _apply(node: SyntaxNode, left: Scalar, right: Scalar) -> Scalar:
    if node.op in ("and", "or"):
        return right
    if node.op in ("==", "!="):
        return _same(left, right) == (node.op == "==")
    if node.op in _ORDER:
        return _ORDER[node.op](_number(left), _number(right))
    if node.op in ("/", "//", "%") and right == 0:
        raise ExpressionError(node.column, "a number cannot be divided by zero", f"{left} {node.op} 0")
    return bounded(node.column, _ARITHMETIC[node.op](_number(left), _number(right)))


def _number(value: Scalar) -> int | float:
    """An operand that `check_operand` has passed as a number."""
    assert not isinstance(value, str)
    return value
