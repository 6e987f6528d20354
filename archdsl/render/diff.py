"""How two backbones differ: the changed nodes field by field, then what both cost and how long they take."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator

from rich.console import Console, Group, RenderableType
from rich.text import Text

from archdsl.cost import BYTES, NodeCount
from archdsl.inspecting.diff import FieldChange, NodeChange, SpecDiff
from archdsl.json_types import Json
from archdsl.latency.result import Comparison
from archdsl.numbers import bytes_text, macs_text, params_text
from archdsl.render.bench import bench_table
from archdsl.render.columns import Column, Sheet

_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
ABSENT = "none"


def diff_page(diff: SpecDiff, measured: Comparison | None = None) -> RenderableType:
    """The differences, a table of the costs, and the latencies side by side where they were measured."""
    parts: list[RenderableType] = [*diff_lines(diff), Text(""), totals_sheet(diff)]
    if measured is not None:
        parts += [Text(""), bench_table(measured)]
    return Group(*parts)


def diff_text(diff: SpecDiff, width: int = 100) -> str:
    """The page as plain text, `width` columns wide."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(diff_page(diff), soft_wrap=True)
    return captured.get().rstrip()


def diff_lines(diff: SpecDiff, costs: bool = True) -> Iterator[Text]:
    """How many nodes differ, and each of them with its fields, and with what it costs."""
    yield Text(_summary(diff))
    yield from _header(diff.header)
    for node in diff.nodes:
        yield from _node(node, costs)


def _summary(diff: SpecDiff) -> str:
    """`litv2_s -> mine: 1 node added, 2 changed, 6 equal`"""
    names = f"{diff.before.name} -> {diff.after.name}"
    if diff.is_empty:
        return f"{names}: the same network"
    states = ("added", "removed", "changed")
    numbers = {state: sum(node.state == state for node in diff.nodes) for state in states}
    equal = len(diff.after_count.nodes) - numbers["added"] - numbers["changed"]
    counted = [f"{number} {state}" for state, number in [*numbers.items(), ("equal", equal)] if number]
    return f"{names}: nodes: {', '.join(counted)}"


def _header(changes: Iterable[FieldChange]) -> Iterator[Text]:
    for change in changes:
        if change.path != "name":
            yield Text(f"~ {_change(change)}", style="yellow")


def _node(node: NodeChange, costs: bool) -> Iterator[Text]:
    mark, style = _MARKS[node.state]
    counted = node.after or node.before
    assert counted is not None
    if node.before is None or node.after is None:
        cost = f"{params_text(counted.params)} params, {macs_text(counted.macs)} MACs"
        yield Text(f"{mark} {node.id}  {counted.type}: gives {counted.shape}, {cost}", style=style)
        return
    yield Text(f"{mark} {node.id}  {counted.type}", style=style)
    for change in _shown(node):
        yield Text(f"    {_change(change)}")
    for name, old, new in _costs(node.before, node.after):
        if costs and old != new:
            yield Text(f"    {name}: {old} -> {new}", style="dim")


def _shown(node: NodeChange) -> Iterator[FieldChange]:
    """The changes; of a node or block of another type only the fields that both types have, and the types of blocks."""
    by_path = {change.path: change for change in node.fields}
    if "type" not in by_path:
        others = tuple(path.removesuffix("type") for path in by_path if re.fullmatch(r"blocks\[\d+\]\.type", path))
        for path, change in by_path.items():
            is_of_other = path.startswith(others) and not path.endswith("].type")
            if not (is_of_other and None in (change.before, change.after)):
                yield change
        return
    yield by_path["type"]
    blocks = [change for path, change in by_path.items() if re.fullmatch(r"blocks\[\d+\]\.type", path)]
    if blocks:
        yield FieldChange("blocks", _listed(block.before for block in blocks), _listed(block.after for block in blocks))
    for path, change in by_path.items():
        if path != "type" and None not in (change.before, change.after) and not path.startswith("blocks["):
            yield change


def _listed(types: Iterable[Json]) -> str | None:
    return ", ".join(str(name) for name in types if name is not None) or None


def _costs(before: NodeCount, after: NodeCount) -> Iterator[tuple[str, str, str]]:
    yield "gives", before.shape, after.shape
    yield "params", params_text(before.params), params_text(after.params)
    yield "MACs", macs_text(before.macs), macs_text(after.macs)
    size = BYTES["float32"]
    yield "activations", bytes_text(before.activations * size), bytes_text(after.activations * size)


def _change(change: FieldChange) -> str:
    return f"{change.path}: {_value(change.before)} -> {_value(change.after)}"


def _value(value: Json) -> str:
    if value is None:
        return ABSENT
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def totals_sheet(diff: SpecDiff) -> RenderableType:
    """Params, MACs and memory of both."""
    old, new = diff.before_count, diff.after_count
    rows = [
        ("params", old.params, new.params, params_text),
        ("MACs", old.macs, new.macs, macs_text),
        ("memory", old.memory_bytes(), new.memory_bytes(), bytes_text),
    ]
    columns = [
        Column("", [Text(name) for name, *_ in rows]),
        Column("before", [Text(text(left)) for _, left, _, text in rows], right=True),
        Column("after", [Text(text(right)) for _, _, right, text in rows], right=True),
        Column("change", [Text(_ratio(left, right)) for _, left, right, _ in rows], right=True),
    ]
    notes = ["MACs for one image; activations and memory (weights and peak activations) in float32 at batch 1."]
    return Sheet(columns, notes)


def _ratio(before: int, after: int) -> str:
    return "0.0 %" if before == after else f"{100 * (after / before - 1):+.1f} %" if before else "-"
