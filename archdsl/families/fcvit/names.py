"""Tensor names of FCViT's authors' networks; tables inside a part are theirs to ours."""

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

CONVOLUTIONS = (
    "mlp.fc1.weight",
    "mlp.fc2.weight",
    "mixer.attention.fc1.weight",
    "mixer.attention.fc2.weight",
    *(f"steps.{step}.fc{place}.weight" for step in (0, 1) for place in (1, 2)),
)


def block(channel_attention: bool, compete: bool, is_squeezed: bool) -> dict[str, str]:
    """Names inside a block with these options, theirs to ours.

    The published code calls three things fc1, and names layers of a Sequential by number.
    """
    names = {
        "layer_scale_1": "scale1.gamma",
        "layer_scale_2": "scale2.gamma",
        "channel_mixer": "mlp.mlp" if channel_attention else "mlp",
        "channel_mixer.channel_att.channelConv1": "mlp.attention.conv1",
        "channel_mixer.channel_att.channelConv2": "mlp.attention.conv2",
        "token_mixer.spatial_att.spatial_att.0": "mixer.attention.conv",
        "token_mixer.spatial_att.spatial_att.1": "mixer.attention.fc1",
        "token_mixer.spatial_att.spatial_att.3": "mixer.attention.fc2",
    }
    first, second = ("fc1", "fc2") if compete else ("fc.0", "fc.2")
    for step in (1, 2):
        inside = {
            f"gc{step}.{first}": "context.fc1",
            f"gc{step}.{second}": "context.fc2",
            f"gc{step}": "context",
            f"dw{step}": "conv",
            f"fc{step}" + (".0" if is_squeezed else ""): "fc1",
            f"fc{step}.2": "fc2",
        }
        names |= {f"token_mixer.{theirs}": f"mixer.steps.{step - 1}.{ours}" for theirs, ours in inside.items()}
    return names
