"""Classes and functions copied from their sources into one file, with what they use, without what nothing uses."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from torch import nn

from archdsl.errors import ExportError
from archdsl.exporting.references import Function, Reference, Scan
from archdsl.exporting.source_edits import Edit, Offsets, first_line, renamed
from archdsl.exporting.source_modules import (
    Definition,
    Imported,
    ModuleName,
    Sources,
    Target,
    Unknown,
    imports_of,
    is_text,
)

_LINT_COMMENT = re.compile(rb"[ \t]+# (?:type: ignore|noqa)[^\n]*")


class Copy(NamedTuple):
    """What a file needs for some classes and functions."""

    imports: frozenset[Imported]
    names: Mapping[Definition, str]
    """What each is called in the file, in the order in which they stand there."""
    texts: tuple[str, ...]


def definition_of(value: type | object) -> Definition:
    """Where a class or function is defined."""
    return Definition(str(getattr(value, "__module__", "")), str(getattr(value, "__qualname__", "")))


def copy_definitions(
    roots: Iterable[Definition], packages: Iterable[str], attributes: Iterable[str], reserved: Iterable[str]
) -> Copy:
    """The source of some definitions and of all that they use, each after what it uses.

    Methods of a class that nothing in the file speaks of are left out, unless torch or Python calls them, and so are
    constants of a module's class.
    Annotations of what is not in the file are left out. Two definitions of one name are told apart by their packages.

    Args:
        roots: what the file uses.
        packages: what is copied; of other packages names are imported.
        attributes: the names of attributes that the rest of the file uses.
        reserved: the names that the rest of the file gives a meaning to.

    Raises:
        ExportError: a source cannot be had, or refers to what cannot be copied.
    """
    return _Copier(Sources(packages), tuple(roots), frozenset(attributes)).copy(frozenset(reserved))


class _Copier:
    def __init__(self, sources: Sources, roots: tuple[Definition, ...], attributes: frozenset[str]) -> None:
        self._sources = sources
        self._used = attributes
        self._scans: dict[Definition, Scan] = {}
        while True:
            self._order(roots)
            used = attributes.union(*(scan.attributes for scan in self._scans.values()))
            if used == self._used:
                break
            self._used = used

    def copy(self, reserved: frozenset[str]) -> Copy:
        """The texts, once it is known what is in the file."""
        bound = {target.bound for target in self._all_targets() if isinstance(target, Imported)}
        names = self._names(reserved | bound)
        texts, imports = [], set[Imported]()
        for definition in self._scans:
            edits, needed = self._edits(definition, names)
            imports |= needed
            texts.append(self._text(definition, edits))
        _check_bound(imports)
        return Copy(frozenset(imports), names, tuple(texts))

    # What is in the file

    def _order(self, roots: tuple[Definition, ...]) -> None:
        """Every definition that is used, after those that it uses."""
        self._scans = {}
        started: set[Definition] = set()

        def visit(definition: Definition) -> None:
            if definition in started:
                return
            started.add(definition)
            scan = self._scan(definition)
            self._check_imports(definition, scan)
            for reference in scan.references:
                target, _ = self._target(definition.module, reference)
                if isinstance(target, ModuleName):
                    raise _not_copied(definition, f"uses a whole module, {target.name}")
                if isinstance(target, Unknown) and not target.is_builtin and not target.name.startswith("__"):
                    raise _not_copied(definition, f"uses a name that its module does not define, {target.name}")
                if isinstance(target, Definition):
                    visit(target)
            self._scans[definition] = scan

        for root in roots:
            visit(root)

    def _check_imports(self, definition: Definition, scan: Scan) -> None:
        """Raises `ExportError` for an import inside a function of what is copied, which the file could not import."""
        package = definition.module.rpartition(".")[0]
        for imported in (each for statement in scan.imports for each in imports_of(statement, package)):
            if self._sources.has(imported.module):
                raise _not_copied(definition, f"imports {imported.module} inside a function")

    def _scan(self, definition: Definition) -> Scan:
        statement, *_ = self._sources.statements(definition)
        dropped = {id(each) for each in self._dropped(definition)}
        scan = Scan(lambda member: id(member) not in dropped)
        scan.visit(statement)
        return scan

    def _dropped(self, definition: Definition) -> Iterator[ast.stmt]:
        """Members of a class that nothing in the file names; of one that is no module's, methods alone."""
        statement, *_ = self._sources.statements(definition)
        kind = getattr(sys.modules[definition.module], definition.name, None)
        if not isinstance(statement, ast.ClassDef) or not isinstance(kind, type):
            return
        called = self._used.union(*(vars(base) for base in kind.__mro__ if not self._sources.has(base.__module__)))
        for index, member in enumerate(statement.body):
            names = _member_names(member) if issubclass(kind, nn.Module) or isinstance(member, Function) else []
            if names and not any(name in called or name.startswith("__") for name in names):
                yield member
                if not isinstance(member, Function) and is_text(statement.body[index + 1 : index + 2]):
                    yield statement.body[index + 1]

    def _target(self, module: str, reference: Reference) -> tuple[Target, ast.Name | ast.Attribute]:
        """What a reference stands for, and the part of it that does."""
        node, *attributes = reference.chain
        target = self._sources.resolve(module, reference.name)
        for attribute in attributes:
            if not isinstance(target, ModuleName) or not isinstance(attribute, ast.Attribute):
                break
            target, node = self._sources.member(target.name, attribute.attr), attribute
        return target, node

    def _targets(self) -> Iterator[tuple[Reference, Target]]:
        for definition, scan in self._scans.items():
            for reference in scan.references:
                yield reference, self._target(definition.module, reference)[0]

    def _all_targets(self) -> Iterator[Target]:
        """Those of annotations too."""
        for definition, scan in self._scans.items():
            annotated = (reference for _, inner in scan.annotations for reference in inner)
            for reference in (*scan.references, *annotated):
                yield self._target(definition.module, reference)[0]

    # What things are called

    def _names(self, reserved: frozenset[str]) -> dict[Definition, str]:
        count = Counter(definition.name for definition in self._scans)
        hidden = {target for reference, target in self._targets() if _is_hidden(reference, target)}
        names: dict[Definition, str] = {}
        for definition in self._scans:
            name = definition.name
            if count[name] > 1 or name in reserved or definition in hidden:
                name = _prefixed(definition)
            while name in reserved or name in names.values():
                name += "_"
            names[definition] = name
        return names

    # Its text

    def _edits(self, definition: Definition, names: Mapping[Definition, str]) -> tuple[list[Edit], set[Imported]]:
        scan, source = self._scans[definition], Offsets(self._sources.module(definition.module).lines)
        edits: list[Edit] = []
        imports: set[Imported] = set()
        kept = [inner for _, inner in scan.annotations if self._is_here(definition, inner)]
        for reference in (*scan.references, *(reference for inner in kept for reference in inner)):
            target, node = self._target(definition.module, reference)
            if isinstance(target, Imported):
                imports.add(target)
            elif isinstance(target, Definition):
                edits.append((*source.span(node), names[target].encode()))
        for place, inner in scan.annotations:
            if not self._is_here(definition, inner):
                edits.append(source.annotation(place))
        edits += self._member_edits(definition, source)
        edits += renamed(self._sources.statements(definition)[0], definition.name, names[definition], source)
        return edits, imports

    def _is_here(self, definition: Definition, annotation: Iterable[Reference]) -> bool:
        """Whether all that an annotation speaks of is Python's, imported, or in the file."""
        targets = [self._target(definition.module, reference)[0] for reference in annotation]
        return all(
            isinstance(target, Imported) or target in self._scans or getattr(target, "is_builtin", False)
            for target in targets
        )

    def _member_edits(self, definition: Definition, source: Offsets) -> Iterator[Edit]:
        """Members that are left out, with the comments and empty lines before them."""
        statement, *_ = self._sources.statements(definition)
        dropped = {id(member) for member in self._dropped(definition)}
        if not isinstance(statement, ast.ClassDef) or not dropped:
            return
        for before, member in zip([None, *statement.body], statement.body, strict=False):
            if id(member) in dropped:
                first = before.end_lineno if before is not None else first_line(member) - 1
                yield source.lines(first or 0, member.end_lineno or 0)
        if len(dropped) == len(statement.body):
            last = source.lines(0, statement.body[-1].end_lineno or 0)[1]
            yield last, last, b"    pass\n"

    def _text(self, definition: Definition, edits: list[Edit]) -> str:
        source = self._sources.module(definition.module)
        statements = self._sources.statements(definition)
        first = first_line(statements[0]) - 1
        while first > 0 and source.lines[first - 1].startswith(b"#"):
            first -= 1
        start, end = Offsets(source.lines).lines(first, statements[-1].end_lineno or 0)[:2]
        whole = b"".join(source.lines)
        pieces, place = [], start
        for begin, stop, text in sorted(set(edits)):
            pieces += [whole[place:begin], text]
            place = stop
        return _LINT_COMMENT.sub(b"", b"".join([*pieces, whole[place:end]])).decode().strip("\n")


def _not_copied(definition: Definition, reason: str) -> ExportError:
    return ExportError(f"{definition.module}.{definition.name} {reason}; name what it needs by imports at the top")


def _check_bound(imports: set[Imported]) -> None:
    """Raises `ExportError` where two imports would have the same name."""
    for bound, count in Counter(imported.bound for imported in imports).items():
        if count > 1:
            raise ExportError(f"two modules import different things as '{bound}'; give one of them another name")


def _member_names(member: ast.stmt) -> list[str]:
    """The names that a member of a class's body gives a meaning to; none for its docstring."""
    if isinstance(member, Function | ast.ClassDef):
        return [member.name]
    if isinstance(member, ast.AnnAssign):
        return [member.target.id] if isinstance(member.target, ast.Name) else []
    return [target.id for target in getattr(member, "targets", ()) if isinstance(target, ast.Name)]


def _is_hidden(reference: Reference, target: Target) -> bool:
    """Whether the name of a definition means something else where it is used."""
    return isinstance(target, Definition) and target.name in reference.local


def _prefixed(definition: Definition) -> str:
    """`DatOffsetNetwork` for `OffsetNetwork` of the package dat, `_dat_references`, `_DAT_APART`."""
    package = definition.module.split(".")[-2:][0]
    name = definition.name.lstrip("_")
    private = "_" * (len(definition.name) - len(name))
    if name.isupper():
        return f"{private}{package.upper()}_{name}"
    return f"{private}{package.capitalize()}{name}" if name[:1].isupper() else f"{private}{package}_{name}"
