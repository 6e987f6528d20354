"""About how many operators the exported graph of a network has, by the types of its nodes and blocks: no export.

The numbers were counted in ONNX files (opset 20, torch 2.13), by the module that each operator comes from. Fields
change them by some, and about right is enough to predict a latency. A type that is not listed, such as one of an
installed package, counts as the median of those that are.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from archdsl.families.common.stage import Stage
from archdsl.language.document import Spec

BLOCKS: Mapping[str, int] = {
    "mlp": 10,
    "attention": 34,
    "hilo": 61,
    "window": 34,
    "shifted_window": 50,
    "deformable": 72,
    "neighborhood": 46,
    "deformable_plus": 76,
    "dual_path": 88,
    "joint_path": 54,
    "fcvit_conv": 105,
}
"""Of one block."""
NODES: Mapping[str, int] = {
    "patch_stem": 3,
    "conv_stem": 8,
    "deep_stem": 10,
    "overlap_stem": 3,
    "semantic_stem": 37,
    "deformable_merge": 21,
    "conv_merge": 3,
    "semantic_merge": 5,
    "mean_head": 3,
    "class_token_head": 3,
    "class_attention_head": 47,
}
"""Of a stem, merge, join or head."""
STAGE_ENDS = 1
"""Of a stage beside its blocks: a norm or a change of layout."""


def operators(spec: Spec, blocks: Mapping[str, int] = BLOCKS) -> float:
    """The operators of a network's exported graph, estimated; `blocks` says how many one block of each type has."""
    counted = 0.0
    for node in spec.nodes:
        if isinstance(node, Stage):
            counted += STAGE_ENDS + sum(
                _of(str(getattr(block, "type", "")), blocks) for block in node.blocks_in_order()
            )
        else:
            counted += _of(node.type, NODES)
    return counted


def _of(kind: str, counted: Mapping[str, int]) -> float:
    return counted.get(kind, median(counted.values()))
