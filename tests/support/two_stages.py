"""A network of two stages, with and without a class token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from archdsl.compile import Backbone, build
from archdsl.load.specs import spec_of

Raw = dict[str, Any]


NODES: list[Raw] = [
    {"id": "stem", "type": "patch_stem", "width": 32},
    {"id": "stage1", "type": "mlp", "depth": 2, "mlp": {"type": "dwconv"}},
    {"id": "merge1", "type": "deformable_merge", "width": 64},
    {"id": "stage2", "type": "attention", "depth": 3, "heads": 4, "position_bias": {"type": "relative"}},
    {"id": "head", "type": "mean_head"},
]


WITH_TOKEN: list[Raw] = [
    *NODES[:3],
    {"id": "stage2", "type": "attention", "depth": 2, "heads": 4, "class_token": True, "position_embedding": True},
    {"id": "head", "type": "class_token_head"},
]


def model(nodes: list[Raw] = NODES, features_only: bool = False, **header: Any) -> Backbone:
    torch.manual_seed(4)
    document = {"kind": "arch", "version": 1, "name": "small", "image": 32, "classes": 10, "nodes": nodes}
    return build(spec_of({**document, **header}), features_only)


def images(batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(9))
