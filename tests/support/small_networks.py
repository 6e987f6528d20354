"""Small networks of every family, and one that mixes them: what every promise about modules is held to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from archdsl.compile import Backbone, build
from archdsl.language.document import Spec
from archdsl.load.specs import load_spec, override, spec_of
from tests.support.narrow_networks import narrowing

FAMILIES = ("lit_ti", "lit_s", "litv2_s", "dat_t", "datpp_t", "dualvit_s", "fcvit_tiny")

MIXED: dict[str, Any] = {
    "kind": "arch", "version": 1, "name": "mixed", "image": 64, "classes": 10,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 16},
        {"id": "semantic_stem", "type": "semantic_stem", "from": "stem"},
        {"id": "stage1", "type": "dual_path", "from": ["stem", "semantic_stem"], "depth": 1, "heads": 2,
         "norm": {"type": "batch"}},
        {"id": "merge1", "type": "deformable_merge", "from": "stage1", "width": 32},
        {"id": "stage2", "type": "sequence", "depth": 6, "blocks": [
            {"type": "hilo", "heads": 4, "window": 2}, {"type": "deformable", "heads": 4, "groups": 2, "kernel": 3},
            {"type": "fcvit_conv", "norm": {"type": "group"}}, {"type": "neighborhood", "heads": 4, "window": 3},
            {"type": "window", "heads": 4, "window": 3}, {"type": "attention", "heads": 2}]},
        {"id": "head", "type": "mean_head", "norm": {"type": "batch"}},
    ],
}  # fmt: skip


QUICK: dict[str, Any] = {
    "kind": "arch", "version": 1, "name": "quick", "image": 32, "classes": 10,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 16},
        {"id": "merge1", "type": "deformable_merge", "width": 32},
        {"id": "stage2", "type": "hilo", "depth": 1, "heads": 4, "window": 2},
        {"id": "head", "type": "mean_head"},
    ],
}  # fmt: skip
"""A network that is exported in a second, with offsets."""

SAMPLING: dict[str, Any] = {
    "kind": "arch", "version": 1, "name": "sampling", "image": 64, "classes": 10,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 16},
        {"id": "merge1", "type": "deformable_merge", "width": 32},
        {"id": "stage2", "type": "deformable", "depth": 1, "heads": 4, "groups": 2, "kernel": 3},
        {"id": "head", "type": "mean_head"},
    ],
}  # fmt: skip
"""Deformable attention behind a deformable merge."""

PLAIN: dict[str, Any] = {
    "kind": "arch", "version": 1, "name": "plain", "image": 32, "classes": 10,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 16},
        {"id": "stage1", "type": "mlp", "depth": 1},
        {"id": "head", "type": "mean_head"},
    ],
}  # fmt: skip
"""A network for tests in which its parts do not matter."""

SHORT_DUAL: dict[str, Any] = {
    "kind": "arch", "version": 1, "name": "dualvit_s", "image": 64, "classes": 10, "weights": "dualvit",
    "nodes": [
        {"id": "stem", "type": "deep_stem", "width": 32, "hidden": 16},
        {"id": "semantic_stem", "type": "semantic_stem"},
        {"id": "stage1", "type": "dual_path", "from": ["stem", "semantic_stem"], "depth": 1, "heads": 2,
         "out_norm": "always"},
        {"id": "merge1", "type": "conv_merge", "width": 64},
        {"id": "semantic_merge1", "type": "semantic_merge", "from": "stage1", "width": 64},
        {"id": "stage2", "type": "joint_path", "from": ["merge1", "semantic_merge1"], "depth": 1, "heads": 4,
         "mlp": {"type": "dwconv", "ratio": 3}},
        {"id": "head", "type": "class_attention_head", "heads": 4},
    ],
}  # fmt: skip
"""Dual-ViT with one stage of each kind of block."""

OWN = {"mixed": MIXED, "quick": QUICK, "sampling": SAMPLING, "plain": PLAIN}


def small(name: str, most: int = 2) -> Spec:
    """A narrow backbone of a family, at most two blocks a stage at 64 pixels with 10 classes; or one of those above.

    With `most` of 1, only a sequence has the second, and a stage of blocks that a later one has too is left out.
    """
    if name in OWN:
        return spec_of(OWN[name])
    if name == "dualvit_s" and most == 1:
        return spec_of(SHORT_DUAL)
    spec = load_spec(name)
    stages = [node for node in spec.nodes if node.kind == "stage"]
    short = [f"{node.id}.depth={min(node.depth, 2 if node.type == 'sequence' else most)}" for node in stages]
    short_spec = override(spec, ["image=64", "classes=10", *narrowing(name), *short])
    return short_spec if most > 1 else _without_repetition(short_spec)


def _without_repetition(spec: Spec) -> Spec:
    """The backbone, a chain, without stages whose blocks a later stage has too, and merges right before a merge."""
    document = spec.to_json()
    nodes: list[dict[str, Any]] = document["nodes"]
    seen: set[tuple[str, ...]] = set()
    kept, last = [], ""
    for node, checked in reversed([*zip(nodes, spec.nodes, strict=True)]):
        blocks = tuple(sorted({block["type"] for block in node.get("blocks", [node])}))
        is_repeated = blocks in seen if checked.kind == "stage" else checked.kind == last == "merge"
        if not is_repeated:
            kept.append(node)
            last = checked.kind
        if checked.kind == "stage":
            seen.add(blocks)
    return spec_of({**document, "nodes": kept[::-1]})


def shaken(name: str, features_only: bool = False, most: int = 2) -> Backbone:
    """The network in eval mode, nothing in it at its initial value: offsets, tables and statistics are not zero."""
    torch.manual_seed(0)
    built = build(small(name, most), features_only)
    source = torch.Generator().manual_seed(1)
    for key, tensor in built.state_dict().items():
        if tensor.is_floating_point():
            moved = 0.05 * torch.randn(tensor.shape, generator=source)
            tensor.add_(moved.abs() if key.endswith("running_var") else moved)
    return built.eval().requires_grad_(False)


def images(batch: int = 2, height: int = 64, width: int = 64) -> Tensor:
    """Images (batch, 3, height, width), the same at every call."""
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(batch))


def equal(left: Any, right: Any) -> bool:
    """Whether two outputs, a tensor or several, are the same numbers."""
    if isinstance(left, Tensor):
        return torch.equal(left, right)
    return len(left) == len(right) and all(torch.equal(a, other) for a, other in zip(left, right, strict=True))
