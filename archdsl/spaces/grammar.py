"""The grammar of expressions in search spaces: `merge2.width // 32`, `stage1 == 'mlp' or stage2 != 'mlp'`.

A grammar of our own, so that nothing outside it can be said. Loosest first, each line one level of precedence:

    or
    and
    not
    == != < <= > >= in, not in        chains as in Python; `in` reads a list of literals and ends a chain
    + -
    * / // %
    - (sign)
    number, 'text', true, false, name, name.field, (expression)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from archdsl.errors import short

Scalar = int | float | str | bool
Number = TypeVar("Number", int, float)

MAX_CHARACTERS = 200
MAX_TEXT = 64
MAX_NESTING = 16
MAX_NUMBER = 1e12
ALLOWED = "allowed: numbers, 'text', true, false, names, + - * / // %, == != < <= > >= in, and, or, not, ( )"

_TOKENS = re.compile(
    r"""(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w.])
    |(?P<text>'[^'\\\x00-\x1f]*'|"[^"\\\x00-\x1f]*")
    |(?P<name>[a-z][a-z0-9_]*(?:\.(?:[a-z][a-z0-9_]*|[0-9]+))*)(?![\w.])
    |(?P<slip>[=!]==|=>|=<|<>|&&|\|\|)
    |(?P<mark>\*\*|//|[<>=!]=|[-+*/%<>()\[\],])
    |(?P<other>[\w.]+|[^ ])""",
    re.VERBOSE,
)
_SUMS, _PRODUCTS = ("+", "-"), ("*", "/", "//", "%")
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_WORDS = ("and", "or", "not", "in", "true", "false")
_MEANT = {
    **dict.fromkeys(("=", "==="), "=="),
    **dict.fromkeys(("<>", "!=="), "!="),
    **dict.fromkeys(("&", "&&", "AND"), "and"),
    **dict.fromkeys(("|", "||", "OR"), "or"),
    **dict.fromkeys(("!", "NOT"), "not"),
    "=>": ">=",
    "=<": "<=",
}
"""Operators of other languages, and what they are called here."""
_HINTS = {
    **dict.fromkeys(("'", '"'), "close the text with the quote that opens it"),
    **dict.fromkeys(("True", "False"), "write true or false"),
    "**": "powers cannot be written",
    "(": "calls cannot be written",
    "[": "subscripts cannot be written",
}


class ExpressionError(ValueError):
    """Text outside the grammar, or operands that an operator does not take; `column` counts from 1."""

    def __init__(self, column: int, rule: str, value: str | None = None, remedy: str | None = None) -> None:
        self.column, self.rule, self.value, self.remedy = column, rule, value, remedy
        parts = (rule, value and f"got {value}", remedy)
        super().__init__(f"column {column}: {'; '.join(part for part in parts if part)}")


class SyntaxNode(NamedTuple):
    """An operator with its operands, of which a literal and a name have none."""

    op: str
    column: int
    operands: tuple[SyntaxNode, ...] = ()
    name: str = ""
    """Of a "name"."""
    literals: tuple[Scalar, ...] = ()
    """The value of a "literal"; the list of an "in"."""


def tree_of(text: str) -> tuple[SyntaxNode, frozenset[str]]:
    """The operators of an expression, and the names in it.

    Raises:
        ExpressionError: the text is outside the grammar or its bounds.
    """
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(1, f"an expression has at most {MAX_CHARACTERS} characters", str(len(text)))
    parser = _Parser(text)
    tree = parser.either()
    parser.expect("", "an operator")
    return tree, frozenset(parser.names)


class _Parser:
    """Recursive descent: a method a level, loosest first. `take` gives the column of the token that it passes."""

    def __init__(self, text: str) -> None:
        matches = [(match.lastgroup, match[0], match.start() + 1) for match in _TOKENS.finditer(text)]
        self.tokens = [*matches, ("end", "", len(text) + 1)]
        self.names: set[str] = set()
        self.index = self.depth = 0

    def either(self) -> SyntaxNode:
        return self.chain(("or",), self.both)

    def both(self) -> SyntaxNode:
        return self.chain(("and",), self.negation)

    def negation(self) -> SyntaxNode:
        if self.token == "not":
            return _node("not", self.take(), self.deeper(self.negation))
        return self.comparison()

    def comparison(self) -> SyntaxNode:
        """Turn `a < b < c` into `a < b and b < c`; as nothing has effects, computing b twice changes nothing."""
        left = self.sum()
        links: list[SyntaxNode] = []
        while self.token in _COMPARISONS:
            op, column, right = self.token, self.take(), self.sum()
            links.append(_node(op, column, left, right))
            left = right
        if self.token == "in" or (self.token == "not" and self.tokens[self.index + 1][1] == "in"):
            negated, column = self.token == "not", self.take()
            column = self.take() if negated else column
            link = SyntaxNode("in", column, (left,), literals=self.literals())
            links.append(_node("not", column, link) if negated else link)
        tree = links[0] if links else left
        for link in links[1:]:
            tree = _node("and", link.column, tree, link)
        return tree

    def sum(self) -> SyntaxNode:
        return self.chain(_SUMS, self.product)

    def product(self) -> SyntaxNode:
        return self.chain(_PRODUCTS, self.sign)

    def sign(self) -> SyntaxNode:
        if self.token == "-":
            return _node("minus", self.take(), self.deeper(self.sign))
        return self.atom()

    def atom(self) -> SyntaxNode:
        kind, token, column = self.tokens[self.index]
        if kind == "name" and token not in _WORDS:
            self.names.add(token)
            return SyntaxNode("name", self.take(), name=token)
        if token != "(":
            return SyntaxNode("literal", column, literals=(self.literal(),))
        self.take()
        inside = self.deeper(self.either)
        self.expect(")")
        return inside

    def literals(self) -> tuple[Scalar, ...]:
        """`(2, 4)` or `[2, 4]`, the right side of `in`."""
        close = {"(": ")", "[": "]"}.get(self.token)
        if close is None:
            raise self.refusal("a list of literals, such as (2, 4),")
        values: list[Scalar] = []
        while not values or self.token == ",":
            self.take()
            values.append(self.literal())
        self.expect(close)
        return tuple(values)

    def literal(self) -> Scalar:
        kind, token, column = self.tokens[self.index]
        minus = token == "-"  # only in a list: elsewhere the sign is an operator
        if minus:
            self.take()
            kind, token, _ = self.tokens[self.index]
        if kind == "number":
            self.take()
            value: float = bounded(column, int(token) if token.isdigit() else float(token))
            return -value if minus else value
        if minus or not (kind == "text" or token in ("true", "false")):
            raise self.refusal("a number, text or name")
        if len(token) > MAX_TEXT + 2:
            raise ExpressionError(column, f"text has at most {MAX_TEXT} characters", str(len(token) - 2))
        self.take()
        return token[1:-1] if kind == "text" else token == "true"

    def chain(self, ops: tuple[str, ...], tighter: Callable[[], SyntaxNode]) -> SyntaxNode:
        left = tighter()
        while self.token in ops:
            op, column = self.token, self.take()
            left = _node(op, column, left, tighter())
        return left

    def deeper(self, level: Callable[[], SyntaxNode]) -> SyntaxNode:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise ExpressionError(self.tokens[self.index][2], f"an expression is nested at most {MAX_NESTING} deep")
        tree = level()
        self.depth -= 1
        return tree

    @property
    def token(self) -> str:
        return self.tokens[self.index][1]

    def take(self) -> int:
        self.index += 1
        return self.tokens[self.index - 1][2]

    def expect(self, token: str, name: str = "") -> None:
        if self.token != token:
            raise self.refusal(name or token)
        self.index += 1

    def refusal(self, expected: str) -> ExpressionError:
        _, token, column = self.tokens[self.index]
        if token in _MEANT:
            return ExpressionError(column, f"'{token}' is not an operator", None, f"did you mean '{_MEANT[token]}'?")
        remedy = "; ".join(filter(None, (_HINTS.get(token), ALLOWED)))
        return ExpressionError(column, f"{expected} must stand here", short(token) if token else "the end", remedy)


def _node(op: str, column: int, *operands: SyntaxNode) -> SyntaxNode:
    """Refuse operands already here where their type can be told without the names' values."""
    node = SyntaxNode(op, column, operands)
    for operand in operands:
        if operand.op == "literal":
            check_operand(node, operand.literals[0])
        elif operand.op != "name":
            check_operand(node, 0 if operand.op in (*_SUMS, *_PRODUCTS, "minus") else True)
    return node


def check_operand(node: SyntaxNode, value: Scalar) -> None:
    """Refuse a value of a type that the operator does not take; true and false are no numbers, and numbers neither."""
    if node.op in ("==", "!=", "in"):
        return
    takes = "true or false" if node.op in ("and", "or", "not") else "a number"
    kind = "text" if isinstance(value, str) else "true or false" if isinstance(value, bool) else "a number"
    if takes != kind:
        raise ExpressionError(node.column, f"{'-' if node.op == 'minus' else node.op} takes {takes}", kind)


def bounded(column: int, value: Number) -> Number:
    """Refuse what is too large, infinite or not a number."""
    if abs(value) <= MAX_NUMBER:
        return value
    raise ExpressionError(column, "a number is at most 1e12", short(value))
