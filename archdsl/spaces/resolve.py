"""From a space and a choice for each variable to an arch document.

First every choice is put in place, then expressions are computed from names and fields, then nodes that no chosen
alternative reads are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from pydantic import BaseModel

from archdsl.errors import short
from archdsl.families.common.base import Head
from archdsl.json_types import Json, JsonObject, Scalar, object_in, objects_in, text_in
from archdsl.language.nodes import node_models
from archdsl.spaces.expressions import Expression, ExpressionError, Inactive, parse
from archdsl.spaces.space import Space
from archdsl.spaces.variables import alternatives_of, label_of, name_of, span_of

Choose = Callable[[str], Scalar]
"""The value of a variable, by its name: a scalar, or a label."""
Choices = dict[str, Scalar]

_DEEPEST = 64
"""Expressions that follow one from another; Python's stack has room for these."""


class Point(NamedTuple):
    """One point of a space: the arch document, and the choices that it depends on."""

    document: JsonObject
    choices: Choices

    @property
    def nodes(self) -> list[JsonObject]:
        """The nodes of the document."""
        return objects_in(self.document["nodes"])


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
        self.result: Scalar = None


Derivable: TypeAlias = "Scalar | Sequence[Derivable] | Mapping[str, Derivable] | _Derived"
"""A value of a document in which derived values are still to be computed."""


def resolve(space: Space, choose: Choose, name: str | None = None) -> Point:
    """The arch document of one choice. The document is not checked yet: shapes may still not fit.

    Raises:
        Unresolved: an expression cannot be computed.
    """
    chosen: Choices = {}

    def decide(variable: str) -> Scalar:
        if variable not in chosen:
            chosen[variable] = choose(variable)
        return chosen[variable]

    names = _Names({text_in(node["id"]): _node(node, decide) for node in space.nodes}, chosen)
    nodes = _without_unread([object_in(names.computed(node)) for node in names.nodes.values()])
    written = frozenset({"constraints", "budgets", "objectives", "seeds", "parent", "nodes"})
    header: JsonObject = space.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=set(written))
    first: JsonObject = {"kind": "arch", "version": header["version"], "name": name or space.name}
    rest = {key: value for key, value in header.items() if key not in {"$schema", *first}}
    return Point({**first, **rest, "nodes": [*nodes]}, chosen)


def decide(space: Space, choose: Choose) -> None:
    """Ask for the variables of a choice, each once and in the order of `resolve`, and make nothing of it."""
    chosen: Choices = {}
    for node in space.nodes:
        _node(node, lambda name: chosen[name] if name in chosen else chosen.setdefault(name, choose(name)))


def values_at(point: Point) -> Callable[[str], Json]:
    """What a name stands for at a point; it raises `Inactive` for a name that the point does not have."""
    return _Names({text_in(node["id"]): node for node in point.nodes}, point.choices).value


def satisfied(constraint: Expression, point: Point) -> bool:
    """Whether a point keeps a constraint; one that mentions something inactive counts as true.

    Raises:
        ExpressionError: the constraint is no statement for these values.
    """
    try:
        value = constraint.evaluate(values_at(point))
    except Inactive:
        return True
    if not isinstance(value, bool):
        raise ExpressionError(1, "a constraint must be true or false", short(value), "compare it with something")
    return value


def _node(node: JsonObject, decide: Choose) -> Mapping[str, Derivable]:
    node_id = text_in(node["id"])
    if "$one_of" not in node:
        return _with_depth(_fields(node, node_id, decide))
    label = decide(name_of(node, node_id))
    outer: JsonObject = {key: node[key] for key in ("id", "from") if key in node}
    return _with_depth(
        {**_fields(outer, node_id, decide), **_fields(_chosen(node, label), f"{node_id}.{label}", decide)}
    )


def _with_depth(node: Mapping[str, Derivable]) -> Mapping[str, Derivable]:
    """A sequence that states no depth is as deep as the blocks that came out of its own are many."""
    blocks = node.get("blocks")
    return node if "depth" in node or not isinstance(blocks, list) else {**node, "depth": len(blocks)}


def _chosen(hole: JsonObject, label: Scalar) -> JsonObject:
    """The alternative of a label, an object."""
    return next(object_in(other) for other in alternatives_of(hole) if label_of(other) == label)


def _fields(value: JsonObject, path: str, decide: Choose) -> Mapping[str, Derivable]:
    return {key: _value(inner, f"{path}.{key}", decide) for key, inner in value.items() if not key.startswith("$")}


def _value(value: Json, path: str, decide: Choose) -> Derivable:
    if isinstance(value, list):
        return _items(value, path, decide)
    if not isinstance(value, dict):
        return value
    if "$expr" in value or "$same" in value:
        return _Derived(parse(str(value.get("$expr", value.get("$same")))))
    if "$one_of" in value:
        return _value(*_alternative(value, path, decide), decide)
    if "$int" in value or "$float" in value:
        return decide(name_of(value, path))
    return _fields(value, path, decide)


def _alternative(hole: JsonObject, path: str, decide: Choose) -> tuple[Json, str]:
    """What a choice takes, and the path of what is inside it."""
    label = decide(name_of(hole, path))
    alternative = next(other for other in alternatives_of(hole) if label_of(other) == label)
    return alternative, f"{path}.{label}" if isinstance(alternative, dict) else path


def _items(written: list[Json], path: str, decide: Choose) -> list[Derivable]:
    """The items that a written list stands for: a repeated block is several, and a span covers items that follow it."""
    items, covered = list[Derivable](), 0
    for index, item in enumerate(written):
        place = f"{path}.{index}"
        if covered:
            covered -= 1
        elif isinstance(item, dict) and "$repeat" in item:
            items += _copies(item, place, decide)
        elif isinstance(item, dict) and "$one_of" in item:
            alternative, inside = _alternative(item, place, decide)
            items.append(_value(alternative, inside, decide))
            covered = span_of(alternative) - 1
        else:
            items.append(_value(item, place, decide))
    return items


def _copies(repeat: JsonObject, path: str, decide: Choose) -> Iterable[Derivable]:
    times = _value(repeat["$times"], f"{path}.times", decide)
    assert isinstance(times, int)
    return [_fields(object_in(repeat["$repeat"]), path, decide) for _ in range(times)]


class _Names:
    """What a name stands for: a variable's choice, or a field of the resolved document with its default."""

    def __init__(self, nodes: Mapping[str, Mapping[str, Derivable]], chosen: Choices) -> None:
        self.nodes = nodes
        self.chosen = chosen
        self.depth = 0

    def value(self, name: str) -> Json:
        """Raises `Inactive` for what this point does not have, `Unresolved` for a cycle."""
        if name in self.chosen:
            return self.chosen[name]
        node_id, *path = name.split(".")
        if node_id not in self.nodes or not path:
            raise Inactive(name)
        return self.computed(self._field(self.nodes[node_id], path, name))

    def _field(self, node: Mapping[str, Derivable], path: list[str], name: str) -> Derivable:
        value: Derivable = node
        for depth, key in enumerate(path):
            if isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            elif isinstance(value, dict) and key in value:
                value = value[key]
            elif depth == 0 and (default := _default(node, key)) is not None:
                value = default
            else:
                raise Inactive(name)
        return value

    def computed(self, value: Derivable) -> Json:
        """A value with everything derived in it computed."""
        if isinstance(value, Mapping):
            return {key: self.computed(inner) for key, inner in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, str):
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


def _default(node: Mapping[str, Derivable], name: str) -> Derivable:
    model = node_models().get(str(node["type"]))
    field = model.model_fields.get(name) if model is not None else None
    if field is None or field.is_required():
        return None
    default: Json = field.default.model_dump(mode="json") if isinstance(field.default, BaseModel) else field.default
    return default


def _without_unread(nodes: list[JsonObject]) -> list[JsonObject]:
    """The nodes that somebody reads, heads included."""
    heads = {name for name, model in node_models().items() if issubclass(model, Head)}
    while True:
        read = set[str]()
        for index, node in enumerate(nodes):
            written = node.get("from", nodes[index - 1]["id"] if index else None)
            for source in written if isinstance(written, list) else [written]:
                read.add(str(source).partition(".")[0])
        kept = [node for node in nodes if node["id"] in read or node["type"] in heads]
        if len(kept) == len(nodes):
            return nodes
        nodes = kept
