"""A space on its way in: header, nodes, holes, expressions and names, each problem with its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from archdsl.errors import Keys, Problem, ShapeError, nearest, short
from archdsl.schema.draft import FEWEST_NODES, MOST_NODES, version_problems
from archdsl.schema.expressions import ExpressionError, parse
from archdsl.schema.lift import Name, space_alternatives, space_nodes
from archdsl.schema.nodes import ID
from archdsl.schema.problems import problems_of
from archdsl.schema.space import Space, SpaceHeader
from archdsl.schema.variables import variables

_MOST_ALTERNATIVES = 64


def space_problems(raw: dict[str, Any]) -> list[Problem]:
    """Everything that can be said of a space without resolving it."""
    problems = version_problems(raw)
    fields = {key: value for key, value in raw.items() if key != "nodes"}
    try:
        header: SpaceHeader | None = SpaceHeader.model_validate(fields | ({"version": 1} if problems else {}))
    except ValidationError as error:
        problems += problems_of(error, SpaceHeader)
        header = None
    nodes = raw.get("nodes")
    if not isinstance(nodes, list) or not FEWEST_NODES <= len(nodes) <= MOST_NODES:
        return [*problems, Problem(("nodes",), f"nodes must be a list of {FEWEST_NODES} to {MOST_NODES}", short(nodes))]
    for index, node in enumerate(nodes):
        problems += _node_problems(node, ("nodes", index))
    if problems:
        return problems
    variables(nodes, problems)
    problems += _id_problems(nodes)
    if header is not None:
        problems += _budget_problems(header)
        problems += _name_problems(raw, set(variables(nodes)))
    return problems


def _node_problems(node: Any, keys: Keys) -> list[Problem]:
    if not isinstance(node, dict):
        return [Problem(keys, "a node must be an object", short(node), 'write {"id": ..., "type": ...}')]
    if "$one_of" not in node:
        return _typed_problems(node, space_nodes(), keys)
    problems = []
    known = ("id", "from", "$name", "$one_of")
    for key in node:
        if key not in known:
            rule = f"a node's hole has no field '{key}'"
            problems.append(Problem((*keys, key), rule, None, nearest(key, known), at_key=True))
    for key, kind in (("id", ID), ("$name", None)):
        problems += _text_problems(node, key, kind, keys)
    alternatives = node["$one_of"]
    if not isinstance(alternatives, list) or not 1 <= len(alternatives) <= _MOST_ALTERNATIVES:
        rule = f"$one_of must be a list of 1 to {_MOST_ALTERNATIVES} alternatives"
        return [*problems, Problem((*keys, "$one_of"), rule, short(alternatives))]
    for index, alternative in enumerate(alternatives):
        place = (*keys, "$one_of", index)
        if isinstance(alternative, dict):
            problems += _typed_problems(alternative, space_alternatives(), place)
        else:
            problems.append(Problem(place, "an alternative must be an object", short(alternative)))
    return problems


def _text_problems(node: dict[str, Any], key: str, pattern: str | None, keys: Keys) -> list[Problem]:
    import re

    if key not in node:
        return [Problem(keys, f"{key} is required", None, f'add "{key}"')] if pattern else []
    value = node[key]
    if pattern is not None:
        fits = isinstance(value, str) and re.match(pattern, value)
        return [] if fits else [Problem((*keys, key), f"{key} must match {pattern}", short(value))]
    try:
        TypeAdapter(Name).validate_python(value)
    except ValidationError as error:
        return problems_of(error, SpaceHeader, (*keys, key))
    return []


def _typed_problems(node: dict[str, Any], models: dict[str, type[BaseModel]], keys: Keys) -> list[Problem]:
    name = node.get("type")
    if not isinstance(name, str):
        return [Problem(keys, "a node needs a type, and its type is no hole", None, f"one of {', '.join(models)}")]
    if name not in models:
        return [Problem((*keys, "type"), "no such type of node", short(name), nearest(name, models))]
    try:
        models[name].model_validate(node)
    except ValidationError as error:
        return problems_of(error, models[name], keys)
    return []


def _id_problems(nodes: list[Any]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, node in enumerate(nodes):
        if node["id"] in seen:
            rule = f"ids must be unique; nodes[{seen[node['id']]}] has this one too"
            yield Problem(("nodes", index, "id"), rule, short(node["id"]), "rename one of them")
        seen.setdefault(node["id"], index)


def _budget_problems(header: SpaceHeader) -> Iterator[Problem]:
    for index, budget in enumerate(header.budgets):
        try:
            budget.check()
        except ShapeError as error:
            yield Problem(("budgets", index, *error.keys), error.rule, error.value, error.remedy)


def _name_problems(raw: dict[str, Any], names: set[str]) -> Iterator[Problem]:
    """Expressions and constraints read, and every name in them is a variable or a field of a node."""
    ids = {node["id"] for node in raw["nodes"]}
    written = [(("constraints", index), text) for index, text in enumerate(raw.get("constraints", ()))]
    for keys, text in [*written, *_expressions(raw["nodes"], ("nodes",))]:
        try:
            expression = parse(text)
        except ExpressionError as error:
            yield Problem(keys, str(error), short(text))
            continue
        for name in sorted(expression.names):
            node_id, _, field = name.partition(".")
            if name not in names and not (node_id in ids and field):
                yield Problem(keys, f"nothing is named '{name}'", short(text), nearest(name, names | ids))


def _expressions(value: Any, keys: Keys) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("$expr", "$same"):
                yield (*keys, key), inner
            else:
                yield from _expressions(inner, (*keys, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _expressions(inner, (*keys, index))


def space_model(raw: dict[str, Any]) -> Space:
    """The frozen document of a space without problems."""
    return Space.model_validate(raw)
