"""From a space and a choice for each variable to an arch document.

First every choice is put in place, then expressions are computed from names and fields, then nodes that no chosen
alternative reads are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from archdsl.errors import short
from archdsl.language.nodes import node_models
from archdsl.spaces.expressions import Expression, ExpressionError, Inactive, parse
from archdsl.spaces.space import Space
from archdsl.spaces.variables import label_of

Choose = Callable[[str], Any]
"""The value of a variable, by its name: a scalar, or a label."""


_DEEPEST = 64
"""Expressions that follow one from another; Python's stack has room for these."""


class Point(NamedTuple):
    """One point of a space: the arch document, and the choices that it depends on."""

    document: dict[str, Any]
    choices: dict[str, Any]


class Unresolved(ValueError):  # says what it is, as Inactive does
    """An expression of a space that cannot be computed for a choice: a cycle, an inactive name, arithmetic."""

    def __init__(self, expression: Expression, reason: str) -> None:
        self.text, self.reason = expression.text, reason
        super().__init__(f"{expression.text}: {reason}")


class _Derived:
    """A value still to be computed, in place of it in the document."""

    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        self.busy = False
        self.result: Any = None


def resolve(space: Space, choose: Choose, name: str | None = None) -> Point:
    """The arch document of one choice. The document is not checked yet: shapes may still not fit.

    Raises:
        Unresolved: an expression cannot be computed.
    """
    chosen: dict[str, Any] = {}

    def decide(variable: str) -> Any:
        if variable not in chosen:
            chosen[variable] = choose(variable)
        return chosen[variable]

    nodes = [_node(node, decide) for node in space.nodes]
    env = _Names(nodes, chosen)
    nodes = _without_unread([env.computed(node) for node in nodes])
    written = frozenset({"constraints", "budgets", "objectives", "seeds", "nodes"})
    given = space.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=set(written))
    dropped = ("$schema", "kind", "name")
    head = {"kind": "arch", "version": given["version"], "name": name or space.name}
    rest = {key: value for key, value in given.items() if key not in {*dropped, "version"}}
    return Point({**head, **rest, "nodes": nodes}, chosen)


def decide(space: Space, choose: Choose) -> None:
    """Ask for the variables of a choice, each once and in the order of `resolve`, and make nothing of it."""
    chosen: dict[str, Any] = {}
    for node in space.nodes:
        _node(node, lambda name: chosen[name] if name in chosen else chosen.setdefault(name, choose(name)))


def satisfied(constraint: Expression, point: Point) -> bool:
    """Whether a point keeps a constraint; one that mentions something inactive counts as true.

    Raises:
        ExpressionError: the constraint is no statement for these values.
    """
    try:
        value = constraint.evaluate(_Names(point.document["nodes"], point.choices).value)
    except Inactive:
        return True
    if not isinstance(value, bool):
        raise ExpressionError(1, "a constraint must be true or false", short(value), "compare it with something")
    return value


def _node(node: dict[str, Any], decide: Choose) -> dict[str, Any]:
    if "$one_of" not in node:
        return _fields(node, node["id"], decide)
    label = decide(node.get("$name", node["id"]))
    alternative = next(found for found in node["$one_of"] if label_of(found) == label)
    outer: dict[str, Any] = {key: node[key] for key in ("id", "from") if key in node}
    return {**outer, **_fields(alternative, f"{node['id']}.{label}", decide)}


def _fields(value: dict[str, Any], path: str, decide: Choose) -> dict[str, Any]:
    plain = ("id", "type", "from")
    return {
        key: inner if key in plain else _value(inner, f"{path}.{key}", decide)
        for key, inner in value.items()
        if not key.startswith("$")
    }


def _value(value: Any, path: str, decide: Choose) -> Any:
    if isinstance(value, list):
        return [item for index, inner in enumerate(value) for item in _items(inner, f"{path}.{index}", decide)]
    if not isinstance(value, dict):
        return value
    if "$expr" in value or "$same" in value:
        return _Derived(parse(str(value.get("$expr", value.get("$same")))))
    if "$one_of" in value:
        label = decide(value.get("$name", path))
        alternative = next(found for found in value["$one_of"] if label_of(found) == label)
        return _fields(alternative, f"{path}.{label}", decide) if isinstance(alternative, dict) else alternative
    if "$int" in value or "$float" in value:
        return decide(value.get("$name", path))
    return _fields(value, path, decide)


def _items(value: Any, path: str, decide: Choose) -> Iterable[Any]:
    """The items that one written item of a list stands for: a repeated block is several."""
    if not (isinstance(value, dict) and "$repeat" in value):
        return [_value(value, path, decide)]
    times = _value(value["$times"], f"{path}.times", decide)
    return [_fields(value["$repeat"], path, decide) for _ in range(times)]


class _Names:
    """What a name stands for: a variable's choice, or a field of the resolved document with its default."""

    def __init__(self, nodes: list[dict[str, Any]], chosen: dict[str, Any]) -> None:
        self.nodes = {node["id"]: node for node in nodes}
        self.chosen = chosen
        self.depth = 0

    def value(self, name: str) -> Any:
        """Raises `Inactive` for what this point does not have, `Unresolved` for a cycle."""
        if name in self.chosen:
            return self.chosen[name]
        node_id, *path = name.split(".")
        if node_id not in self.nodes or not path:
            raise Inactive(name)
        return self.computed(self._field(self.nodes[node_id], path, name))

    def _field(self, node: dict[str, Any], path: list[str], name: str) -> Any:
        value: Any = node
        for depth, key in enumerate(path):
            if isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            elif isinstance(value, dict) and key in value:
                value = value[key]
            elif depth == 0 and (default := _default(node["type"], key)) is not None:
                value = default
            else:
                raise Inactive(name)
        return value

    def computed(self, value: Any) -> Any:
        """A value with everything derived in it computed."""
        if isinstance(value, dict):
            return {key: self.computed(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.computed(inner) for inner in value]
        if not isinstance(value, _Derived):
            return value
        if value.result is not None:
            return value.result
        if value.busy:
            raise Unresolved(value.expression, "its value depends on itself")
        if self.depth == _DEEPEST:
            raise Unresolved(value.expression, f"it follows from more than {_DEEPEST} others, one from another")
        value.busy, self.depth = True, self.depth + 1
        try:
            value.result = value.expression.evaluate(self.value)
            return value.result
        except Inactive as error:
            raise Unresolved(value.expression, f"{error} is not there in every choice that needs it") from None
        except ExpressionError as error:
            raise Unresolved(value.expression, str(error)) from None
        finally:
            value.busy, self.depth = False, self.depth - 1


def _default(type_name: str, field: str) -> Any:
    model = node_models().get(type_name)
    found = model.model_fields.get(field) if model is not None else None
    if found is None or found.is_required():
        return None
    default = found.default
    return default.model_dump(mode="json") if hasattr(default, "model_dump") else default


def _without_unread(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The nodes that somebody reads, heads included."""
    heads = {name for name, model in node_models().items() if getattr(model, "kind", None) == "head"}
    while True:
        read = set[str]()
        for index, node in enumerate(nodes):
            written = node.get("from", nodes[index - 1]["id"] if index else None)
            for source in written if isinstance(written, list | tuple) else [written]:
                read.add(str(source).partition(".")[0])
        kept = [node for node in nodes if node["id"] in read or node["type"] in heads]
        if len(kept) == len(nodes):
            return nodes
        nodes = kept
