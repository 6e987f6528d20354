"""Whether a backbone is a point of a space, and by which choices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archdsl.spaces.space import Space
from archdsl.spaces.variables import label_of, variable_of

Choices = dict[str, Any]
_MOST_VALUES = 50_000


def matches(space: Space, nodes: list[dict[str, Any]]) -> Iterator[Choices]:
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

    def nodes(self, pairs: list[tuple[dict[str, Any], dict[str, Any]]], choices: Choices) -> Iterator[Choices]:
        """Choices under which every node agrees with its template."""
        if not pairs:
            yield choices
            return
        for found in self.node(*pairs[0], choices):
            yield from self.nodes(pairs[1:], found)

    def node(self, template: dict[str, Any], node: dict[str, Any], choices: Choices) -> Iterator[Choices]:
        """Choices under which one node agrees with its template."""
        if "$one_of" not in template:
            yield from self._fields(template, node, template["id"], choices)
            return
        for alternative in template["$one_of"]:
            label = label_of(alternative)
            kept = _with(choices, template.get("$name", template["id"]), label)
            if kept is not None and alternative["type"] == node["type"]:
                yield from self._fields(alternative, node, f"{template['id']}.{label}", kept)

    def _fields(self, template: dict[str, Any], value: Any, path: str, choices: Choices) -> Iterator[Choices]:
        keys = [key for key in template if not key.startswith("$") and key not in ("id", "from")]
        keys = [key for key in keys if key != "out_norm" or isinstance(template[key], dict)]  # the whole is compared

        def agree(index: int, found: Choices) -> Iterator[Choices]:
            if index == len(keys):
                yield found
                return
            key = keys[index]
            if key in value:
                for more in self._value(template[key], value[key], f"{path}.{key}", found):
                    yield from agree(index + 1, more)

        if isinstance(value, dict):
            yield from agree(0, choices)

    def _value(self, template: Any, value: Any, path: str, choices: Choices) -> Iterator[Choices]:
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
            for alternative in template["$one_of"]:
                label = label_of(alternative)
                kept = _with(choices, template.get("$name", path), label)
                if kept is not None:
                    yield from self._value(alternative, value, f"{path}.{label}", kept)
        elif "$int" in template or "$float" in template:
            yield from self._in_range(template, value, template.get("$name", path), choices)
        else:
            yield from self._fields(template, value, path, choices)

    def _in_range(self, template: dict[str, Any], value: Any, name: str, choices: Choices) -> Iterator[Choices]:
        variable = variable_of(template, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        inside = value in variable.values if variable.values else variable.low <= value <= variable.high
        kept = _with(choices, name, value) if inside else None
        if kept is not None:
            yield kept

    def _items(self, template: list[Any], value: Any, path: str, choices: Choices) -> Iterator[Choices]:
        """A list item by item; a repeated block takes as many equal ones as it may."""

        def agree(index: int, start: int, found: Choices) -> Iterator[Choices]:
            if index == len(template):
                if start == len(value):
                    yield found
                return
            item, place = template[index], f"{path}.{index}"
            if not (isinstance(item, dict) and "$repeat" in item):
                if start < len(value):
                    for more in self._value(item, value[start], place, found):
                        yield from agree(index + 1, start + 1, more)
                return
            for times in range(1, len(value) - start + 1):
                for more in self._value(item["$times"], times, f"{place}.times", found):
                    for same in self._repeated(item["$repeat"], value[start : start + times], place, more):
                        yield from agree(index + 1, start + times, same)

        if isinstance(value, list):
            yield from agree(0, 0, choices)

    def _repeated(self, template: dict[str, Any], values: list[Any], path: str, choices: Choices) -> Iterator[Choices]:
        if not values:
            yield choices
            return
        for found in self._fields(template, values[0], path, choices):
            yield from self._repeated(template, values[1:], path, found)


def _with(choices: Choices, name: str, value: Any) -> Choices | None:
    """The choices with one more, or None if the variable has another value already."""
    if name in choices:
        return choices if choices[name] == value else None
    return {**choices, name: value}
