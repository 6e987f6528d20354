"""A space's nodes as written, with what their holes may be: `width={16, 24, 32} (w)`, `heads=(w // 16)`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise

from archdsl.json_types import Json, JsonObject, list_in, object_in, text_in
from archdsl.spaces.spans import block_alternatives, has_spans
from archdsl.spaces.variables import CHOICES, Variable, alternatives_of, label_of, range_of, span_of

_APART = ("id", "type", "from", "blocks")
"""Fields that stand elsewhere in the text of a node."""


def alternatives(node: JsonObject) -> list[tuple[str, JsonObject]]:
    """What may stand at a node, each with its label; a node without a choice has one, labelled by its type."""
    if "$one_of" not in node:
        return [(text_in(node["type"]), node)]
    return [(str(label_of(written)), object_in(written)) for written in alternatives_of(node)]


def part_text(part: JsonObject) -> str:
    """Type and fields of a node, an alternative or a block: `mlp  depth={1..4}  mlp={plain, dwconv}`."""
    return "  ".join([text_in(part["type"]), *_fields(part)])


def domain_text(variable: Variable) -> str:
    """What a variable may be: `16, 24, 32`, `1..6`, `0.3 to 0.9`."""
    values = variable.numbers
    if not variable.values:
        return f"{variable.low:g} to {variable.high:g}{' by ratio' if variable.log else ''}"
    if len(values) == len(variable.values) > 2 and all(isinstance(value, int) for value in values):
        steps = {int(after - before) for before, after in pairwise(values)}
        if steps == {1}:
            return f"{values[0]}..{values[-1]}"
        if len(steps) == 1 and len(values) > 6:
            return f"{values[0]}..{values[-1]} in steps of {steps.pop()}"
    return ", ".join(_plain(value) for value in variable.values)


def _fields(part: JsonObject) -> Iterator[str]:
    for key, value in part.items():
        if key not in _APART and not key.startswith("$"):
            yield f"{key}={value_text(value)}"
    if "blocks" in part:
        yield f"blocks=[{_blocks_text(list_in(part['blocks']))}]"


def _blocks_text(blocks: list[Json]) -> str:
    """The blocks one by one; where spans are among them, how many may stand at a position, which the variables list."""
    if not has_spans(blocks):
        return "; ".join(value_text(block) for block in blocks)
    counts = sorted(len(block_alternatives(item)) or 1 for item in blocks)
    spans = sorted({span_of(each) for item in blocks for each in block_alternatives(item)} - {1})
    lengths = f"{spans[0]} to {spans[-1]}" if len(spans) > 1 else f"{spans[0]}"
    most = f" to {counts[-1]}" if counts[-1] > counts[0] else ""
    return f"{len(blocks)} positions, one of {counts[0]}{most} at each, spans of {lengths}"


def value_text(value: Json) -> str:
    """A value of a field: a hole by what it may be, a sub-object by its type and its fields."""
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    if not isinstance(value, dict):
        return _plain(value)
    if "$expr" in value:
        return f"({value['$expr']})"
    if "$same" in value:
        return f"({value['$same']})"
    if "$repeat" in value:
        return f"{value_text(value['$times'])} x {value_text(value['$repeat'])}"
    if any(key in value for key in CHOICES):
        name = value.get("$name")
        return f"{{{_choices(value)}}}" + (f" ({name})" if name is not None else "")
    if "type" not in value:
        return json.dumps(value, ensure_ascii=False)
    inner = [f"{key}={value_text(field)}" for key, field in value.items() if key != "type" and not key.startswith("$")]
    return f"{value['type']}({', '.join(inner)})" if inner else str(value["type"])


def _choices(hole: JsonObject) -> str:
    if "$one_of" in hole:
        return ", ".join(
            str(label_of(item)) if isinstance(item, dict) and "$label" in item else value_text(item)
            for item in alternatives_of(hole)
        )
    low, high, is_whole, step, log = range_of(hole)
    ends = f"{low:g}..{high:g}"
    if log:
        return f"{ends} by ratio"
    return ends if step is None or (is_whole and step == 1) else f"{ends} in steps of {step:g}"


def _plain(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)
