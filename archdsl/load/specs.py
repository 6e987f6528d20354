"""From a zoo name, a path or Python values to a document that holds, or to everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from archdsl.cost import count, limit_problems
from archdsl.errors import Problem, SpecError, nearest_only, one_of, short
from archdsl.json_types import JsonObject
from archdsl.language.arguments import check_spec, checked_assignments, wrong_document
from archdsl.language.checking.draft import KINDS, draft, in_order
from archdsl.language.checking.problems import as_a_space, first, once_a_slip
from archdsl.language.document import Spec, spec_model
from archdsl.language.header import VERSION
from archdsl.language.overrides import apply, without_left_over
from archdsl.language.plan import linked_graph
from archdsl.language.text.positions import locate, place
from archdsl.language.text.reader import read
from archdsl.language.text.values import json_values
from archdsl.load.sources import UnknownName, is_embedded, next_commands, other_kind_in_command, source

__all__ = ["UnknownName", "load_spec", "override", "parse_spec", "source", "spec_of"]

Parsed = TypeVar("Parsed")


def load_spec(document: str | os.PathLike[str] | dict[str, Any]) -> Spec:
    """The backbone of a zoo name, of a file (JSON, or a model of ours) or of a dict, checked and frozen.

    Raises:
        SpecError: the document is refused; `problems` says everything that is wrong, with its place; of a dict its
            JSON path alone.
        UnknownName: there is no such zoo name or file.
        TypeError: it is something else.
    """
    if isinstance(document, dict):
        return spec_of(json_values(document))
    if not isinstance(document, str | os.PathLike):
        raise wrong_document("load_spec", document, "backbone")
    return parse_spec(*source(document, "arch"))


def parse_spec(data: bytes, file: str) -> Spec:
    """The backbone in the bytes of a document; `file` is what messages call it.

    Raises:
        SpecError: as `load_spec`.
    """
    return located(data, file, spec_of, "arch")


def spec_of(raw: Any) -> Spec:
    """The backbone that Python values describe, as `json.load` gives them.

    Raises:
        SpecError: as `load_spec`, without files and lines.
    """
    if not isinstance(raw, dict):
        raise SpecError([Problem((), "a document must be an object", short(raw))])
    check_kind(raw, "arch")
    check_version(raw)
    drafted = draft(raw)
    problems = drafted.problems
    graph = linked_graph(drafted, problems)
    if problems:
        is_open = drafted.header is None or None in drafted.nodes
        raise SpecError(first(as_a_space(in_order(raw, once_a_slip(problems)))), shapes_unchecked=is_open)
    spec = spec_model().model_validate({**raw, "nodes": list(drafted.nodes)})
    spec.keep(graph)
    if over := limit_problems(count(spec)):
        raise SpecError(over)
    return spec


def override(spec: Spec, assignments: Iterable[str]) -> Spec:
    """A new backbone with fields set: `stage3.alpha=0.5`, `head.norm.eps=1e-6`, `image=256`.

    All are applied to the document with its defaults filled in, then it is checked once. Channels that neither states
    count as not stated.

    Raises:
        SpecError: an assignment names what the document does not have, or the result does not hold.
        TypeError: `spec` is no loaded backbone, or the assignments are one text.
    """
    check_spec("override", spec)
    texts = checked_assignments(assignments)
    if not texts:
        return spec
    try:
        made = spec_of(apply(spec, texts))
    except SpecError as error:
        raise SpecError(without_left_over(spec, error.problems), error.shapes_unchecked) from None
    if not any(text.lstrip().startswith("channels") for text in texts) and "channels" not in spec.model_fields_set:
        made.model_fields_set.discard("channels")  # a default that nobody stated gives way to the data
    return made


def located(data: bytes, file: str, parse: Callable[[JsonObject], Parsed], kind: str) -> Parsed:
    """Run `parse` on the document in `data`, of which `kind` is wanted.

    What it refuses gets file, line and column; of a model, the file alone.
    """
    raw = read(data, file)
    try:
        return parse(raw)
    except SpecError as error:
        is_other = raw.get("kind") in KINDS and raw["kind"] != kind
        command_text = other_kind_in_command(kind, file) if is_other else None
        if is_embedded(file):
            placed = [problem._replace(file=file) for problem in error.problems]
            raise SpecError(placed, error.shapes_unchecked, command_text) from None
        positions = locate(data.decode())
        placed = [place(problem, positions, file) for problem in error.problems]
        in_lines = sorted(placed, key=lambda p: (p.line or 0, p.column or 0))
        raise SpecError(in_lines, error.shapes_unchecked, command_text) from None


def check_kind(raw: JsonObject, wanted: str) -> None:
    """Refuse a document of the other kind by name.

    Raises:
        SpecError: `kind` is missing, unknown or the other one.
    """
    kind = raw.get("kind")
    if kind == wanted:
        return
    slip = next((key for key, value in raw.items() if value in KINDS and nearest_only(key, ["kind"])), None)
    if "kind" not in raw and slip is not None:
        rule = f"the document has no field '{slip[:60]}'"
        problem = Problem((slip,), rule, None, "did you mean 'kind'?", at_key=True)
    elif "kind" not in raw:
        problem = Problem((), "kind is required", None, f'add "kind": "{wanted}"')
    elif kind in KINDS:
        rule = f'this is a document of kind "{kind}", and one of kind "{wanted}" is read here'
        problem = Problem(("kind",), rule, None, next_commands(str(kind)))
    else:
        kinds = one_of([f'"{name}"' for name in KINDS])
        problem = Problem(("kind",), f"kind must be {kinds}", short(kind), f'write "{wanted}"')
    raise SpecError([problem])


def check_version(raw: JsonObject) -> None:
    """Refuse a version from the future by name: what else it may hold is not known here.

    Raises:
        SpecError: the version is newer than this package reads.
    """
    version = raw.get("version")
    if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
        rule = f"the document's version is newer than this archdsl reads ({VERSION})"
        raise SpecError([Problem(("version",), rule, short(version), "upgrade archdsl")])
