"""Tensor names of DAT++'s authors' networks; tables inside a part are theirs to ours."""

from archdsl.families.common.tensor_names import Scheme

DATPP = Scheme(
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

DEFORMABLE = {f"proj_{part}": part for part in "qkv"} | {
    "proj_out": "proj",
    "conv_offset.0": "offset.conv",
    "conv_offset.1.norm": "offset.norm",
    "conv_offset.3": "offset.fc",
    "rpe_table": "bias.table",
    "rpe_table.0": "bias.fc1",
    "rpe_table.2": "bias.fc2",
    "rpe_table.weight": "bias.weight",
    "rpe_table.bias": "bias.bias",
}
"""All kinds of bias are published under one name."""
DEFORMABLE_CONVOLUTIONS = tuple(f"mixer.{name}.weight" for name in ("q", "k", "v", "proj", "offset.fc"))
PLAIN_MLP = {"mlp.chunk.linear1": "mlp.fc1", "mlp.chunk.linear2": "mlp.fc2"}
CONV_MLP = {"mlp.linear1.0": "mlp.fc1", "mlp.linear2.0": "mlp.fc2", "mlp.dwc": "mlp.dwconv"}
CONV_MLP_CONVOLUTIONS = ("mlp.fc1.weight", "mlp.fc2.weight")
