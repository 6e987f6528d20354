"""A space on its way in: header, nodes and holes, each problem with its place."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from archdsl.errors import Keys, Problem, one_of, short
from archdsl.families.common.base import Head
from archdsl.json_types import Json, JsonObject, list_in, objects_in, text_in
from archdsl.language.checking.draft import FEWEST_NODES, MOST_NODES, weights_problems
from archdsl.language.checking.fitting_types import fitting_types, untyped
from archdsl.language.checking.problems import problems_of
from archdsl.language.nodes import node_models
from archdsl.language.searchable_models import SearchableModel, node_hole_fields, space_alternatives, space_nodes
from archdsl.language.type_forms import make_model
from archdsl.spaces.budget_problems import budget_problems
from archdsl.spaces.names import name_problems, types_of
from archdsl.spaces.space import Space, SpaceHeader
from archdsl.spaces.spans import span_problems
from archdsl.spaces.variables import variables


def space_problems(raw: JsonObject) -> list[Problem]:
    """Everything that can be said of a space without resolving it."""
    problems: list[Problem] = []
    fields = {key: value for key, value in raw.items() if key != "nodes"}
    try:
        header: SpaceHeader | None = SpaceHeader.model_validate(fields)
    except ValidationError as error:
        problems += problems_of(error, SpaceHeader)
        header = None
    problems = budget_problems(problems, raw.get("budgets"))
    if header is not None:
        problems += weights_problems(header)
        for index, name in enumerate(header.objectives):
            if name in header.objectives[:index]:
                rule = "each objective must be named only once"
                problems.append(Problem(("objectives", index), rule, short(name), "remove one of the two"))
    nodes = raw.get("nodes")
    if "nodes" not in raw:
        return [*problems, Problem((), "nodes is required", None, 'add "nodes": [...]')]
    if not isinstance(nodes, list) or not FEWEST_NODES <= len(nodes) <= MOST_NODES:
        return [*problems, Problem(("nodes",), f"nodes must be a list of {FEWEST_NODES} to {MOST_NODES}", short(nodes))]
    in_nodes = [problem for index in range(len(nodes)) for problem in _node_problems(nodes, index)]
    if in_nodes:
        return [*problems, *in_nodes, *_beside(raw if header is not None else {"nodes": nodes}, in_nodes)]
    written = objects_in(nodes)
    variables(written, problems)
    problems += _id_problems(written)
    problems += _head_problems(written)
    problems += span_problems(written)
    problems += name_problems(raw if header is not None else {"nodes": nodes})
    return problems


def _beside(raw: JsonObject, in_nodes: list[Problem]) -> list[Problem]:
    """Ranges and names that are wrong beside fields that are: those of the nodes without these fields.

    Nothing is told where an id, a type or an alternative of a node is wrong; nor of unknown names where holes, which
    may give these names, are left out.
    """
    nodes = copy.deepcopy(list_in(raw["nodes"]))
    unknown, may_name = set[str](), False
    for problem in in_nodes:
        node = nodes[int(problem.keys[1])]
        field = problem.keys[2] if len(problem.keys) > 2 else None
        if not isinstance(node, dict) or field in ("id", "type", "$one_of") or not {"id", "type"} <= set(node):
            return []
        unknown.add(text_in(node["id"]))
        removed = node.pop(field, None) if isinstance(field, str) else None
        may_name |= '"$' in json.dumps(removed)
    found: list[Problem] = []
    variables(objects_in(nodes), found)
    found += name_problems({**raw, "nodes": nodes})
    names = ((problem, re.match(r"nothing is named '([^']*)'", problem.rule)) for problem in found)
    return [
        problem for problem, name in names if name is None or not (may_name or name[1].partition(".")[0] in unknown)
    ]


def _node_problems(nodes: list[Json], index: int) -> list[Problem]:
    node = nodes[index]
    keys: Keys = ("nodes", index)
    if not isinstance(node, dict):
        return [Problem(keys, "a node must be an object", short(node), 'write {"id": ..., "type": ...}')]
    written = node.get("id")
    node_id = written if isinstance(written, str) else None

    def fitting(part: Json) -> list[str]:
        return fitting_types(part, index, len(nodes), node_id)

    if "$one_of" not in node:
        return _typed_problems(node, space_nodes(), keys, "a node", fitting)
    problems = _model_problems(node_hole(), node, keys)
    alternatives = node["$one_of"]
    for place, alternative in enumerate(alternatives if isinstance(alternatives, list) else ()):
        inside = (*keys, "$one_of", place)
        problems += _typed_problems(alternative, space_alternatives(), inside, "an alternative", fitting)
    return problems


@cache
def node_hole() -> type[BaseModel]:
    """A node that is one of several; the alternatives are looked at one by one."""
    return make_model("NodeHole", SearchableModel, node_hole_fields(Any))


def _typed_problems(
    node: Json, models: dict[str, type[BaseModel]], keys: Keys, name: str, fitting: Callable[[Json], list[str]]
) -> list[Problem]:
    kind = node.get("type") if isinstance(node, dict) else None
    if not isinstance(kind, str) or kind not in models:
        return [untyped(keys, node, fitting(node), "a node" if isinstance(node, dict) else name, True)]
    return _model_problems(models[kind], node, keys)


def _model_problems(model: type[BaseModel], value: Json, keys: Keys) -> list[Problem]:
    try:
        model.model_validate(value)
    except ValidationError as error:
        return problems_of(error, model, keys)
    return []


def _id_problems(nodes: list[JsonObject]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, node in enumerate(nodes):
        name = text_in(node["id"])
        if name in seen:
            rule = f"ids must be unique; nodes[{seen[name]}] has this one too"
            yield Problem(("nodes", index, "id"), rule, short(name), "rename one of them")
        seen.setdefault(name, index)


def _head_problems(nodes: list[JsonObject]) -> Iterator[Problem]:
    heads = [name for name, model in node_models().items() if issubclass(model, Head)]
    if not any(name in heads for node in nodes for name in types_of(node)):
        yield Problem(("nodes",), "exactly one head is needed; there is none", None, f"end with {one_of(heads)}")


def space_model(raw: JsonObject) -> Space:
    """The frozen document of a space without problems."""
    return Space.model_validate(raw)
