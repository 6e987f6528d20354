"""The source of modules, and what a name in it stands for: followed through imports to where it is defined."""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from archdsl.errors import ExportError


class Imported(NamedTuple):
    """An import statement of one name: `import module as bound`, or `from module import name as bound`."""

    module: str
    name: str | None
    bound: str


class Definition(NamedTuple):
    """A class, a function or a constant at the top of a module."""

    module: str
    name: str


class ModuleName(NamedTuple):
    """A name that stands for a whole module whose definitions are copied."""

    name: str


class Unknown(NamedTuple):
    """A name of Python itself, or one that no source defines."""

    name: str

    @property
    def is_builtin(self) -> bool:
        """Whether it is Python's."""
        return hasattr(builtins, self.name)


Target = Imported | Definition | ModuleName | Unknown


class ModuleSource:
    """The text of a module in lines of UTF-8, which syntax trees count in, its tree, and what its top names are."""

    def __init__(self, name: str) -> None:
        module = sys.modules.get(name)  # whoever uses a name of it at run time has imported it
        try:
            text = inspect.getsource(module) if module is not None else ""
        except (OSError, TypeError):
            text = ""
        self.name = name
        self.lines = text.encode().splitlines(keepends=True)
        self.tree = ast.parse(text)
        self.statements: dict[str, tuple[ast.stmt, ...]] = {}
        self.imports: dict[str, Imported] = {}
        for index, statement in enumerate(self.tree.body):
            self._bind(statement, self.tree.body[index + 1 :], getattr(module, "__package__", None) or "")

    def _bind(self, statement: ast.stmt, after: list[ast.stmt], package: str) -> None:
        if isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING"):
            for inner in statement.body:
                self._bind(inner, [], package)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            self.imports |= {imported.bound: imported for imported in imports_of(statement, package)}
        elif not isinstance(statement, ast.Expr):
            docstring = after[:1] if isinstance(statement, ast.Assign | ast.AnnAssign) and is_text(after[:1]) else []
            self.statements |= dict.fromkeys(_bound(statement), (statement, *docstring))


def is_text(statements: list[ast.stmt]) -> bool:
    """Whether the first of them is a docstring."""
    first = statements[0] if statements else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def imports_of(statement: ast.Import | ast.ImportFrom, package: str) -> Iterator[Imported]:
    """One import a name."""
    for alias in statement.names:
        if isinstance(statement, ast.ImportFrom):
            above = package.split(".")[: 1 - statement.level or None] if statement.level else []
            module = ".".join([*above, *filter(None, [statement.module])])
            yield Imported(module, alias.name, alias.asname or alias.name)
        elif alias.asname:
            yield Imported(alias.name, None, alias.asname)
        else:
            yield Imported(alias.name.split(".")[0], None, alias.name.split(".")[0])


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a module gives a meaning to."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)


class Sources:
    """All modules whose definitions are copied: those of some packages. Of others, names are imported."""

    def __init__(self, packages: Iterable[str]) -> None:
        self._packages = frozenset(packages)
        self._read: dict[str, ModuleSource] = {}

    def has(self, module: str) -> bool:
        """Whether definitions of a module are copied."""
        return module.split(".")[0] in self._packages

    def module(self, name: str) -> ModuleSource:
        """A module, read once."""
        if name not in self._read:
            self._read[name] = ModuleSource(name)
        return self._read[name]

    def statements(self, definition: Definition) -> tuple[ast.stmt, ...]:
        """The statement that defines a name, and the docstring that follows a constant.

        Raises:
            ExportError: the source of its module cannot be had, or does not define it at its top.
        """
        try:
            return self.module(definition.module).statements[definition.name]
        except KeyError:
            what = f"{definition.module}.{definition.name}"
            raise ExportError(f"the source of {what} cannot be had; define it at the top of a module's file") from None

    def resolve(self, module: str, name: str) -> Target:
        """What a name at the top of a module stands for."""
        source = self.module(module)
        if name in source.statements:
            return Definition(module, name)
        imported = source.imports.get(name)
        if imported is None:
            return Unknown(name)
        if not self.has(imported.module):
            return imported
        return ModuleName(imported.module) if imported.name is None else self.member(imported.module, imported.name)

    def member(self, module: str, name: str) -> Target:
        """What `module.name` stands for: a definition, what it imports, or a module inside a package."""
        source = self.module(module)
        if name in source.statements or name in source.imports:
            return self.resolve(module, name)
        return ModuleName(f"{module}.{name}")
