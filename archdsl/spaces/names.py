"""The names in a space: expressions and constraints read, and whatever a name or a source stands for is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archdsl.errors import Keys, Problem, nearest, nearest_only, short
from archdsl.families.common.base import Part
from archdsl.json_types import Json, JsonObject, list_in, object_in, objects_in, text_in
from archdsl.language import introspection
from archdsl.language.nodes import node_models
from archdsl.spaces.expressions import ExpressionError, parse
from archdsl.spaces.grammar import SyntaxNode
from archdsl.spaces.variables import alternatives_of, label_of, walk

_NO_VALUES = ("id", "from")


def name_problems(raw: JsonObject) -> list[Problem]:
    """Everything that is named and not there; ids and alternatives hold already."""
    nodes = objects_in(raw["nodes"])
    return [*_expression_problems(raw, nodes), *_source_problems(nodes), *_feature_problems(raw, nodes)]


def expressions(nodes: Iterable[JsonObject]) -> Iterator[tuple[Keys, str]]:
    """Every `$expr` and `$same` in the nodes of a space, with its place."""
    for index, node in enumerate(nodes):
        yield from _inside(node, ("nodes", index))


def expression_problem(keys: Keys, error: ExpressionError) -> Problem:
    """What is wrong with an expression, told at its place."""
    return Problem(keys, f"column {error.column}: {error.rule}", error.value, error.remedy)


def _expression_problems(raw: JsonObject, nodes: list[JsonObject]) -> Iterator[Problem]:
    holes = {name: hole for name, hole, _ in walk(nodes)}
    variables = set(holes)
    typed = {text_in(node["id"]): types_of(node) for node in nodes}
    constraints = [text_in(text) for text in list_in(raw.get("constraints", []))]
    places: list[Keys] = [("constraints", index) for index in range(len(constraints))]
    for keys, text in [*zip(places, constraints, strict=True), *expressions(nodes)]:
        try:
            expression = parse(text)
        except ExpressionError as error:
            yield expression_problem(keys, error)
            continue
        yield from _label_problems(keys, expression.tree, holes)
        for name in sorted(expression.names - variables):
            problem = _unknown(keys, name, variables, typed, field_at(nodes, keys))
            if problem is not None:
                yield problem


def _label_problems(keys: Keys, tree: SyntaxNode, holes: dict[str, JsonObject]) -> Iterator[Problem]:
    """Labels that a choice is compared with and never has: the comparison would be the same at every point."""
    for name, text, column in _compared(tree):
        alternatives = alternatives_of(holes[name]) if "$one_of" in holes.get(name, {}) else []
        labels = [str(label_of(alternative)) for alternative in alternatives if isinstance(alternative, dict)]
        if labels and text not in labels:
            yield Problem(keys, f"column {column}: {name} is never this", f"'{text}'", nearest(text, labels))


def _compared(tree: SyntaxNode) -> Iterator[tuple[str, str, int]]:
    """The names that are compared with a text, and where."""
    if tree.op in ("==", "!="):
        for name, other in (tree.operands, tree.operands[::-1]):
            if name.op == "name" and other.op == "literal":
                yield from ((name.name, text, other.column) for text in other.literals if isinstance(text, str))
    if tree.op == "in" and tree.operands[0].op == "name":
        yield from ((tree.operands[0].name, text, tree.column) for text in tree.literals if isinstance(text, str))
    for operand in tree.operands:
        yield from _compared(operand)


def field_at(nodes: list[JsonObject], keys: Keys) -> str:
    """The name of the field in which an expression of a node stands: `merge1.width`; empty for a constraint."""
    if keys[0] != "nodes" or not isinstance(keys[1], int):
        return ""
    inside = keys[2:-1]
    fields = [key for before, key in zip(("", *inside), inside, strict=False) if "$one_of" not in (before, key)]
    return ".".join(map(str, (nodes[keys[1]]["id"], *fields)))


def _unknown(keys: Keys, name: str, variables: set[str], typed: dict[str, list[str]], here: str) -> Problem | None:
    """A name that is no variable, and no field of a node in any of its alternatives; `here` is the field it defines."""
    node_id, *path = name.split(".")
    if node_id not in typed:
        return Problem(keys, f"nothing is named '{name}'", None, _meant(name, variables, typed, here))
    if not path:
        return Problem(keys, f"'{name}' is a node, not a value", None, f"name a field of it, as in {name}.depth")
    models = [node_models()[kind] for kind in typed[node_id]]
    if any(introspection.leads(model, path) for model in models):
        return None
    inside = [variable for variable in variables if variable.startswith(f"{node_id}.")]
    names = [value for value in (*_values_of(node_id, typed[node_id]), *inside) if value != here]
    return Problem(keys, f"{node_id} never has '{'.'.join(path)}'", None, nearest(name, names))


def _meant(name: str, variables: set[str], typed: dict[str, list[str]], here: str) -> str:
    """The remedy for a name that nothing has: a value that is there before the field that it defines, never that field.

    `width` is the nearest earlier `stem.width` where no variable is called nearly so.
    """
    node_ids = list(typed)
    defined = here.partition(".")[0]
    before = node_ids[: node_ids.index(defined) + 1] if defined else node_ids
    values = [value for other in before for value in _values_of(other, typed[other]) if value != here]
    others = variables - {here}
    named = [variable for variable in others if "." not in variable]
    of_that_name = [value for value in values if value.endswith(f".{name}")] if defined else []
    if of_that_name and not nearest_only(name, named):
        return f"did you mean '{of_that_name[-1]}'?"
    return nearest_only(name, [*others, *values]) or nearest(name, others)


def _values_of(node_id: str, types: list[str]) -> Iterator[str]:
    """The names of a node's fields that hold a value, not an object or a list; those inside objects too."""
    for model in (node_models()[kind] for kind in types):
        for field, info in introspection.fields(model).items():
            inner = introspection.models(info.annotation)
            if field not in _NO_VALUES and not inner and field != "blocks":
                yield f"{node_id}.{field}"
            for name in {name for option in inner for name in introspection.fields(option)}:
                yield f"{node_id}.{field}.{name}"


def types_of(node: JsonObject) -> list[str]:
    """The types that a node may have."""
    return [str(alternative["type"]) for alternative in _alternatives(node) or [node]]


def _alternatives(node: JsonObject) -> list[JsonObject]:
    """The alternatives of a node that is one of several; empty for any other."""
    return [object_in(alternative) for alternative in alternatives_of(node)] if "$one_of" in node else []


def _source_problems(nodes: list[JsonObject]) -> Iterator[Problem]:
    """A written source is an earlier node."""
    earlier: set[str] = set()
    for index, node in enumerate(nodes):
        parts: list[tuple[Keys, JsonObject]] = [((), node)]
        parts += [(("$one_of", place), alternative) for place, alternative in enumerate(_alternatives(node))]
        for place, part in parts:
            for keys, source in _sources(part.get("from"), ("nodes", index, *place, "from")):
                name = source.partition(".")[0]
                if name not in earlier:
                    yield Problem(keys, "no earlier node has this id", short(name), nearest(name, earlier))
        earlier.add(text_in(node["id"]))


def _sources(written: Json, keys: Keys) -> Iterable[tuple[Keys, str]]:
    if isinstance(written, list):
        return [((*keys, place), text_in(source)) for place, source in enumerate(written)]
    return [] if written is None else [(keys, text_in(written))]


def _feature_problems(raw: JsonObject, nodes: list[JsonObject]) -> Iterator[Problem]:
    ids = {text_in(node["id"]) for node in nodes}
    fitting = {text_in(node["id"]) for node in nodes if any(_gives_map(node_models()[kind]) for kind in types_of(node))}
    for place, name in enumerate(map(text_in, list_in(raw.get("features") or []))):
        if name not in ids:
            yield Problem(("features", place), "no node has this id", short(name), nearest(name, fitting))


def _gives_map(model: type[Part]) -> bool:
    """Whether a type gives pixels; what a stage gives depends on its blocks, and is pixels at least."""
    return not isinstance(model.gives, tuple) or "pixels" in model.gives


def _inside(value: Json, keys: Keys) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("$expr", "$same"):
                yield (*keys, key), text_in(inner)
            else:
                yield from _inside(inner, (*keys, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _inside(inner, (*keys, index))
