"""A space on its way in: header, nodes and holes, each problem with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from pydantic import BaseModel, Field, ValidationError, create_model

from archdsl.errors import Keys, Problem, ShapeError, nearest_only, one_of, short
from archdsl.families.common.base import Head
from archdsl.language.checking.draft import FEWEST_NODES, MOST_NODES, weights_problems
from archdsl.language.checking.fitting_types import fitting_types, untyped
from archdsl.language.checking.problems import problems_of
from archdsl.language.nodes import Node, node_models
from archdsl.language.searchable_models import Name, SearchableModel, space_alternatives, space_nodes
from archdsl.spaces.names import name_problems, types_of
from archdsl.spaces.space import MEASURED, UNITS, Budget, Space, SpaceHeader
from archdsl.spaces.variables import variables


def space_problems(raw: dict[str, Any]) -> list[Problem]:
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
                problems.append(_doubled("objectives", index, name, "an objective is named once"))
    nodes = raw.get("nodes")
    if "nodes" not in raw:
        return [*problems, Problem((), "nodes is required", None, 'add "nodes": [...]')]
    if not isinstance(nodes, list) or not FEWEST_NODES <= len(nodes) <= MOST_NODES:
        return [*problems, Problem(("nodes",), f"nodes must be a list of {FEWEST_NODES} to {MOST_NODES}", short(nodes))]
    found = [problem for index in range(len(nodes)) for problem in _node_problems(nodes, index)]
    if found:
        return [*problems, *found]
    variables(nodes, problems)
    problems += _id_problems(nodes)
    problems += _head_problems(nodes)
    problems += name_problems(raw if header is not None else {"nodes": nodes})
    return problems


def _node_problems(nodes: list[Any], index: int) -> list[Problem]:
    node, keys = nodes[index], ("nodes", index)
    if not isinstance(node, dict):
        return [Problem(keys, "a node must be an object", short(node), 'write {"id": ..., "type": ...}')]

    def fitting(part: Any) -> list[str]:
        return fitting_types(part, index, len(nodes), node.get("id"))

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
    fields: dict[str, Any] = {
        "id": (Node.model_fields["id"].annotation, Node.model_fields["id"]),
        "from_": (Node.model_fields["from_"].annotation, Node.model_fields["from_"]),
        "name": (Name | None, Field(None, alias="$name")),
        "one_of": (tuple[Any, ...], Field(alias="$one_of", min_length=1, max_length=64)),
    }
    return create_model("NodeHole", __base__=SearchableModel, **fields)


def _typed_problems(
    node: Any, models: dict[str, type[BaseModel]], keys: Keys, name: str, fitting: Callable[[Any], list[str]]
) -> list[Problem]:
    kind = node.get("type") if isinstance(node, dict) else None
    if not isinstance(kind, str) or kind not in models:
        return [untyped(keys, node, fitting(node), "a node" if isinstance(node, dict) else name, True)]
    return _model_problems(models[kind], node, keys)


def _model_problems(model: type[BaseModel], value: Any, keys: Keys) -> list[Problem]:
    try:
        model.model_validate(value)
    except ValidationError as error:
        return problems_of(error, model, keys)
    return []


def _id_problems(nodes: list[Any]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, node in enumerate(nodes):
        if node["id"] in seen:
            rule = f"ids must be unique; nodes[{seen[node['id']]}] has this one too"
            yield Problem(("nodes", index, "id"), rule, short(node["id"]), "rename one of them")
        seen.setdefault(node["id"], index)


def _head_problems(nodes: list[Any]) -> Iterator[Problem]:
    heads = [name for name, model in node_models().items() if issubclass(model, Head)]
    if not any(name in heads for node in nodes for name in types_of(node)):
        yield Problem(("nodes",), "exactly one head is needed; there is none", None, f"end with {one_of(heads)}")


def _budget_problems(budgets: Any) -> Iterator[Problem]:
    """What the fields of a budget say to each other; each by itself is the header's affair."""
    metrics: list[str] = []
    for index, written in enumerate(budgets if isinstance(budgets, list) else ()):
        with suppress(ValidationError):
            budget = Budget.model_validate(written)
            if budget.metric in metrics:
                yield _doubled("budgets", index, budget.metric, "a metric has one budget")
            elif budget.metric in MEASURED and set(MEASURED) & set(metrics):
                rule = "a document bounds latency or throughput: a throughput is the batch over the latency"
                yield _doubled("budgets", index, budget.metric, rule)
            metrics.append(budget.metric)
            try:
                budget.check()
            except ShapeError as error:
                keys = ("mode" if key == "runtime" and key not in written else key for key in error.keys)  # as written
                yield Problem(("budgets", index, *keys), error.rule, error.value, error.remedy)


def _with_unit_of(problem: Problem, raw: dict[str, Any]) -> Problem:
    """A unit that is none, told by the units of its metric."""
    if problem.keys[:1] != ("budgets",) or problem.keys[2:] != ("unit",):
        return problem
    budget = raw["budgets"][problem.keys[1]]
    metric = budget.get("metric")
    if not isinstance(metric, str) or metric not in UNITS:
        return problem
    units = one_of([f'"{unit}"' for unit in UNITS[metric]])
    return problem._replace(
        rule=f"unit must be {units} for {metric}", remedy=nearest_only(str(budget["unit"]), UNITS[metric])
    )


def _doubled(field: str, index: int, name: str, rule: str) -> Problem:
    return Problem((field, index), rule, short(name), "remove one of the two")


def space_model(raw: dict[str, Any]) -> Space:
    """The frozen document of a space without problems."""
    return Space.model_validate(raw)
