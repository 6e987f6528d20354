"""Tensor names of DAT's authors' networks; tables inside a part are theirs to ours."""

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

DEFORMABLE = {f"proj_{part}": part for part in "qkv"} | {
    "proj_out": "proj",
    "conv_offset.0": "offset.conv",
    "conv_offset.1.norm": "offset.norm",
    "conv_offset.3": "offset.fc",
}
BIAS_TABLE = {"mixer.rpe_table": "mixer.bias.table"}
DEPTHWISE_BIAS = {"mixer.rpe_table": "mixer.bias"}
"""Either bias has the published name of the table."""
DEFORMABLE_CONVOLUTIONS = tuple(f"mixer.{part}.weight" for part in ("q", "k", "v", "proj", "offset.fc"))
PLAIN_MLP = {"chunk.linear1": "fc1", "chunk.linear2": "fc2"}
CONV_MLP = {"linear1": "fc1", "linear2": "fc2", "dwc": "dwconv"}
"""The code's own dwconv MLP, which no published network has, stands without the wrapper of the plain one."""
