"""Tensor names of LIT's and LITv2's authors' networks, and of LIT-Ti's; tables inside a part are theirs to ours."""

from archdsl.families.common.tensor_names import Scheme

LIT = Scheme(
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

LIT_TI = Scheme(
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

DEFORMABLE_MERGE = {"dconv.conv_offset": "offset", "dconv": "conv", "norm_layer": "norm"}
ATTENTION = {"attn": "mixer", "relative_position_bias_table": "bias.table"}
