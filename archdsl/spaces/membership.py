"""Whether a backbone is a point of a space, and by which choices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache

from archdsl.families.common.base import Part
from archdsl.families.common.block import Block
from archdsl.families.common.stage import Stage
from archdsl.json_types import Json, JsonObject, Scalar, object_in, text_in
from archdsl.language.block_lists import SEQUENCE, as_sequence, block_documents, is_listable
from archdsl.language.canonical import canonical_block
from archdsl.language.nodes import node_models
from archdsl.spaces.resolve import Choices
from archdsl.spaces.space import Space
from archdsl.spaces.spans import block_alternatives
from archdsl.spaces.variables import alternatives_of, has_holes, label_of, name_of, span_of, variable_of

_MOST_VALUES = 50_000


def matches(space: Space, nodes: list[JsonObject]) -> Iterator[Choices]:
    """Choices under which the written fields of a space agree with a document whose defaults are filled in.

    Expressions and fields that the space leaves at their defaults are not compared: whoever asks resolves the choices
    and compares the whole.
    """
    by_id = {node["id"]: node for node in nodes}
    pairs = [(template, by_id[template["id"]]) for template in space.nodes if template["id"] in by_id]
    if all(next(_Search().node(template, node, {}), None) is not None for template, node in pairs):
        yield from _Search().nodes(pairs, {})


class _Search:
    """A search through alternatives that look alike; it ends after so many values, also where it found nothing."""

    def __init__(self) -> None:
        self.left = _MOST_VALUES

    def nodes(self, pairs: list[tuple[JsonObject, JsonObject]], choices: Choices) -> Iterator[Choices]:
        """Choices under which every node agrees with its template."""
        if not pairs:
            yield choices
            return
        for agreed in self.node(*pairs[0], choices):
            yield from self.nodes(pairs[1:], agreed)

    def node(self, template: JsonObject, node: JsonObject, choices: Choices) -> Iterator[Choices]:
        """Choices under which one node agrees with its template."""
        node_id = text_in(template["id"])
        if "$one_of" not in template:
            yield from self._fields(template, _as_in(template, node), node_id, choices)
            return
        for alternative in map(object_in, alternatives_of(template)):
            label, alike = label_of(alternative), _as_in(alternative, node)
            more = _with(choices, name_of(template, node_id), label)
            if more is not None and alternative["type"] == alike["type"] and not _differ_as_nodes(alternative, alike):
                yield from self._fields(alternative, alike, f"{node_id}.{label}", more)

    def _fields(self, template: JsonObject, value: Json, path: str, choices: Choices) -> Iterator[Choices]:
        keys = [key for key in template if not key.startswith("$") and key not in ("id", "from")]
        keys = [key for key in keys if key != "out_norm" or isinstance(template[key], dict)]  # the whole is compared

        def agree(index: int, fields: JsonObject, agreed: Choices) -> Iterator[Choices]:
            if index == len(keys):
                yield agreed
                return
            key = keys[index]
            if key in fields:
                for more in self._value(template[key], fields[key], f"{path}.{key}", agreed):
                    yield from agree(index + 1, fields, more)

        if isinstance(value, dict):
            yield from agree(0, value, choices)

    def _value(self, template: Json, value: Json, path: str, choices: Choices) -> Iterator[Choices]:
        self.left -= 1
        if self.left < 0:
            return
        if isinstance(template, list):
            yield from self._items(template, value, path, choices)
        elif not isinstance(template, dict):
            if template == value and isinstance(template, bool) == isinstance(value, bool):
                yield choices
        elif "$expr" in template or "$same" in template:
            yield choices
        elif "$one_of" in template:
            for alternative in alternatives_of(template):
                label = label_of(alternative)
                more = _with(choices, name_of(template, path), label)
                if more is not None:
                    yield from self._value(alternative, value, f"{path}.{label}", more)
        elif "$int" in template or "$float" in template:
            yield from self._in_range(template, value, name_of(template, path), choices)
        else:
            yield from self._fields(template, value, path, choices)

    def _in_range(self, template: JsonObject, value: Json, name: str, choices: Choices) -> Iterator[Choices]:
        variable = variable_of(template, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        inside = value in variable.values if variable.values else variable.low <= value <= variable.high
        more = _with(choices, name, value) if inside else None
        if more is not None:
            yield more

    def _items(self, template: list[Json], value: Json, path: str, choices: Choices) -> Iterator[Choices]:
        """A list item by item; a repeated block takes as many equal ones as it may, a span several items for one."""
        if not isinstance(value, list):
            return
        alignment = _Alignment(template, value)

        def agree(index: int, place: int, agreed: Choices) -> Iterator[Choices]:
            if index == len(template) or not alignment.is_possible(index, place):
                if index == len(template) and place == len(value):
                    yield agreed
                return
            item, path_of_item = template[index], f"{path}.{index}"
            if not (isinstance(item, dict) and "$repeat" in item):
                for span, more in self._item(item, value[place], path_of_item, agreed):
                    yield from agree(index + span, place + 1, more)
                return
            for times in range(1, len(value) - place + 1):
                for more in self._value(item["$times"], times, f"{path_of_item}.times", agreed):
                    same = value[place : place + times]
                    for repeated in self._repeated(object_in(item["$repeat"]), same, path_of_item, more):
                        yield from agree(index + 1, place + times, repeated)

        yield from agree(0, 0, choices)

    def _item(self, item: Json, value: Json, path: str, choices: Choices) -> Iterator[tuple[int, Choices]]:
        """The positions that an item of a list takes to give a value, and the choices with which it does."""
        if not isinstance(item, dict) or "$one_of" not in item:
            yield from ((1, more) for more in self._value(item, value, path, choices))
            return
        for alternative in block_alternatives(item):
            label = label_of(alternative)
            more = _with(choices, name_of(item, path), label)
            if more is None or _differ(alternative, value):
                continue
            for agreed in (
                self._value(alternative, value, f"{path}.{label}", more) if has_holes(alternative) else [more]
            ):
                yield span_of(alternative), agreed

    def _repeated(self, template: JsonObject, values: list[Json], path: str, choices: Choices) -> Iterator[Choices]:
        if not values:
            yield choices
            return
        for agreed in self._fields(template, values[0], path, choices):
            yield from self._repeated(template, values[1:], path, agreed)


def _with(choices: Choices, name: str, value: Scalar) -> Choices | None:
    """The choices with one more, or None if the variable has another value already."""
    if name in choices:
        return choices if choices[name] == value else None
    return {**choices, name: value}


class _Alignment:
    """Which items of a list of blocks can stand for which blocks of a network, by what needs no choice to be known."""

    def __init__(self, items: list[Json], blocks: list[Json]) -> None:
        self._items, self._blocks = items, blocks
        self._known = dict[tuple[int, int], bool]()

    def is_possible(self, index: int, place: int) -> bool:
        """Whether the items from an index on can be the blocks from a place on, to both ends."""
        if index == len(self._items) or place == len(self._blocks):
            return index == len(self._items) and place == len(self._blocks)
        if (index, place) not in self._known:
            self._known[index, place] = any(self.is_possible(*ahead) for ahead in self._ahead(index, place))
        return self._known[index, place]

    def _ahead(self, index: int, place: int) -> Iterator[tuple[int, int]]:
        item, block = self._items[index], self._blocks[place]
        if isinstance(item, dict) and "$repeat" in item:
            yield from ((index + 1, after) for after in range(place + 1, len(self._blocks) + 1))
        else:
            for alternative in block_alternatives(item) or [item]:
                if not _differ(alternative, block):
                    yield index + span_of(alternative), place + 1


def _as_in(template: JsonObject, node: JsonObject) -> JsonObject:
    """A node as its template writes it: block by block where that is a sequence that states no depth."""
    if template["type"] != SEQUENCE or "depth" in template:
        return node
    stage = node_models()[text_in(node["type"])].model_validate(node)
    if not is_listable(stage):
        return node
    return as_sequence(node, block_documents(stage, is_short=False))


def _differ(template: Json, block: Json) -> bool:
    """Whether a block without holes builds another than the given one; false where that is not plain."""
    if not isinstance(template, dict) or not isinstance(block, dict) or "type" not in template or has_holes(template):
        return False
    written = {key: value for key, value in template.items() if not key.startswith("$")}
    return _built(json.dumps(written)) != _built(json.dumps(block))


def _differ_as_nodes(template: JsonObject, node: JsonObject) -> bool:
    """Whether a node without holes has another field than the given one, defaults filled in; false for stages."""
    model = node_models()[text_in(template["type"])]
    if issubclass(model, Stage) or has_holes(template):
        return False
    written = {key: value for key, value in template.items() if not key.startswith("$")}
    filled = model.model_validate({**written, "id": node["id"]}).model_dump(mode="json", exclude={"id", "from_"})
    return any(node.get(key) != value for key, value in filled.items())


@lru_cache(maxsize=4096)
def _built(block: str) -> JsonObject:
    """The canonical form of a block that is valid by itself."""
    written = object_in(json.loads(block))
    part = Part.kinds["block"][text_in(written["type"])].model_validate(written)
    assert isinstance(part, Block)
    return canonical_block(part)
