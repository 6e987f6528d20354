"""Published tensor names: where stems, stages, merges and heads sit in the authors' networks.

A scheme is a table from our prefix to theirs. `{n}` and `{i}` in ours are numbers, of a stage in our ids and of a block
in it; theirs has them in simple arithmetic, `{n-1}` or `{2i+1}`. Names inside a part are the part's own affair
(`Part.published`).
"""

from __future__ import annotations

from typing import NamedTuple


class Scheme(NamedTuple):
    """How one codebase names tensors.

    prefixes: (ours, theirs), the first that fits counts. inside: (ours, theirs) within any name, for layers that
    families share. skip: endings of published names that are derived, counters or without effect; a name that the
    network has a place for is never skipped. container: the key under which the authors' loaders look for the weights.
    """

    prefixes: tuple[tuple[str, str], ...]
    inside: tuple[tuple[str, str], ...]
    skip: tuple[str, ...]
    container: str = "model"


_LIT = Scheme(
    prefixes=(
        ("stem.", "patch_embed."),
        ("stage{n}.out_norm.pixels.", "norm{n-1}."),
        ("stage{n}.", "layers.{n-1}."),
        ("merge{n}.", "layers.{n-1}.downsample."),
        ("head.norm.", "norm."),
        ("head.fc.", "head."),
    ),
    inside=((".mlp.dwconv.", ".mlp.dwconv.dwconv."),),
    skip=(".relative_position_index", ".num_batches_tracked"),
)

_LIT_TI = Scheme(
    prefixes=(
        ("stem.", "patch_embed1."),
        ("stage{n}.position_embedding.table", "pos_embed{n}"),
        ("stage{n}.class_token", "cls_token"),
        ("stage{n}.blocks.", "block{n}."),
        ("merge{n}.", "patch_embed{n+1}."),
        ("head.norm.", "norm."),
        ("head.fc.", "head."),
    ),
    inside=(),
    skip=(".num_batches_tracked",),
)

_DAT = Scheme(
    prefixes=(
        ("stem.proj.", "patch_proj.0."),
        ("stem.norm.", "patch_proj.1.norm."),
        ("stage{n}.blocks.{i}.norm1.", "stages.{n-1}.layer_norms.{2i}.norm."),
        ("stage{n}.blocks.{i}.norm2.", "stages.{n-1}.layer_norms.{2i+1}.norm."),
        ("stage{n}.blocks.{i}.mixer.", "stages.{n-1}.attns.{i}."),
        ("stage{n}.blocks.{i}.mlp.", "stages.{n-1}.mlps.{i}."),
        ("merge{n}.proj.", "down_projs.{n-1}.0."),
        ("merge{n}.norm.", "down_projs.{n-1}.1.norm."),
        ("head.norm.", "cls_norm.norm."),
        ("head.fc.", "cls_head."),
    ),
    inside=(),
    skip=(".relative_position_index", ".attn_mask"),
)

_DATPP = Scheme(
    prefixes=(
        ("stem.conv1.", "patch_proj.0."),
        ("stem.norm1.", "patch_proj.1.norm."),
        ("stem.conv2.", "patch_proj.3."),
        ("stem.norm2.", "patch_proj.4.norm."),
        ("stem.proj.", "patch_proj.0."),
        ("stem.norm.", "patch_proj.1.norm."),
        ("stage{n}.blocks.{i}.local.", "stages.{n-1}.local_perception_units.{i}."),
        ("stage{n}.blocks.{i}.norm1.", "stages.{n-1}.layer_norms.{2i}.norm."),
        ("stage{n}.blocks.{i}.norm2.", "stages.{n-1}.layer_norms.{2i+1}.norm."),
        ("stage{n}.blocks.{i}.mixer.", "stages.{n-1}.attns.{i}."),
        ("stage{n}.blocks.{i}.mlp.", "stages.{n-1}.mlps.{i}."),
        ("stage{n}.blocks.{i}.scale1.gamma", "stages.{n-1}.layer_scales.{2i}.weight"),
        ("stage{n}.blocks.{i}.scale2.gamma", "stages.{n-1}.layer_scales.{2i+1}.weight"),
        ("stage{n}.out_norm.pixels.", "norms.{n-1}.norm."),
        ("merge{n}.proj.", "down_projs.{n-1}.0."),
        ("merge{n}.norm.", "down_projs.{n-1}.1.norm."),
        ("head.norm.", "cls_norm.norm."),
        ("head.fc.", "cls_head."),
    ),
    inside=(),
    # The offset network of blocks that average their keys is published too, but frozen and without effect.
    skip=tuple(f".conv_offset.{name}" for name in ("0.weight", "0.bias", "1.norm.weight", "1.norm.bias", "3.weight")),
)

_DUALVIT = Scheme(
    prefixes=(
        ("stem.", "patch_embed1."),
        ("semantic_stem.", ""),
        ("stage{n}.out_norm.pixels.", "norm{n}."),
        ("stage{n}.out_norm.semantics.", "norm_proxy{n}."),
        ("stage{n}.blocks.", "block{n}."),
        ("merge{n}.", "patch_embed{n+1}."),
        ("semantic_merge{n}.", "proxy_embed{n+1}."),
        ("head.norm.", "norm4."),
        ("head.fc.", "head."),
        ("head.aux_fc.", "aux_head."),
        ("head.", "post_network.0."),
    ),
    inside=((".mlp.dwconv.", ".mlp.dwconv.dwconv."),),
    skip=(".num_batches_tracked",),
    container="state_dict",
)

_FCVIT = Scheme(
    prefixes=(
        ("stem.", "patch_embed."),
        ("stage{n}.out_norm.pixels.", "norm{2n-2}."),
        ("stage{n}.blocks.", "network.{2n-2}."),
        ("merge{n}.", "network.{2n-1}."),
        ("head.norm.", "norm."),
        ("head.fc.", "head."),
    ),
    inside=(),
    skip=(".num_batches_tracked",),
    container="state_dict",
)

SCHEMES = {
    "dat": _DAT,
    "datpp": _DATPP,
    "dualvit": _DUALVIT,
    "fcvit": _FCVIT,
    "lit": _LIT,
    "litv2": _LIT,
    "litti": _LIT_TI,
}
"""By the document's `weights`."""
