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
    families share. skip: endings of published names that are derived or counters.
    """

    prefixes: tuple[tuple[str, str], ...]
    inside: tuple[tuple[str, str], ...]
    skip: tuple[str, ...]


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
)

SCHEMES = {"lit": _LIT, "litv2": _LIT, "litti": _LIT_TI, "fcvit": _FCVIT}
"""By the document's `weights`."""
