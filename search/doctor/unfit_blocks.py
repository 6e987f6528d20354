"""Blocks that can never be in their sequence: those that do not fit it, and those that spans before them cover always.

Whether a block fits follows from itself and from the map of its stage, so it is looked at alone in its sequence.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator

from archdsl.errors import Keys, Problem
from archdsl.families.common.base import Part
from archdsl.graphs import flow, link
from archdsl.json_types import Json, JsonObject, Scalar, list_in, object_in, text_in
from archdsl.language.checking.draft import draft
from archdsl.search.doctor.reasons import commonest
from archdsl.spaces.contradiction import fixed, needed_variables
from archdsl.spaces.enumeration import EveryChoice
from archdsl.spaces.names import expressions, types_of
from archdsl.spaces.resolve import Unresolved, resolve
from archdsl.spaces.space import Space
from archdsl.spaces.spans import reached
from archdsl.spaces.variables import alternatives_of, label_of, variables, walk


def covered_positions(space: Space) -> Iterator[Problem]:
    """The positions of sequences that are covered whatever is chosen."""
    for index, node in enumerate(space.nodes):
        parts: list[tuple[Keys, JsonObject]] = [(("nodes", index), node)]
        if "$one_of" in node:
            written = enumerate(alternatives_of(node))
            parts = [(("nodes", index, "$one_of", place), object_in(other)) for place, other in written]
        for keys, part in parts:
            blocks = list_in(part["blocks"]) if "blocks" in part else []
            for position in sorted(set(range(len(blocks))) - reached(blocks)):
                rule = f"{node['id']}.blocks.{position} can never occur: every choice before it covers it"
                yield Problem((*keys, "blocks", position), rule, None, "remove it, or add a block without $span before")


def unfit_block(space: Space, keys: Keys, value: Scalar, most: int) -> Problem | None:
    """Why the block that a value stands in fits its sequence in no network; None where it may, or is in no block.

    `keys` are the value's place, as an alternative or in a hole inside a block. Up to `most` choices are looked at;
    where there are more, nothing is said.
    """
    if "blocks" not in keys:
        return None
    (alone, block), index = _alone(space, keys, value), keys[1]
    assert isinstance(index, int)
    node_id = alone.nodes[index]["id"]
    is_of_map = not _reads_semantics(object_in(alone.nodes[index]["blocks"][0]))
    needed = variables_of_node(alone, index, _is_stage if is_of_map else _keeps_all)
    by_name = variables(alone.nodes)
    if not all(by_name[name].values for name in needed):
        return None
    free = {name: variable if name in needed else fixed(variable) for name, variable in by_name.items()}
    reasons = Counter[Problem]()
    for looked_at, choose in enumerate(EveryChoice(free)):
        if looked_at == most:
            return None
        try:
            nodes = resolve(alone, choose)
        except Unresolved:
            return None
        place = [node["id"] for node in nodes.nodes].index(node_id)
        reason = next(_problems(nodes.document, place), None)
        if reason is None:
            return None
        reasons[reason._replace(keys=(*block, *reason.keys[4:]))] += 1
    return commonest(reasons)


def _alone(space: Space, keys: Keys, value: Scalar) -> tuple[Space, Keys]:
    """The space with a block, in which a value is taken, as the only one of its sequence; and the block's place.

    A block of a map alone reads the map alone, whatever its stage reads beside it.
    """
    index, start = keys[1], keys.index("blocks")
    assert isinstance(index, int)
    node = space.nodes[index]
    sequence = _at(node, keys[2:start])
    end = start + 2
    if keys[end : end + 1] == ("$one_of",):
        end += 2
    elif keys[end : end + 1] == ("$repeat",):
        end += 1
    block = _at(sequence, keys[start:end])
    written = {key: field for key, field in block.items() if not key.startswith("$")}
    if inside := keys[end:]:
        written = _with_value(written, inside[:-2] if inside[-2] == "$one_of" else inside[:-1], value)
    sources = {key: node[key] for key in ("id", "from") if key in node}
    if isinstance(sources.get("from"), list) and not _reads_semantics(written):
        sources["from"] = sources["from"][0]
    fields = {key: field for key, field in sequence.items() if key not in ("$label", "depth", *sources)}
    nodes = [*space.nodes[:index], {**sources, **fields, "blocks": [written]}, *space.nodes[index + 1 :]]
    return space.model_copy(update={"nodes": tuple(nodes), "constraints": ()}), keys[:end]


def _at(value: Json, keys: Keys) -> JsonObject:
    """The object at a place inside a value."""
    for key in keys:
        value = value[key] if isinstance(key, str) and isinstance(value, dict) else list_in(value)[int(key)]
    return object_in(value)


def _with_value(written: JsonObject, keys: Keys, value: Scalar) -> JsonObject:
    """An object in which the hole at a place has become what a value stands for."""
    key, *rest = keys
    inner = object_in(written[str(key)])
    if not rest:
        offered = alternatives_of(inner) if "$one_of" in inner else []
        taken = next((other for other in offered if label_of(other) == value), value)
        plain = {name: field for name, field in taken.items() if name != "$label"} if isinstance(taken, dict) else taken
        return {**written, str(key): plain}
    if rest[0] == "$one_of":
        taken = object_in(alternatives_of(inner)[int(rest[1])])
        plain = {name: field for name, field in taken.items() if name != "$label"}
        return {**written, str(key): _with_value(plain, tuple(rest[2:]), value)}
    return {**written, str(key): _with_value(inner, tuple(rest), value)}


def _problems(document: JsonObject, place: int) -> Iterator[Problem]:
    """What is wrong with the one block of a sequence: by itself, on its map, or of what it reads beside the map."""
    drafted = draft(document)
    problems = list(drafted.problems)
    links: list[Problem] = []
    flow(drafted, link(drafted, links), problems)
    yield from (problem for problem in problems if problem.keys[:4] == ("nodes", place, "blocks", 0))
    if _reads_semantics(object_in(list_in(object_in(list_in(document["nodes"])[place])["blocks"])[0])):
        yield from (problem for problem in links if problem.keys[:2] == ("nodes", place))


def _reads_semantics(block: JsonObject) -> bool:
    return "semantics" in Part.kinds["block"][text_in(block["type"])].reads


def _is_stage(node: JsonObject) -> bool:
    """Whether a node is a stage in all its alternatives, so that it gives the map that it reads."""
    return set(types_of(node)) <= {name for kind in ("block", "stage") for name in Part.kinds[kind]}


def variables_of_node(space: Space, index: int, keeps: Callable[[JsonObject], bool] | None = None) -> set[str]:
    """The variables that a node's fields and the shape that it reads may follow from.

    A stage keeps its shape whatever its fields are, so that those of plain stages before a node do not matter; `keeps`
    tells which nodes before it do not.
    """
    places = {index, *(other for other in range(index) if not (keeps or _keeps_all)(space.nodes[other]))}
    names = {name for name, _, keys in walk(space.nodes) if keys[1] in places}
    texts = [text for keys, text in expressions(space.nodes) if keys[1] in places]
    return names | needed_variables(space, texts)


def _keeps_all(node: JsonObject) -> bool:
    """Whether a node is a stage in all its alternatives and gives a map alone, whatever its fields are.

    Where one gives semantics or a class token, who reads what may follow from the alternative.
    """
    blocks = [Part.kinds["block"][name] for name in _type_names(node) if name in Part.kinds["block"]]
    plain = all(block.gives == ("pixels",) for block in blocks) and "class_token" not in json.dumps(node)
    return plain and _is_stage(node)


def _type_names(value: Json) -> Iterator[str]:
    """Every type that is written in a node, also inside alternatives and sequences."""
    if isinstance(value, dict):
        if isinstance(name := value.get("type"), str):
            yield name
        for inner in value.values():
            yield from _type_names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _type_names(inner)
