"""`archdsl check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from archdsl.cli import output
from archdsl.cli.documents import open_document, overridden, title
from archdsl.cli.ending import FAILED, WRONG_USE
from archdsl.cli.options import Json, Set
from archdsl.errors import Problem, SpecError, WrongUse

if TYPE_CHECKING:
    from archdsl.cli.documents import Content

Paths = Annotated[
    list[str], typer.Argument(metavar="PATH", help="JSON documents of either kind, zoo names, or - for standard input")
]


class Finding(NamedTuple):
    """What is said of one document: that it holds, or everything that is wrong with it."""

    summary: str = ""
    problems: tuple[Problem, ...] = ()
    code: int = 0


def command(paths: Paths, assignments: Set = None, as_json: Json = False) -> None:
    """Check backbones and search spaces: fields, edges, shapes and bounds, without building anything.

    Prints a line for a document that holds, and a line for each problem of one that does not.

    \b
    Examples:
      archdsl check litv2_s lit_s
      archdsl check dat_t --set stage3.window=12 --set image=384
      archdsl new litv2_s | archdsl check -
    """
    findings = []
    for path in paths:
        findings.append(found := _look_at(path, assignments or []))
        if not as_json:
            _tell(path, found)
    if as_json:
        errors = [problem.as_json() for found in findings for problem in found.problems]
        output.result_json({"ok": not errors, "errors": errors})
    raise typer.Exit(max(found.code for found in findings))


def _look_at(path: str, assignments: list[str]) -> Finding:
    try:
        document = open_document(path)
        return Finding(_summary(overridden(document, assignments) if assignments else document.content))
    except SpecError as error:
        return Finding("", error.problems, FAILED)
    except WrongUse as error:
        return Finding("", (Problem((), " ".join(str(error).splitlines()), file=path),), WRONG_USE)


def _tell(path: str, found: Finding) -> None:
    """Refusals are results; that there is no such document is not."""
    if found.summary:
        output.lines(f"{title(path)}: ok: {found.summary}")
    for problem in found.problems:
        if found.code == WRONG_USE:
            output.error(problem.rule)
        else:
            output.lines(str(problem))


def _summary(content: Content) -> str:
    """`9 nodes, 3x224x224 -> 1000, 27.84 M params`; of a space its variables instead."""
    from archdsl.schema.document import Spec

    height, width = content.image_size
    sizes = f"{len(content.nodes)} nodes, {content.channels}x{height}x{width} -> {content.classes}"
    if isinstance(content, Spec):
        from archdsl.cost import count

        return f"{sizes}, {count(content).params / 1e6:.2f} M params"
    from archdsl.schema.variables import variables

    return f"{sizes}, {len(variables(content.nodes))} variables"
