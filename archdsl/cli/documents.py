"""The documents that arguments name, of either kind."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import typer

if TYPE_CHECKING:
    from archdsl.errors import Problem
    from archdsl.language.document import Spec
    from archdsl.spaces.space import Space

STDIN = "-"


Content: TypeAlias = "Spec | Space"


class Document(NamedTuple):
    """A document that holds, with its text as written."""

    text: str
    content: Content


def open_document(argument: str) -> Document:
    """The checked document of a zoo name, a shipped space, a path, or `-` for standard input.

    Raises:
        SpecError: it is refused.
        UnknownName: there is no such name or file.
    """
    from archdsl.language.text.reader import MAX_BYTES, read
    from archdsl.load.specs import parse_spec, source

    if argument == STDIN:
        data, file = sys.stdin.buffer.read(MAX_BYTES + 1), title(argument)
    else:
        data, file = source(argument)
    if read(data, file).get("kind") != "space":
        return Document(data.decode(), parse_spec(data, file))
    from archdsl.load.spaces import parse_space

    return Document(data.decode(), parse_space(data, file))


def overridden(document: Document, assignments: list[str]) -> Spec:
    """A backbone with fields set.

    Raises:
        BadParameter: it is a search space, whose fields are not set like that.
        SpecError: it has no such field, or does not hold with them.
    """
    from archdsl.language.document import Spec
    from archdsl.load.specs import override

    if not isinstance(document.content, Spec):
        raise typer.BadParameter("only a backbone has fields to set; this is a search space", param_hint="'--set'")
    return override(document.content, assignments)


def open_specs(arguments: list[str], assignments: list[str] | None) -> list[Spec]:
    """The backbones that are named, with the same fields set in each.

    Raises:
        SpecError: one is refused, or has no such field.
        UnknownName: there is no such name or file.
    """
    from archdsl.load.specs import load_spec, override

    return [override(load_spec(argument), assignments or []) for argument in arguments]


def title(argument: str) -> str:
    """What messages call it."""
    return "<stdin>" if argument == STDIN else argument


def placed(problems: list[Problem], argument: str) -> list[Problem]:
    """Problems of a document with file, line and column.

    Raises:
        UnknownName: there is no such name or file.
    """
    from archdsl.language.text.positions import locate, place
    from archdsl.load.sources import is_embedded, source

    data, file = source(argument)
    if is_embedded(file):
        return [problem._replace(file=file) for problem in problems]
    positions = locate(data.decode())
    return [place(problem, positions, file) for problem in problems]
