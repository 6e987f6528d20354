"""Networks that inherit, and what they are compared by."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor

from archdsl.compile import Backbone, build
from archdsl.language.document import Spec
from archdsl.load.specs import override, spec_of
from tests.support.narrow_networks import SMALL

TINY: dict[str, Any] = {
    "kind": "arch", "version": 1, "name": "tiny", "image": 32, "classes": 4,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 16},
        {"id": "stage1", "type": "mlp", "depth": 3, "mlp": {"type": "dwconv", "ratio": 2}},
        {"id": "merge1", "type": "deformable_merge", "width": 32},
        {"id": "stage2", "type": "hilo", "depth": 4, "heads": 4, "window": 2, "mlp": {"type": "dwconv", "ratio": 2}},
        {"id": "head", "type": "mean_head"},
    ],
}  # fmt: skip
"""A network that is fitted in a second."""


def tiny(*changes: str) -> Spec:
    """The tiny network with fields set."""
    return override(spec_of(TINY), changes)


def with_node(spec: Spec, name: str, **fields: Any) -> Spec:
    """The spec with another node of that id."""
    document = spec.to_json()
    nodes = document["nodes"]
    assert isinstance(nodes, list)
    document["nodes"] = [{"id": name, **fields} if node["id"] == name else node for node in nodes]
    return spec_of(document)


def doubled(name: str, spec: Spec, heads: bool) -> Spec:
    """The small network of a family with twice the widths; twice the heads and their groups too, or wider heads."""
    nodes = ("stem", "merge1", "merge2", "merge3")
    changes = [f"{node}.width={2 * width}" for node, width in zip(nodes, SMALL[name], strict=True)]
    if name == "dualvit_s":
        changes += [f"semantic_merge{i}.width={2 * width}" for i, width in enumerate(SMALL[name][1:], 1)]
        changes.append("stem.hidden=32")
    for node in spec.nodes if heads else ():
        fields = node.model_dump(mode="json", exclude_none=True)
        if "blocks" in fields:
            changes.append(f"{node.id}.blocks={json.dumps([_more_heads(block) for block in fields['blocks']])}")
        elif "heads" in fields:
            changes.append(f"{node.id}.heads={2 * fields['heads']}")
    return override(spec, changes)


def _more_heads(block: dict[str, Any]) -> dict[str, Any]:
    return {key: 2 * value if key in ("heads", "groups") else value for key, value in block.items()}


def trained(spec: Spec, features_only: bool = False, seed: int = 1) -> Backbone:
    """A network in eval mode and float64, nothing in it at its initial value."""
    torch.manual_seed(seed)
    model = build(spec, features_only).double()
    source = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            moved = 0.05 * torch.randn(tensor.shape, generator=source)
            tensor.add_(moved.abs() if name.endswith("running_var") else moved)
    return model.eval()


def fresh(spec: Spec, features_only: bool = False) -> Backbone:
    """A network as it is built, in eval mode and float64."""
    torch.manual_seed(99)
    return build(spec, features_only).double().eval()


def pictures(count: int = 2, side: int = 64) -> Tensor:
    """Images (count, 3, side, side), the same at every call."""
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(count)).double()


def apart(left: Backbone, other: Backbone, images: Tensor) -> float:
    """The largest difference of two outputs as a share of the largest value."""
    with torch.no_grad():
        ours, theirs = left(images), other(images)
    pairs = list(zip(ours, theirs, strict=True)) if isinstance(ours, list) else [(ours, theirs)]
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
