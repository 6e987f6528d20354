"""Tensor names of Dual-ViT's authors' networks; tables inside a part are theirs to ours."""

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

DEEP_STEM = {
    "conv.0": "conv1",
    "conv.1": "norm1",
    "conv.3": "conv2",
    "conv.4": "norm2",
    "conv.6": "conv3",
    "conv.7": "norm3",
}

SEMANTIC_STEM = {
    "q_embed.0": "query_norm",
    "q_embed.1": "query",
    "q": "queries",
    "se.0": "gate.fc1",
    "se.2": "gate.fc2",
    "proxy_ln": "norm",
}

SEMANTIC_MERGE = {"proj_proxy.0": "proj", "proj_proxy.1": "norm"}

CLASS_ATTENTION_HEAD = {"attn": "mixer"}

DUAL_PATH = {
    "attn.qkv_proxy.0": "semantic_norm1",
    "attn.qkv_proxy.1": "semantic_mixer.qkv",
    "attn.gamma1": "semantic_scale1.gamma",
    "attn.q_proxy_ln": "semantic_norm2",
    "attn.q_proxy": "semantic_reader.q",
    "attn.kv_proxy": "semantic_reader.kv",
    "attn.gamma2": "semantic_scale2.gamma",
    "attn.p_ln": "semantic_norm3",
    "attn.mlp_proxy.0": "semantic_mlp.fc1",
    "attn.mlp_proxy.2": "semantic_mlp.fc2",
    "attn.gamma3": "semantic_scale3.gamma",
    "attn.proxy_ln": "semantic_norm4",
    "attn": "mixer",
    "gamma1": "scale1.gamma",
    "gamma2": "scale2.gamma",
}

JOINT_PATH = {
    "attn": "mixer",
    "gamma1": "scale1.gamma",
    "mlp.fc_proxy.0": "semantic_mlp.fc1",
    "mlp.fc_proxy.2": "semantic_mlp.fc2",
    "gamma2": "scale2.gamma",
}
