"""Blocks with another mixer in the place of one's own: those of the six papers, in the sizes that a map asks for."""

from __future__ import annotations

import math
from collections.abc import Iterator

from archdsl.families.common.block import Block
from archdsl.json_types import Json, JsonObject
from archdsl.shape import Map

_HEAD_WIDTH = 32
"""Channels a head of all six papers, where the block that is exchanged has no heads that fit."""
_MOST_POSITIONS = 1024
"""Of a map over the whole of which attention is offered: its scores grow with their square."""
_MOST_CELLS = 64
"""Of the map that low heads attend to, or of keys that are sampled: 7 x 7 in the papers at 224 pixels."""
_OFFSET_KERNELS = {1: 3, 2: 5, 4: 7, 8: 9, 16: 9}
"""Of the convolution in the offset network, by the distance between keys."""
_WINDOWS = (7, 8, 6, 5, 4)
"""Sides of attention windows, the papers' own first."""
_LARGEST_KERNEL = 11
_COMMON = ("norm", "mlp", "layer_scale", "local_perception")


def mixers(x: Map, own: Block, place: int) -> Iterator[tuple[str, JsonObject]]:
    """The documents of blocks as `own` is but for the mixer, each with a label; some may equal `own`.

    `place` counts the blocks of the stage: windows are shifted in every second one.
    """
    documents = _of_two_paths(own, x) if "semantics" in own.reads else [*_of_maps(x, own, place), *_variants(x, own)]
    common = {name: value for name, value in own.model_dump(mode="json").items() if name in _COMMON}
    for label, written in documents:
        yield label, {**common, **written}


def with_field(block: Block, name: str, value: Json) -> JsonObject:
    """The document of a block with one field set otherwise."""
    document: JsonObject = block.model_dump(mode="json")
    return {**document, name: value}


def narrowed(block: Block, share: int) -> JsonObject | None:
    """The document of a block with a part of its MLP's ratio, None where that is below 1."""
    ratio = block.mlp.ratio / share
    mlp: JsonObject = {**block.mlp.model_dump(mode="json"), "ratio": ratio}
    return with_field(block, "mlp", mlp) if ratio >= 1 else None


def _of_maps(x: Map, own: Block, place: int) -> Iterator[tuple[str, JsonObject]]:
    """One of each mixer of a map alone."""
    heads, side = _heads(x, own), min(x.height, x.width)
    if x.positions <= _MOST_POSITIONS:
        yield "attention", {"type": "attention", "heads": heads}
    cell = _cell(x)
    yield "hilo", {"type": "hilo", "heads": heads, "window": cell}
    window = _window(x)
    shifted = "shifted_window" if place % 2 and window < max(x.height, x.width) else "window"
    yield shifted, {"type": shifted, "heads": heads, "window": window}
    if side >= 3:
        yield "neighborhood", {"type": "neighborhood", "heads": heads, "window": _odd(min(7, side))}
    sampled: JsonObject = {"heads": heads, "groups": _groups(heads), "kernel": _OFFSET_KERNELS[cell], "stride": cell}
    yield "deformable", {"type": "deformable", **sampled}
    yield "deformable_plus", {"type": "deformable_plus", **sampled}
    kernel = _odd(min(_LARGEST_KERNEL, side))
    yield "fcvit_conv", {"type": "fcvit_conv", "heads": heads, "kernels": [kernel, kernel]}


def _variants(x: Map, own: Block) -> Iterator[tuple[str, JsonObject]]:
    """The block's own mixer with other numbers: fewer low heads, larger cells to average, smaller windows."""
    document: JsonObject = own.model_dump(mode="json")
    window = document.get("window")
    if "alpha" in document:
        yield "alpha_0.5", {**document, "alpha": 0.5}
    if not isinstance(window, int):
        return
    if "alpha" in document and 1 < window <= min(x.height, x.width) // 2:
        yield f"window_{2 * window}", {**document, "window": 2 * window}
    if "alpha" not in document and window > 5:
        yield "window_5", {**document, "window": 5}


def _of_two_paths(own: Block, x: Map) -> Iterator[tuple[str, JsonObject]]:
    """Both blocks of Dual-ViT, with the semantic MLP of the block that is exchanged."""
    document: JsonObject = own.model_dump(mode="json")
    same = {name: document[name] for name in ("semantic_ratio",) if name in document}
    for name in ("dual_path", "joint_path"):
        yield name, {"type": name, "heads": _heads(x, own), **same}


def _heads(x: Map, own: Block) -> int:
    """Those of the block where they divide the width, else as many as give heads of the papers' width."""
    written = own.model_dump(mode="json").get("heads")
    if isinstance(written, int) and x.channels % written == 0:
        return written
    divisors = [number for number in range(1, min(x.channels, 256) + 1) if x.channels % number == 0]
    return min(divisors, key=lambda number: abs(x.channels / number - _HEAD_WIDTH))


def _groups(heads: int) -> int:
    """Groups of four heads, as DAT has them, or of more where that does not divide."""
    return max(number for number in range(1, max(heads // 4, 1) + 1) if heads % number == 0)


def _cell(x: Map) -> int:
    """The least side of cells of which a map has so many at most."""
    fitting = (
        cell for cell in _OFFSET_KERNELS if math.ceil(x.height / cell) * math.ceil(x.width / cell) <= _MOST_CELLS
    )
    return next(fitting, max(_OFFSET_KERNELS))


def _window(x: Map) -> int:
    """A window that divides the map, else one of the papers' side, or as large as a map that is smaller."""
    dividing = (side for side in _WINDOWS if x.height % side == 0 and x.width % side == 0)
    return next(dividing, min(_WINDOWS[0], x.height, x.width))


def _odd(number: int) -> int:
    return number - 1 + number % 2
