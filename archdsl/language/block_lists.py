"""Stages written block by block: every stage as a `sequence` that names each of its blocks, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeGuard

from archdsl.families.common.block import Block
from archdsl.families.common.fields import type_name
from archdsl.families.common.sequence import Sequence
from archdsl.families.common.stage import Stage
from archdsl.json_types import Json, JsonObject
from archdsl.language.nodes import BlockStage, Node

SEQUENCE = type_name(Sequence)
_OF_STAGES = [name for name in Stage.model_fields if name != "depth"]


def is_listable(node: Node) -> TypeGuard[Stage]:
    """Whether a node is a stage that a sequence of its blocks says as well."""
    return isinstance(node, Stage) and not unlisted_fields(node)


def unlisted_fields(node: Node) -> list[str]:
    """What a stage has that no sequence can have, by field: a class token."""
    own = set(node.block.stage.model_fields) - set(Stage.model_fields) if isinstance(node, BlockStage) else set[str]()
    return sorted(name for name in own if getattr(node, name) != type(node).model_fields[name].default)


def as_sequence(node: JsonObject, blocks: Iterable[Json]) -> JsonObject:
    """A stage's document as a sequence of these blocks; `depth` is left to whoever knows how many they become."""
    kept = {name: node[name] for name in ("id", "from", *_OF_STAGES) if name in node}
    return {"id": node.get("id"), "type": SEQUENCE, **kept, "blocks": [*blocks]}


def as_stage(node: JsonObject, blocks: list[JsonObject]) -> JsonObject:
    """A stage's document with these blocks, whatever it had: a stage of one type where all are equal."""
    listed = as_sequence(node, blocks)
    if any(block != blocks[0] for block in blocks):
        return {**listed, "depth": len(blocks)}
    kept: Mapping[str, Json] = {key: value for key, value in listed.items() if key not in ("type", "blocks")}
    return {**kept, "type": blocks[0]["type"], "depth": len(blocks), **blocks[0]}


def block_documents(stage: Stage, is_short: bool = True) -> list[JsonObject]:
    """The documents of a stage's blocks, first to last; without what equals its default where `is_short`."""
    return [block_document(block, is_short) for block in stage.blocks_in_order()]


def block_document(block: Block, is_short: bool = True) -> JsonObject:
    """The document of a block, without what equals its default where `is_short`."""
    document: JsonObject = block.model_dump(mode="json", exclude_defaults=is_short)
    return document
