"""A small FCViT."""

from __future__ import annotations

from typing import Any

from archdsl.compile import Backbone, build
from archdsl.load.specs import spec_of


def network(width: int, **fields: Any) -> Backbone:
    """One block between a stem and a head, under the published names."""
    nodes = [
        {"id": "stem", "type": "overlap_stem", "width": width},
        {"id": "stage1", "type": "fcvit_conv", "depth": 1, **fields},
        {"id": "head", "type": "mean_head", "norm": {"type": "group"}},
    ]
    header = {"kind": "arch", "version": 1, "name": "small", "image": 32, "weights": "fcvit"}
    return build(spec_of({**header, "nodes": nodes}))
