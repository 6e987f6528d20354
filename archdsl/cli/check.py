"""`archdsl check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from archdsl.cli import output
from archdsl.cli.documents import open_document, overridden, title
from archdsl.cli.exit_codes import FAILED, WRONG_USE
from archdsl.cli.options import Json, Set
from archdsl.errors import Problem, SpecError, WrongUse

if TYPE_CHECKING:
    from archdsl import json_types
    from archdsl.cli.documents import Content, Document

Paths = Annotated[
    list[str],
    typer.Argument(metavar="PATH", help="zoo names, paths of .json or .safetensors files, or - for standard input"),
]


Strict = Annotated[bool, typer.Option("--strict", help="exit with code 1 if there are warnings")]


class Finding(NamedTuple):
    """What is said of one document: that it holds, or everything that is wrong with it; and what is odd in it."""

    summary: str = ""
    problems: tuple[Problem, ...] = ()
    code: int = 0
    warnings: tuple[Problem, ...] = ()
    shapes_unchecked: bool = False
    """Whether the problems may hide others in shapes."""
    hints: tuple[str, ...] = ()
    """What is allowed and rarely meant."""


def command(paths: Paths, assignments: Set = None, strict: Strict = False, as_json: Json = False) -> None:
    """Check backbones and search spaces: fields, edges, shapes and bounds, without building anything.

    One line is printed for a valid document, and one line for each problem of an invalid one. A warning names a value
    of a search space that no valid network can have; it is given only if that is proven. A hint names windows for which
    a map of a backbone is padded, with the share of padding.

    \b
    Examples:
      archdsl check litv2_s lit_s
      archdsl check dat_t --set stage3.window=12 --set image=384
      archdsl new litv2_s | archdsl check -
      archdsl check lit-dat-64 --strict
    """
    findings = []
    for path in paths:
        findings.append(finding := _look_at(path, assignments or []))
        if not as_json:
            _print_finding(path, finding)
    if as_json:
        errors: list[json_types.Json] = [problem.as_json() for finding in findings for problem in finding.problems]
        warnings: list[json_types.Json] = [problem.as_json() for finding in findings for problem in finding.warnings]
        refused = bool(errors or (strict and warnings))
        hints: list[json_types.Json] = [
            {"file": path, "rule": hint}
            for path, finding in zip(paths, findings, strict=True)
            for hint in finding.hints
        ]
        output.result_json({"ok": not refused, "errors": errors, "warnings": warnings, "hints": hints})
    codes = [FAILED if strict and finding.warnings else finding.code for finding in findings]
    raise typer.Exit(max(codes))


def _look_at(path: str, assignments: list[str]) -> Finding:
    try:
        document = open_document(path)
        content = overridden(document, assignments) if assignments else document.content
        return Finding(_summary(content), warnings=_warnings(document, path), hints=_hints(content))
    except SpecError as error:
        return Finding("", error.problems, FAILED, shapes_unchecked=error.shapes_unchecked)
    except WrongUse as error:
        return Finding("", (Problem((), " ".join(str(error).splitlines()), file=path),), WRONG_USE)


def _print_finding(path: str, finding: Finding) -> None:
    """Refusals are results; that there is no such document is not."""
    if finding.summary:
        output.lines(f"{title(path)}: ok: {finding.summary}")
    for problem in finding.warnings:
        place = ":".join(str(part) for part in (problem.file, problem.line, problem.column))
        rest = str(problem._replace(file=None, line=None, column=None))
        output.lines(f"{place}: warning: {rest}")
    for hint in finding.hints:
        output.lines(f"{title(path)}: hint: {hint}")
    for problem in finding.problems:
        if finding.code == WRONG_USE:
            output.error(problem.rule)
        else:
            output.lines(str(problem))
    if finding.shapes_unchecked:
        output.remark(f"{title(path)}: not everything was checked, because of these errors; mend them and check again")


def _warnings(document: Document, path: str) -> tuple[Problem, ...]:
    """What of a space can never occur, in document order."""
    from archdsl.spaces.space import Space

    if not isinstance(document.content, Space):
        return ()
    from archdsl.language.text.positions import locate, place
    from archdsl.search.doctor.impossible import warnings_of
    from archdsl.search.policy import SHIPPED

    problems = warnings_of(document.content, SHIPPED.proof)
    positions = locate(document.text) if problems else None
    placed = [place(problem, positions, title(path)) for problem in problems if positions]
    return tuple(sorted(placed, key=lambda problem: (problem.line or 0, problem.column or 0)))


def _hints(content: Content) -> tuple[str, ...]:
    """What of a backbone is rarely meant."""
    from archdsl.graphs.padding import padding_hints
    from archdsl.language.document import Spec

    return tuple(padding_hints(content)) if isinstance(content, Spec) else ()


def _summary(content: Content) -> str:
    """`9 nodes, 3x224x224 -> 1000, 27.84 M params`; of a space its variables instead."""
    from archdsl.language.document import Spec

    height, width = content.image_size
    sizes = f"{len(content.nodes)} nodes, {content.channels}x{height}x{width} -> {content.classes}"
    if isinstance(content, Spec):
        from archdsl.cost import count as cost_of

        return f"{sizes}, {cost_of(content).params / 1e6:.2f} M params"
    from archdsl.spaces.variables import variables

    count = len(variables(content.nodes))
    return f"{sizes}, {count} variable{'s' * (count != 1)}"
