"""Equal networks: the canonical form of a backbone, and its hash.

The form says what is built and nothing else: names, paper and weights are dropped, sources are counted, alpha becomes
a head count, a sequence of one block becomes a stage. Fields that only a dense-prediction build reads stay, since they
are part of what the document describes.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from archdsl.families.common.base import Join
from archdsl.families.common.stage import Block
from archdsl.language.document import Spec

_HEADER = ("image", "channels", "classes", "drop_path", "init")


def canonical(spec: Spec) -> dict[str, Any]:
    """What a backbone builds, as JSON values; equal for equal networks."""
    document = spec.model_dump(mode="json", by_alias=True)
    places = {node["id"]: index for index, node in enumerate(document["nodes"])}
    nodes = [
        _node(written, node, index, places, spec.nodes)
        for index, (written, node) in enumerate(zip(document["nodes"], spec.nodes, strict=True))
    ]
    header = {key: _numbers(document[key]) for key in _HEADER}
    if spec.features is not None:
        header["features"] = sorted(places[name] for name in spec.features)
    return {**header, "image": list(spec.image_size), "nodes": nodes}


def canonical_hash(spec: Spec) -> str:
    """16 hexadecimal digits of a canonical form; equal networks have equal ones."""
    text = json.dumps(canonical(spec), sort_keys=True, default=float)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _node(
    written: dict[str, Any], node: Any, index: int, places: dict[str, int], nodes: tuple[Any, ...]
) -> dict[str, Any]:
    fields = {key: value for key, value in written.items() if key not in ("id", "from")}
    counted = _ports_read(node, node.sources or (), places, nodes)
    if node.sources is not None and counted != _ports_read(node, (nodes[index - 1].id,), places, nodes):
        fields["from"] = counted
    blocks = fields.pop("blocks", None)
    if blocks is None:
        return _block(fields, getattr(node, "block", node))
    parts = [part for _, part in node.parts()]
    each = [_block(block, part) for block, part in zip(blocks, parts, strict=True)]
    each = [each[index % len(each)] for index in range(fields["depth"])]
    if all(block == each[0] for block in each):
        return {**_stage_defaults(parts[0]), **fields, **each[0]}
    return {**fields, "blocks": each}


def _stage_defaults(block: Block) -> dict[str, Any]:
    """The stage fields that a block's type has beside those of every stage."""
    return {name: field.default for name, field in block.stage.model_fields.items() if not field.is_required()}


def _ports_read(node: Any, sources: tuple[str, ...], places: dict[str, int], nodes: tuple[Any, ...]) -> list[str]:
    """Everything that a node reads, each with its port unless it is the map, however few sources are written for it."""
    wanted = ("pixels",) * len(sources) if isinstance(node, Join) else node.reads
    several = sources if len(sources) == len(wanted) else sources * len(wanted)
    read = []
    for source, port in zip(several, wanted, strict=False):
        name, _, written = source.partition(".")
        serves = port in nodes[places[name]].gives and written in ("", port)
        if serves or port not in node.optional or len(sources) > 1:
            found = written or port
            read.append(f"{places[name]}" + (f".{found}" if found != "pixels" else ""))
    return read


def _block(fields: dict[str, Any], part: Any) -> dict[str, Any]:
    """A block's fields, those that describe one network in several ways by what they come to."""
    return dict(_numbers({**fields, **part.effective()}))


def _numbers(value: Any) -> Any:
    """1 and 1.0 are one number."""
    if isinstance(value, dict):
        return {key: _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
