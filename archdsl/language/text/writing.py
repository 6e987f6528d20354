"""Documents as text, the way the shipped ones are written: one node a line, aligned by type.

In a space, the alternatives of a choice between nodes or blocks have a line each.
"""

from __future__ import annotations

import json

from archdsl.json_types import Json, JsonObject, object_in, objects_in, text_in
from archdsl.language.document import Spec

_WIDTH = 120
_FIRST = ("$label", "$span", "id", "type", "from", "width", "depth")
"""Fields that a part begins with; the others follow as declared, then sub-objects, blocks and alternatives last."""
_LISTED = ("$one_of", "blocks")
"""Fields whose items have lines of their own."""
_OPENING = ("$schema", "kind", "version", "name")
_ID_COLUMN = 8
"""Longer ids do not move the column of types."""


def dump(spec: Spec) -> str:
    """The document that reads as this backbone: what equals its default left out, null where null is a value."""
    return dump_document(spec.to_json())


def dump_document(written: JsonObject) -> str:
    """The text of a document of either kind that holds, given as JSON values."""
    document = dict(written)
    nodes = objects_in(document.pop("nodes"))
    opening = {key: document.pop(key) for key in _OPENING if key in document}
    paper = object_in(document.pop("paper")) if document.get("paper") else None
    lengths = [len(text_in(node["id"])) for node in nodes]
    column = max((length for length in lengths if length <= _ID_COLUMN), default=0)
    header = [", ".join(_items(opening))]
    header += [_object(_items(paper), 2, '"paper": ').lstrip()] if paper else []
    header += [", ".join(_items(document))] if document else []
    lines = ",\n".join(f"  {line}" for line in [*header, '"nodes": ['])
    return "{\n" + lines + "\n" + ",\n".join(_node(node, column) for node in nodes) + "\n  ]\n}\n"


def _node(node: JsonObject, column: int) -> str:
    """`{"id": "stem",   "type": "patch_stem", "width": 96}` at its depth in the document."""
    return _part(node, 4, column + len('"id": "",'))


def _part(part: JsonObject, indent: int, column: int = 0) -> str:
    """A node, a block or an alternative; what a list of them holds stands below it."""
    inside = next((key for key in _LISTED if key in part), None)
    if inside is None:
        return _object(_items(part), indent, column=column)
    listed = ",\n".join(_part(each, indent + 2) for each in objects_in(part[inside]))
    opening = f"{text(inside)}: ["
    items = _items(part)
    if not items:
        return f"{' ' * indent}{{{opening}\n{listed}]}}"
    return _object([*items, opening], indent, end="", column=column) + f"\n{listed}]}}"


def _items(part: JsonObject) -> list[str]:
    """Fields as `"key": value` on one line each; blocks and alternatives are left to the caller."""
    rest = sorted((key for key in part if key not in (*_FIRST, *_LISTED)), key=lambda key: isinstance(part[key], dict))
    keys = [*(key for key in _FIRST if key in part), *rest]
    return [f"{text(key)}: {text(part[key])}" for key in keys]


def _object(items: list[str], indent: int, head: str = "", end: str = "}", column: int = 0) -> str:
    """An object on as few lines as fit, its second item at `column` or after the first."""
    first, *rest = [*(f"{item}," for item in items[:-1]), items[-1] + end]
    lines = [" " * indent + head + "{" + first.ljust(column if rest else 0)]
    for item in rest:
        if len(lines[-1]) + len(item) < _WIDTH - 1:  # a space before it, a comma after it
            lines[-1] += f" {item}"
        else:
            lines.append(" " * (indent + len(head) + 1) + item)
    return "\n".join(lines)


def text(value: Json | tuple[int, ...]) -> str:
    """A value on one line; numbers that are whole are written whole."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text(key)}: {text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(text(item) for item in value) + "]"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value).replace("e-0", "e-")
    return json.dumps(value, ensure_ascii=False)
