"""Whether a backbone is a point of a space, and by which choices."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.json_types import Json, JsonObject, Scalar, object_in, text_in
from archdsl.spaces.resolve import Choices
from archdsl.spaces.space import Space
from archdsl.spaces.variables import alternatives_of, label_of, name_of, variable_of

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
            yield from self._fields(template, node, node_id, choices)
            return
        for alternative in map(object_in, alternatives_of(template)):
            label = label_of(alternative)
            more = _with(choices, name_of(template, node_id), label)
            if more is not None and alternative["type"] == node["type"]:
                yield from self._fields(alternative, node, f"{node_id}.{label}", more)

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
        """A list item by item; a repeated block takes as many equal ones as it may."""

        def agree(index: int, left: list[Json], agreed: Choices) -> Iterator[Choices]:
            if index == len(template):
                if not left:
                    yield agreed
                return
            item, place = template[index], f"{path}.{index}"
            if not (isinstance(item, dict) and "$repeat" in item):
                if left:
                    for more in self._value(item, left[0], place, agreed):
                        yield from agree(index + 1, left[1:], more)
                return
            for times in range(1, len(left) + 1):
                for more in self._value(item["$times"], times, f"{place}.times", agreed):
                    for same in self._repeated(object_in(item["$repeat"]), left[:times], place, more):
                        yield from agree(index + 1, left[times:], same)

        if isinstance(value, list):
            yield from agree(0, value, choices)

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
