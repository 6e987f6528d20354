"""Tensor names of FCViT's authors' networks."""

from archdsl.families.common.tensor_names import Scheme

FCVIT = Scheme(
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
