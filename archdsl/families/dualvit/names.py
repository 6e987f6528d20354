"""Tensor names of Dual-ViT's authors' networks."""

from archdsl.families.common.tensor_names import Scheme

DUALVIT = Scheme(
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
