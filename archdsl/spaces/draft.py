"""A space on its way in: header, nodes and holes, each problem with its place."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from archdsl.errors import Keys, Problem, ShapeError, nearest_only, one_of, short
from archdsl.families.common.base import Head
from archdsl.json_types import Json, JsonObject, list_in, object_in, objects_in, text_in
from archdsl.language.checking.draft import FEWEST_NODES, MOST_NODES, weights_problems
from archdsl.language.checking.fitting_types import fitting_types, untyped
from archdsl.language.checking.problems import problems_of
from archdsl.language.nodes import node_models
from archdsl.language.searchable_models import SearchableModel, node_hole_fields, space_alternatives, space_nodes
from archdsl.language.type_forms import make_model
from archdsl.spaces.names import name_problems, types_of
from archdsl.spaces.space import MEASURED, UNITS, Budget, Space, SpaceHeader
from archdsl.spaces.spans import span_problems
from archdsl.spaces.variables import variables

_USUAL_UNITS = {"latency": "ms", "throughput": "/s", "params": "M", "macs": "G", "memory": "MB"}


def space_problems(raw: JsonObject) -> list[Problem]:
    """Everything that can be said of a space without resolving it."""
    problems: list[Problem] = []
    fields = {key: value for key, value in raw.items() if key != "nodes"}
    try:
        header: SpaceHeader | None = SpaceHeader.model_validate(fields)
    except ValidationError as error:
        problems += [_with_unit_of(problem, raw) for problem in problems_of(error, SpaceHeader)]
        header = None
    problems += _budget_problems(raw.get("budgets"))
    if header is not None:
        problems += weights_problems(header)
        for index, name in enumerate(header.objectives):
            if name in header.objectives[:index]:
                problems.append(_doubled("objectives", index, name, "each objective must be named only once"))
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


def _budget_problems(budgets: Json) -> Iterator[Problem]:
    """What the fields of a budget say to each other; each by itself is the header's affair."""
    metrics: list[str] = []
    for index, written in enumerate(budgets if isinstance(budgets, list) else ()):
        with suppress(ValidationError):
            budget = Budget.model_validate(written)
            if budget.metric in metrics:
                yield _doubled("budgets", index, budget.metric, "each metric must have only one budget")
            elif budget.metric in MEASURED and set(MEASURED) & set(metrics):
                rule = "a document bounds latency or throughput: a throughput is the batch over the latency"
                yield _doubled("budgets", index, budget.metric, rule)
            metrics.append(budget.metric)
            try:
                budget.check()
            except ShapeError as error:
                former = isinstance(written, dict) and "runtime" not in written
                keys = ("mode" if key == "runtime" and former else key for key in error.keys)  # as written
                yield Problem(("budgets", index, *keys), error.rule, error.value, error.remedy)


def _with_unit_of(problem: Problem, raw: JsonObject) -> Problem:
    """A unit that is none or is missing, told by the units of its metric."""
    is_missing = problem.rule == "unit is required" and len(problem.keys) == 2
    if problem.keys[:1] != ("budgets",) or not (is_missing or problem.keys[2:] == ("unit",)):
        return problem
    index = problem.keys[1]
    assert isinstance(index, int)
    budget = object_in(list_in(raw["budgets"])[index])
    metric = budget.get("metric")
    if not isinstance(metric, str) or metric not in UNITS:
        return problem._replace(remedy=None) if is_missing else problem  # the metric decides which units there are
    if is_missing:
        return problem._replace(remedy=f'add "unit": "{_USUAL_UNITS[metric]}"')
    units = one_of([f'"{unit}"' for unit in UNITS[metric]])
    return problem._replace(
        rule=f"unit must be {units} for {metric}", remedy=nearest_only(str(budget["unit"]), UNITS[metric])
    )


def _doubled(field: str, index: int, name: str, rule: str) -> Problem:
    return Problem((field, index), rule, short(name), "remove one of the two")


def space_model(raw: JsonObject) -> Space:
    """The frozen document of a space without problems."""
    return Space.model_validate(raw)
