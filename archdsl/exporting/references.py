"""What a piece of source refers to outside itself: its names that no scope inside it gives a meaning to."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Reference(NamedTuple):
    """A name, or a name with attributes (`layers.norm`), that is looked up at the top of its module.

    chain: the name and, from the inside out, the attributes of it; local: the names that scopes around it hide.
    """

    chain: tuple[ast.Name | ast.Attribute, ...]
    local: frozenset[str]

    @property
    def name(self) -> str:
        """The name that the chain starts with."""
        first = self.chain[0]
        assert isinstance(first, ast.Name)
        return first.id


class Scan(ast.NodeVisitor):
    """Collects references. Annotations inside functions are kept apart: they can be left out of a copy."""

    def __init__(self, is_kept: Callable[[ast.stmt], bool]) -> None:
        """`is_kept` tells of a statement in the body of the outermost class whether it is copied."""
        self.references: list[Reference] = []
        self.annotations: list[tuple[ast.arg | ast.AnnAssign | Function, tuple[Reference, ...]]] = []
        self.attributes: set[str] = set()
        self.imports: list[ast.Import | ast.ImportFrom] = []
        self._is_kept = is_kept
        self._local: frozenset[str] = frozenset()
        self._depth = 0
        self._in_function = False

    def visit_Name(self, node: ast.Name) -> None:
        """A reference, unless it is local."""
        self._refer(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """A reference, if it starts with a name that is not local."""
        self.attributes.add(node.attr)
        self._refer(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """A text that could be the name of an attribute, as getattr takes it."""
        if isinstance(node.value, str) and node.value.isidentifier():
            self.attributes.add(node.value)

    def visit_Import(self, node: ast.Import) -> None:
        """An import inside a function."""
        self.imports.append(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """As any import."""
        self.imports.append(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """What stands outside its body, and what is kept of that."""
        for outside in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self.visit(outside)
        kept = [statement for statement in node.body if self._depth or self._is_kept(statement)]
        self._depth += 1
        names = frozenset(_stored(kept))
        for statement in kept:
            # The names of a class body are seen in it, but not in its functions.
            hidden = frozenset() if isinstance(statement, Function) else names
            self._within(hidden, [statement])
        self._depth -= 1

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Its defaults and decorators outside, its body inside."""
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """As any function."""
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Its defaults outside, its body inside."""
        for default in _defaults(node.args):
            self.visit(default)
        self._within(frozenset(argument.arg for argument in _arguments(node.args)), [node.body])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """In the body of a class an annotation is a value as others are (a NamedTuple needs it)."""
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)
        if self._depth and not self._in_function:
            self.visit(node.annotation)
        else:
            self._annotation(node, node.annotation)

    def generic_visit(self, node: ast.AST) -> None:
        """A comprehension is a scope."""
        if isinstance(node, _COMPREHENSIONS):
            names = frozenset(name for generator in node.generators for name in _stored([generator.target]))
            self._within(names, ast.iter_child_nodes(node))
        else:
            super().generic_visit(node)

    def _function(self, node: Function) -> None:
        for outside in (*node.decorator_list, *_defaults(node.args)):
            self.visit(outside)
        arguments = list(_arguments(node.args))
        for argument in arguments:
            if argument.annotation is not None:
                self._annotation(argument, argument.annotation)
        if node.returns is not None:
            self._annotation(node, node.returns)
        outer, self._in_function = self._in_function, True
        self._within(frozenset({argument.arg for argument in arguments} | set(_stored(node.body))), node.body)
        self._in_function = outer

    def _within(self, names: frozenset[str], nodes: Iterable[ast.AST]) -> None:
        outer, self._local = self._local, self._local | names
        for node in nodes:
            self.visit(node)
        self._local = outer

    def _annotation(self, place: ast.arg | ast.AnnAssign | Function, annotation: ast.expr) -> None:
        scan = Scan(self._is_kept)
        scan.visit(annotation)
        self.annotations.append((place, tuple(scan.references)))

    def _refer(self, node: ast.Name | ast.Attribute) -> None:
        chain: list[ast.Name | ast.Attribute] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            chain.append(inner)
            self.attributes.add(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            self.visit(inner)
        elif isinstance(inner.ctx, ast.Load) and inner.id not in self._local:
            self.references.append(Reference((inner, *reversed(chain)), self._local))


def _stored(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The names that statements of one scope bind, not those of the scopes inside them."""
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, Function | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
            yield from _stored(ast.iter_child_nodes(node))
        elif isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        elif not isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
            yield from _stored(ast.iter_child_nodes(node))


def _arguments(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None)


def _defaults(arguments: ast.arguments) -> Iterator[ast.expr]:
    yield from arguments.defaults
    yield from (default for default in arguments.kw_defaults if default is not None)
