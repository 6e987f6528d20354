"""Equal networks: the canonical form of a backbone, and its hash.

The form says what is built and nothing else: names, paper and weights are dropped, sources are counted, alpha becomes
a head count, a sequence of one block becomes a stage. Fields that only a dense-prediction build reads stay, since they
are part of what the document describes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from archdsl.families.common.base import Join, Part
from archdsl.families.common.block import Block
from archdsl.families.common.stage import Stage
from archdsl.json_types import Json, JsonObject, objects_in
from archdsl.language.document import Spec
from archdsl.language.nodes import BlockStage, Node

_HEADER = ("image", "channels", "classes", "drop_path", "init")


def canonical(spec: Spec) -> JsonObject:
    """What a backbone builds, as JSON values; equal for equal networks."""
    document: JsonObject = spec.model_dump(mode="json", by_alias=True)
    places = {node.id: index for index, node in enumerate(spec.nodes)}
    nodes: list[Json] = [
        _node(written, index, places, spec.nodes) for index, written in enumerate(objects_in(document["nodes"]))
    ]
    header = {key: _numbers(document[key]) for key in _HEADER}
    if spec.features is not None:
        header["features"] = [*sorted(places[name] for name in spec.features)]
    return {**header, "image": [*spec.image_size], "nodes": nodes}


def canonical_hash(spec: Spec) -> str:
    """16 hexadecimal digits of a canonical form; equal networks have equal ones."""
    return spec.once("canonical hash", lambda: _hash(spec))


def _hash(spec: Spec) -> str:
    text = json.dumps(canonical(spec), sort_keys=True, default=float)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _node(written: JsonObject, index: int, places: dict[str, int], nodes: Sequence[Node]) -> JsonObject:
    node = nodes[index]
    fields = {key: value for key, value in written.items() if key not in ("id", "from")}
    ports = _ports_read(node, node.sources or (), places, nodes)
    if node.sources is not None and ports != _ports_read(node, (nodes[index - 1].id,), places, nodes):
        fields["from"] = list(ports)
    if "blocks" not in fields:
        return _block(fields, node.block if isinstance(node, BlockStage) else node)
    assert isinstance(node, Stage)
    parts = [part for _, part in node.parts()]
    blocks = objects_in(fields.pop("blocks"))
    distinct = [_block(block, part) for block, part in zip(blocks, parts, strict=True)]
    in_order: list[Json] = [distinct[place % len(distinct)] for place in range(node.depth)]
    if all(block == distinct[0] for block in in_order):
        return {**_stage_defaults(parts[0]), **fields, **distinct[0]}
    return {**fields, "blocks": in_order}


def _stage_defaults(block: Block) -> JsonObject:
    """The stage fields that a block's type has beside those of every stage."""
    return {name: field.default for name, field in block.stage.model_fields.items() if not field.is_required()}


def _ports_read(node: Node, sources: Sequence[str], places: dict[str, int], nodes: Sequence[Node]) -> list[str]:
    """Everything that a node reads, each with its port unless it is the map, however few sources are written for it."""
    ports = ("pixels",) * len(sources) if isinstance(node, Join) else node.reads
    repeated = sources if len(sources) == len(ports) else [*sources] * len(ports)
    read = []
    for source, port in zip(repeated, ports, strict=False):
        name, _, written = source.partition(".")
        serves = port in nodes[places[name]].gives and written in ("", port)
        if serves or port not in node.optional or len(sources) > 1:
            port_read = written or port
            read.append(f"{places[name]}" + (f".{port_read}" if port_read != "pixels" else ""))
    return read


def _block(fields: JsonObject, part: Part) -> JsonObject:
    """A block's fields, those that describe one network in several ways by what they come to."""
    return {key: _numbers(value) for key, value in {**fields, **part.effective()}.items()}


def canonical_block(block: Block) -> JsonObject:
    """The form of one block of a stage; equal for blocks that build the same."""
    return _block(block.model_dump(mode="json"), block)


def _numbers(value: Json) -> Json:
    """1 and 1.0 are one number."""
    if isinstance(value, dict):
        return {key: _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
