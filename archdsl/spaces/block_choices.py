"""The space around a network whose blocks are chosen one by one, at the width and stride that each stage has.

At each position of a stage stands the network's own block, beside it the same block with another mixer or MLP, and
spans: one block in the place of a run of two to six. Every point reads and gives the shapes that the network does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import ValidationError

from archdsl.errors import ShapeError
from archdsl.families.common.base import Part
from archdsl.families.common.block import Block
from archdsl.json_types import Json, JsonObject, objects_in
from archdsl.language.block_lists import as_sequence, block_document, is_listable, unlisted_fields
from archdsl.language.canonical import canonical_block
from archdsl.language.document import Spec
from archdsl.language.plan import Step
from archdsl.language.searchable_models import LONGEST_SPAN, SPAN
from archdsl.shape import Map
from archdsl.spaces.merges import merge_choices
from archdsl.spaces.mixers import mixers, narrowed, with_field

OWN = "own"
"""The label of what the network has."""
_LONGEST_NAME = 57
_LEFT_OUT = ("kind", "version", "name", "paper", "nodes", "$schema")


class BlockChoices(NamedTuple):
    """The document of a space of block choices."""

    document: JsonObject
    kept: dict[str, list[str]]
    """The stages that stay as they are, by id, with the fields that no sequence has."""


class _Labelled(NamedTuple):
    """A block with the label of the choice that takes it."""

    label: str
    block: Block


def block_choices(spec: Spec) -> BlockChoices:
    """The space of block choices around a network, which is a point of it: `own` everywhere.

    A stage stays as it is where a sequence cannot say what it is, as with a class token.
    """
    document: JsonObject = spec.to_json()
    steps = {step.node.id: step for step in spec.plan()}
    nodes, kept = list[Json](), dict[str, list[str]]()
    for node in objects_in(document["nodes"]):
        step = steps[str(node["id"])]
        if step.node.kind == "stage" and not is_listable(step.node):
            kept[step.node.id] = unlisted_fields(step.node)
        nodes.append(_varied(node, step) or node)
    header: JsonObject = {
        "kind": "space",
        "version": document["version"],
        "name": f"{spec.name[:_LONGEST_NAME]}-blocks",
    }
    rest = {key: value for key, value in document.items() if key not in _LEFT_OUT}
    written: JsonObject = {**header, **rest, "nodes": nodes, "objectives": ["max proxy_accuracy", "min latency"]}
    return BlockChoices(written, kept)


def _varied(node: JsonObject, step: Step) -> JsonObject | None:
    """A node with choices; None for one that has none."""
    if step.node.kind == "merge":
        return merge_choices(node, step, OWN)
    stage = step.node
    if not is_listable(stage):
        return None
    x = step.inputs[0]
    assert isinstance(x, Map)
    own = [*stage.blocks_in_order()]
    return as_sequence(node, [{"$one_of": [*_alternatives(x, own, place)]} for place in range(len(own))])


def _alternatives(x: Map, own: list[Block], place: int) -> Iterator[JsonObject]:
    """What stands at one position: the network's own block first, other single blocks, spans by length."""
    singles = [_Labelled(OWN, own[place]), *_singles(x, own[place], place)]
    for label, block in _distinct(x, singles, own[place : place + 1]):
        yield {"$label": label, **block_document(block)}
    for span in range(2, min(LONGEST_SPAN, len(own) - place) + 1):
        for label, block in _distinct(x, _of_runs(own[place]), own[place : place + span]):
            yield {"$label": f"span{span}_{label}", SPAN: span, **block_document(block)}


def _singles(x: Map, own: Block, place: int) -> Iterator[_Labelled]:
    """The block with another mixer, without one, with another MLP, and with other numbers of its own."""
    for label, written in mixers(x, own, place):
        yield from _labelled(label, written)
    yield from _labelled("none", _without_mixer(own))
    other = "plain" if own.mlp.type != "plain" else "dwconv"
    yield from _labelled(other, with_field(own, "mlp", {"type": other, "ratio": own.mlp.ratio}))
    for share in (2, 4):
        yield from _labelled(f"ratio_{own.mlp.ratio / share:g}", narrowed(own, share))


def _of_runs(own: Block) -> Iterator[_Labelled]:
    """What may stand for a run that begins with a block: from what is nearest to it to what is cheapest."""
    bare = next(iter(_labelled("none", _without_mixer(own))), None)
    narrowest = narrowed(own, 4) or narrowed(own, 2)
    yield _Labelled(OWN, own)
    yield from _labelled("narrow", narrowest)
    if bare is not None:
        yield bare
        yield from _labelled("none_narrow", narrowed(bare.block, 2))
        depthwise: JsonObject = {"type": "dwconv", "ratio": max(own.mlp.ratio / 2, 1)}
        yield from _labelled("depthwise", with_field(bare.block, "mlp", depthwise))


def _without_mixer(own: Block) -> JsonObject | None:
    """The block as an MLP alone; None for one of two pathways, of which both must go on."""
    if own.reads != ("pixels",):
        return None
    names = [name for name in Block.model_fields if name in type(own).model_fields]
    return {"type": "mlp", **{name: value for name, value in own.model_dump(mode="json").items() if name in names}}


def _labelled(label: str, written: JsonObject | None) -> Iterator[_Labelled]:
    """The block of a document, where it is one."""
    if written is None:
        return
    try:
        block = Part.kinds["block"][str(written["type"])].model_validate(written)
    except ValidationError:  # a field outside its bounds, as of a ratio that was the least
        return
    assert isinstance(block, Block)
    yield _Labelled(label, block)


def _distinct(x: Map, blocks: Iterable[_Labelled], covered: list[Block]) -> Iterator[_Labelled]:
    """Those that fit the map and read what the covered blocks do, each network once, and each label."""
    reads = {port for block in covered for port in block.reads}
    seen, labels = list[JsonObject](), set[str]()
    for label, block in blocks:
        form = canonical_block(block)
        if form in seen or label in labels or set(block.reads) != reads or not _fits(x, block):
            continue
        seen.append(form)
        labels.add(label)
        yield _Labelled(label, block)


def _fits(x: Map, block: Block) -> bool:
    try:
        block.out(x)
    except ShapeError:
        return False
    return True
