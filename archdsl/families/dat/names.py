"""Tensor names of DAT's authors' networks."""

from archdsl.families.common.tensor_names import Scheme

DAT = Scheme(
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
