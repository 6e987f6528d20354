"""How one backbone differs from another: nodes, fields, and what they cost; without torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from archdsl.cost import Count, NodeCount, count
from archdsl.families.common.fields import type_name
from archdsl.families.common.stage import Stage
from archdsl.json_types import Json, JsonObject
from archdsl.language.arguments import check_spec
from archdsl.language.block_lists import as_sequence, block_documents, is_listable
from archdsl.language.document import Spec

NodeState = Literal["added", "removed", "changed"]

_ABOUT = {"schema_", "kind", "version", "paper"}
"""Fields of a document that say nothing of the network."""


class FieldChange(NamedTuple):
    """A field with different values; None stands for a field that one of the two does not have."""

    path: str
    before: Json
    after: Json


class NodeChange(NamedTuple):
    """A node that only one of the two has, or that is not the same in both.

    A node is `changed` if its fields or what it reads differ, or if it gives another shape or costs something else.
    """

    id: str
    state: NodeState
    before: NodeCount | None
    after: NodeCount | None
    fields: tuple[FieldChange, ...] = ()


class SpecDiff(NamedTuple):
    """How `after` differs from `before`; nodes stand in the order of `after`, removed ones where they stood."""

    before: Spec
    after: Spec
    header: tuple[FieldChange, ...]
    nodes: tuple[NodeChange, ...]
    before_count: Count
    after_count: Count

    @property
    def is_empty(self) -> bool:
        """Whether both describe the same network, their names aside."""
        return not self.nodes and all(change.path == "name" for change in self.header)

    def of_state(self, state: NodeState) -> tuple[NodeChange, ...]:
        """The nodes that were added, removed or changed."""
        return tuple(node for node in self.nodes if node.state == state)

    def as_json(self) -> JsonObject:
        """The facts for programs; memory in bytes, in float32 at batch 1."""
        return {
            "before": {"name": self.before.name, **_totals(self.before_count)},
            "after": {"name": self.after.name, **_totals(self.after_count)},
            "header": [change._asdict() for change in self.header],
            "nodes": [_node_json(node) for node in self.nodes],
        }


def diff(before: Spec, after: Spec) -> SpecDiff:
    """What was added, removed and changed between two backbones, field by field, and their costs.

    Nodes are matched by their ids; a sequence and a stage of one of its types are compared block by block. Defaults are
    filled in, so that a field that is written out with its default is no difference. What a node reads is the field
    `from`, also where it follows from the order of the nodes.

    Raises:
        TypeError: one of the two is no `Spec`.
    """
    for spec in (before, after):
        check_spec("diff", spec)
    counts = count(before), count(after)
    return SpecDiff(
        before, after, tuple(_changes(_header(before), _header(after))), tuple(_nodes(before, after, *counts)), *counts
    )


def _header(spec: Spec) -> JsonObject:
    fields: JsonObject = spec.model_dump(mode="json", by_alias=True, exclude={"nodes", *_ABOUT})
    return fields


def _nodes(before: Spec, after: Spec, before_count: Count, after_count: Count) -> Iterator[NodeChange]:
    """Changes in the order of the second backbone; a removed node comes where its successor is met."""
    old_costs, new_costs = ({node.id: node for node in counted.nodes} for counted in (before_count, after_count))
    old_fields, new_fields = _fields(before), _fields(after)
    for name in old_fields.keys() & new_fields.keys():
        old, new = before.node(name), after.node(name)
        if is_listable(old) and is_listable(new) and _compares_by_block(old, new, old_fields[name], new_fields[name]):
            old_fields[name], new_fields[name] = _by_block(old, old_fields[name]), _by_block(new, new_fields[name])
    waiting = list(old_fields)
    for name in new_fields:
        if name in waiting:
            while (gone := waiting.pop(0)) != name:
                if gone not in new_fields:
                    yield NodeChange(gone, "removed", old_costs[gone], None)
        if name not in old_fields:
            yield NodeChange(name, "added", None, new_costs[name])
            continue
        changes = tuple(_changes(old_fields[name], new_fields[name]))
        if changes or old_costs[name] != new_costs[name]:
            yield NodeChange(name, "changed", old_costs[name], new_costs[name], changes)
    for gone in waiting:
        if gone not in new_fields:
            yield NodeChange(gone, "removed", old_costs[gone], None)


def _fields(spec: Spec) -> dict[str, JsonObject]:
    """The fields of each node, with what it reads."""
    steps = spec.plan()
    fields = {}
    for step in steps:
        reads = [f"{steps[link.source].node.id}.{link.port}" for link in step.links]
        values: JsonObject = step.node.model_dump(mode="json", exclude={"id", "from_"})
        fields[step.node.id] = {**values, "from": ", ".join(name.removesuffix(".pixels") for name in reads) or None}
    return fields


def _compares_by_block(old: Stage, new: Stage, before: JsonObject, after: JsonObject) -> bool:
    """Whether a type of block is in both stages, which do not list equally many blocks: one repeats what it lists."""
    listed = [len(blocks) if isinstance(blocks := fields.get("blocks"), list) else 0 for fields in (before, after)]
    if listed[0] == listed[1]:
        return False
    types: list[set[str]] = [{type_name(type(block)) for _, block in stage.parts()} for stage in (old, new)]
    return not types[0].isdisjoint(types[1])


def _by_block(stage: Stage, fields: JsonObject) -> JsonObject:
    """The fields of a stage as a sequence has them, which names each of its blocks."""
    listed = as_sequence(fields, block_documents(stage, is_short=False))
    return {**listed, "depth": stage.depth, "from": fields["from"]}


def _changes(before: JsonObject, after: JsonObject) -> Iterator[FieldChange]:
    old, new = dict(_leaves(before)), dict(_leaves(after))
    for path in [*old, *(path for path in new if path not in old)]:
        left, right = old.get(path), new.get(path)
        if (type(left), left) != (type(right), right):  # true and 1 are equal for Python
            yield FieldChange(path, left, right)


def _leaves(value: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """The values inside of objects and lists, by their paths: `mlp.ratio`, `blocks[1].heads`."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def _totals(counted: Count) -> JsonObject:
    return {"params": counted.params, "macs": counted.macs, "memory_bytes": counted.memory_bytes()}


def _node_json(node: NodeChange) -> JsonObject:
    return {
        "id": node.id,
        "state": node.state,
        "before": node.before and node.before._asdict(),
        "after": node.after and node.after._asdict(),
        "fields": [change._asdict() for change in node.fields],
    }
