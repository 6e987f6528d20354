"""A document on its way in: header and nodes checked one by one, so that one mistake does not hide another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pydantic import ValidationError

from archdsl.errors import Keys, Problem, nearest, short
from archdsl.families.common.stage import Stage
from archdsl.families.schemes import SCHEMES
from archdsl.json_types import Json, JsonObject, list_in
from archdsl.language.checking.fitting_types import fitting_types, untyped
from archdsl.language.checking.problems import problems_of
from archdsl.language.header import Header
from archdsl.language.nodes import Node, node_models

KINDS = ("arch", "space")
FEWEST_NODES, MOST_NODES = 3, 256


class Draft(NamedTuple):
    """What could be read of a document.

    A header with a problem of its own is None; so is a node, unless what is right of it can stand in for it.
    """

    raw: JsonObject
    header: Header | None
    nodes: tuple[Node | None, ...]
    problems: list[Problem]

    def id_of(self, index: int) -> str | None:
        """A node's name, also where the node is refused for something else."""
        node = list_in(self.raw["nodes"])[index]
        name = node.get("id") if isinstance(node, dict) else None
        return name if isinstance(name, str) else None


def draft(raw: JsonObject) -> Draft:
    """Check header, nodes and names of an arch document; sources and shapes are the graph's affair."""
    problems: list[Problem] = []
    header = _header(raw, problems)
    nodes = _nodes(raw, problems)
    drafted = Draft(raw if isinstance(raw.get("nodes"), list) else {**raw, "nodes": []}, header, nodes, problems)
    problems += _name_problems(drafted)
    return drafted


def weights_problems(header: Header) -> list[Problem]:
    """`weights` names a scheme that is known."""
    name = header.weights
    if name is None or name in SCHEMES:
        return []
    return [Problem(("weights",), "no such scheme of published weights", short(name), nearest(name, SCHEMES))]


def _header(raw: JsonObject, problems: list[Problem]) -> Header | None:
    fields = {key: value for key, value in raw.items() if key != "nodes"}
    try:
        header = Header.model_validate(fields)
    except ValidationError as error:
        problems += problems_of(error, Header)
        return None
    problems += weights_problems(header)
    return header


def _nodes(raw: JsonObject, problems: list[Problem]) -> tuple[Node | None, ...]:
    written = raw.get("nodes")
    if "nodes" not in raw:
        problems.append(Problem((), "nodes is required", None, 'add "nodes"'))
    elif not isinstance(written, list):
        problems.append(Problem(("nodes",), "nodes must be a list", short(written)))
    elif not FEWEST_NODES <= len(written) <= MOST_NODES:
        rule = f"a document has {FEWEST_NODES} to {MOST_NODES} nodes"
        problems.append(Problem(("nodes",), rule, str(len(written)), "a stem, a stage and a head at least"))
    if not isinstance(written, list) or len(written) > MOST_NODES:
        return ()
    models = node_models()
    return tuple(_node(value, index, len(written), models, problems) for index, value in enumerate(written))


def _node(value: Json, index: int, count: int, models: dict[str, type[Node]], problems: list[Problem]) -> Node | None:
    keys: Keys = ("nodes", index)
    if not isinstance(value, dict):
        problems.append(Problem(keys, "a node must be an object", short(value), 'write {"id": ..., "type": ...}'))
        return None
    name = value.get("type")
    if not isinstance(name, str) or name not in models:
        problems.append(untyped(keys, value, fitting_types(value, index, count), "a node", False))
        return None
    try:
        return models[name].model_validate(value)
    except ValidationError as error:
        problems += problems_of(error, models[name], keys)
        return _stand_in(value, models[name], error)


_DECIDES = {"id", "type", "from", "class_token", "blocks"}
"""Fields of a stage that decide who reads it and what it gives."""


def _stand_in(value: JsonObject, model: type[Node], error: ValidationError) -> Node | None:
    """A refused node without what is wrong in it, for the graph to go on with; the document is refused all the same.

    A stage keeps its shape whatever its other fields say; elsewhere only unknown fields change nothing.
    """
    findings = error.errors(include_url=False, include_context=False, include_input=False)
    wrong = {str(finding["loc"][0]) for finding in findings if finding["loc"]}
    unknown = all(finding["type"] == "extra_forbidden" and len(finding["loc"]) == 1 for finding in findings)
    if wrong & _DECIDES or not (unknown or issubclass(model, Stage)):
        return None
    kept = {key: field for key, field in value.items() if key not in wrong}
    needed = {name: 1 for name, field in model.model_fields.items() if field.is_required() and name in wrong}
    try:
        return model.model_validate(needed | kept)
    except ValidationError:
        return None


def in_order(raw: Json, problems: Iterable[Problem]) -> list[Problem]:
    """Problems as their places stand in the document."""

    def place(keys: Keys) -> list[int]:
        value, places = raw, list[int]()
        for key in keys:
            inside = list(value.items()) if isinstance(value, dict) else []
            items: list[tuple[str | int, Json]] = list(enumerate(value)) if isinstance(value, list) else [*inside]
            names = [name for name, _ in items]
            places.append(names.index(key) if key in names else len(names))
            value = items[places[-1]][1] if key in names else None
        return places

    return sorted(problems, key=lambda problem: place(problem.keys))


def _name_problems(drafted: Draft) -> list[Problem]:
    """Ids are unique."""
    first: dict[str, int] = {}
    problems = []
    for index in range(len(drafted.nodes)):
        name = drafted.id_of(index)
        if name is None:
            continue
        if name in first:
            rule = f"ids must be unique; nodes[{first[name]}] has this one too"
            problems.append(Problem(("nodes", index, "id"), rule, short(name), "rename one of them"))
        first.setdefault(name, index)
    return problems
