"""The names in a space: expressions and constraints read, and whatever a name or a source stands for is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from archdsl.errors import Keys, Problem, nearest, nearest_only, short
from archdsl.language import introspection
from archdsl.language.nodes import node_models
from archdsl.spaces.expressions import ExpressionError, parse
from archdsl.spaces.grammar import Node
from archdsl.spaces.variables import label_of, walk

_NO_VALUES = ("id", "from")


def name_problems(raw: dict[str, Any]) -> list[Problem]:
    """Everything that is named and not there; ids and alternatives hold already."""
    nodes = raw["nodes"]
    return [*_expression_problems(raw), *_source_problems(nodes), *_feature_problems(raw, nodes)]


def expressions(raw: dict[str, Any]) -> Iterator[tuple[Keys, str]]:
    """Every `$expr` and `$same` with its place."""
    return _inside(raw["nodes"], ("nodes",))


def expression_problem(keys: Keys, error: ExpressionError) -> Problem:
    """What is wrong with an expression, told at its place."""
    return Problem(keys, f"column {error.column}: {error.rule}", error.value, error.remedy)


def _expression_problems(raw: dict[str, Any]) -> Iterator[Problem]:
    holes = {name: hole for name, hole, _ in walk(raw["nodes"])}
    variables = set(holes)
    typed = {node["id"]: types_of(node) for node in raw["nodes"]}
    constraints = [(("constraints", index), text) for index, text in enumerate(raw.get("constraints", ()))]
    for keys, text in [*constraints, *expressions(raw)]:
        try:
            expression = parse(text)
        except ExpressionError as error:
            yield expression_problem(keys, error)
            continue
        yield from _label_problems(keys, expression.tree, holes)
        for name in sorted(expression.names - variables):
            problem = _unknown(keys, name, variables, typed)
            if problem is not None:
                yield problem


def _label_problems(keys: Keys, tree: Node, holes: dict[str, dict[str, Any]]) -> Iterator[Problem]:
    """Labels that a choice is compared with and never has: the comparison would be the same at every point."""
    for name, text, column in _compared(tree):
        alternatives = holes.get(name, {}).get("$one_of", ())
        labels = [str(label_of(found)) for found in alternatives if isinstance(found, dict)]
        if labels and text not in labels:
            yield Problem(keys, f"column {column}: {name} is never this", f"'{text}'", nearest(text, labels))


def _compared(tree: Node) -> Iterator[tuple[str, str, int]]:
    """The names that are compared with a text, and where."""
    if tree.op in ("==", "!="):
        for name, other in (tree.operands, tree.operands[::-1]):
            if name.op == "name" and other.op == "literal" and isinstance(other.held, str):
                yield name.held, other.held, other.column
    if tree.op == "in" and tree.operands[0].op == "name":
        yield from ((tree.operands[0].held, text, tree.column) for text in tree.held if isinstance(text, str))
    for operand in tree.operands:
        yield from _compared(operand)


def _unknown(keys: Keys, name: str, variables: set[str], typed: dict[str, list[str]]) -> Problem | None:
    """A name that is no variable, and no field of a node in any of its alternatives."""
    node_id, *path = name.split(".")
    if node_id not in typed:
        values = [value for other in typed for value in _values_of(other, typed[other])]
        remedy = nearest_only(name, [*variables, *values]) or nearest(name, variables)
        return Problem(keys, f"nothing is named '{name}'", None, remedy)
    if not path:
        return Problem(keys, f"'{name}' is a node, not a value", None, f"name a field of it, as in {name}.depth")
    models = [node_models()[kind] for kind in typed[node_id]]
    if any(introspection.leads(model, path) for model in models):
        return None
    inside = [variable for variable in variables if variable.startswith(f"{node_id}.")]
    known = [*_values_of(node_id, typed[node_id]), *inside]
    remedy = nearest(name, known)
    return Problem(keys, f"{node_id} never has '{'.'.join(path)}'", None, remedy)


def _values_of(node_id: str, types: list[str]) -> Iterator[str]:
    """The names of a node's fields that hold a value, not an object or a list; those inside objects too."""
    for model in (node_models()[kind] for kind in types):
        for field, info in introspection.fields(model).items():
            inner = introspection.models(info.annotation)
            if field not in _NO_VALUES and not inner and field != "blocks":
                yield f"{node_id}.{field}"
            for name in {name for option in inner for name in introspection.fields(option)}:
                yield f"{node_id}.{field}.{name}"


def types_of(node: dict[str, Any]) -> list[str]:
    """The types that a node may have."""
    return [str(found["type"]) for found in node.get("$one_of", (node,))]


def _source_problems(nodes: list[Any]) -> Iterator[Problem]:
    """A written source is an earlier node."""
    earlier: set[str] = set()
    for index, node in enumerate(nodes):
        for place, part in ((), node), *((("$one_of", i), found) for i, found in enumerate(node.get("$one_of", ()))):
            for keys, source in _sources(part.get("from"), ("nodes", index, *place, "from")):
                name = source.partition(".")[0]
                if name not in earlier:
                    yield Problem(keys, "no earlier node has this id", short(name), nearest(name, earlier))
        earlier.add(node["id"])


def _sources(written: Any, keys: Keys) -> Iterable[tuple[Keys, str]]:
    if isinstance(written, list):
        return [((*keys, place), source) for place, source in enumerate(written)]
    return [] if written is None else [(keys, written)]


def _feature_problems(raw: dict[str, Any], nodes: list[Any]) -> Iterator[Problem]:
    known = {node["id"] for node in nodes}
    fitting = {node["id"] for node in nodes if any(_gives_map(node_models()[kind]) for kind in types_of(node))}
    for place, name in enumerate(raw.get("features") or ()):
        if name not in known:
            yield Problem(("features", place), "no node has this id", short(name), nearest(name, fitting))


def _gives_map(model: Any) -> bool:
    """Whether a type gives pixels; what a stage gives depends on its blocks, and is pixels at least."""
    return not isinstance(model.gives, tuple) or "pixels" in model.gives


def _inside(value: Any, keys: Keys) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("$expr", "$same"):
                yield (*keys, key), inner
            else:
                yield from _inside(inner, (*keys, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _inside(inner, (*keys, index))
