"""The parts that a network's time is made of: every block, what a stage does beside its blocks, every other node.

A part is known by what decides its time: its own fields in their canonical form, the shapes that it reads, the ports
that are read of it. Ids, and where in a network it stands, are no part of that. No torch, and no type by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from archdsl.families.common.stage import Stage
from archdsl.graphs import Step, plan
from archdsl.json_types import Json, JsonObject, objects_in
from archdsl.language.canonical import canonical
from archdsl.language.document import Spec
from archdsl.shape import Shape

_ENTRY = ("position_embedding", "out_norm")
"""Fields of a stage that act at its ends, not in its blocks."""


class Part(NamedTuple):
    """One part of a network; `block` counts within a stage and is None for the node itself, its blocks left out."""

    node: str
    block: int | None
    key: str
    """Equal for parts that take equal time, as JSON text."""

    @property
    def facts(self) -> JsonObject:
        """What the key says."""
        facts: JsonObject = json.loads(self.key)
        return facts


def parts(spec: Spec, whole: frozenset[str] = frozenset()) -> tuple[Part, ...]:
    """The parts of a network, in order; stages of a type in `whole` are one part each, with all their blocks."""
    written = objects_in(canonical(spec)["nodes"])
    return tuple(
        part
        for step, fields in zip(plan(spec), written, strict=True)
        for part in _parts_of(step, fields, spec.classes, whole)
    )


def _parts_of(step: Step, fields: JsonObject, classes: int, whole: frozenset[str]) -> Iterator[Part]:
    node, name = step.node, step.node.id
    around: JsonObject = {"reads": [_sides(shape) for shape in step.inputs], "read": [*sorted(step.read)]}
    written = {name: value for name, value in fields.items() if name != "from"}
    if not isinstance(node, Stage):
        head: JsonObject = {"classes": classes} if node.kind == "head" else {}
        yield Part(name, None, _key({"part": written, **around, **head}))
        return
    # features are not handed out here
    written["out_norm"] = "always" if written.get("out_norm") == "always" else "never"
    if node.type in whole:
        yield Part(name, None, _key({"part": written, **around}))
        return
    blocks, stage = _split(node, written)
    inside = {name: value for name, value in stage.items() if name not in _ENTRY}
    keys = {id(block): _key({"part": block, "stage": inside, **around}) for block in blocks}
    for index, block in enumerate(blocks):
        yield Part(name, index, keys[id(block)])
    yield Part(name, None, _key({"ends": stage, **around}))


def _split(node: Stage, fields: JsonObject) -> tuple[list[JsonObject], JsonObject]:
    """The fields of each of a stage's blocks, and those of the stage itself."""
    rest = {name: value for name, value in fields.items() if name != "depth"}
    if "blocks" in rest:
        blocks = objects_in(rest.pop("blocks"))
        return blocks, {name: value for name, value in rest.items() if name != "type"}
    names = type(next(node.blocks_in_order())).model_fields
    block = {name: rest.pop(name) for name in [*rest] if name in names}
    return [block] * node.depth, rest


def _sides(shape: Shape) -> list[Json]:
    """A map's (C, H, W) or tokens' (C, M): what an image position stands for takes no time."""
    return [int(side) for side in shape[:3]]


def _key(facts: JsonObject) -> str:
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), default=float)
