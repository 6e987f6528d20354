"""A small network, and a checkpoint for it under the names that the authors' code writes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from archdsl.compile import Backbone, build
from archdsl.load.specs import spec_of
from archdsl.weights import published_names

State = dict[str, Tensor]


def model(**header: Any) -> Backbone:
    """A small LIT-like network, by default under the published names of LITv2."""
    nodes = [
        {"id": "stem", "type": "patch_stem", "width": 16},
        {"id": "stage1", "type": "mlp", "depth": 2, "mlp": {"type": "dwconv"}, "out_norm": "never"},
        {"id": "merge1", "type": "deformable_merge", "width": 32},
        {"id": "stage2", "type": "attention", "depth": 1, "heads": 2, "position_bias": {"type": "relative"}},
        {"id": "merge2", "type": "deformable_merge", "width": 32},
        {
            "id": "stage3",
            "type": "sequence",
            "depth": 3,
            "blocks": [{"type": "mlp"}, {"type": "hilo", "heads": 4, "window": 2}],
        },
        {"id": "head", "type": "mean_head"},
    ]
    document = {"kind": "arch", "version": 1, "name": "small", "image": 64, "classes": 10, "nodes": nodes}
    return build(spec_of({**document, "weights": "litv2", **header}))


def published(built: Backbone) -> State:
    """A checkpoint for it as the authors' code writes one: other values, and buffers that are derived."""
    ours = built.state_dict()
    names = published_names(built, ours)
    source = torch.Generator().manual_seed(2)
    state = {
        names[name]: torch.rand(tensor.shape, generator=source) if tensor.is_floating_point() else tensor + 7
        for name, tensor in ours.items()
    }
    return state | {"layers.1.blocks.0.attn.relative_position_index": torch.zeros(64, 64, dtype=torch.int64)}


def same(left: State, right: State) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def copied(built: Backbone) -> State:
    return {name: tensor.clone() for name, tensor in built.state_dict().items()}
