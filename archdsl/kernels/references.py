"""What each operator computes, by plain PyTorch: in float32, or in float64 for tensors of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.kernels.row_tables import BlockArguments


def depthwise_reference(x: Tensor, taps: Tensor, bias: Tensor, activation: str) -> Tensor:
    """What `depthwise` computes, by torch's convolution in float32, or in float64 for a map of it."""
    exact = torch.promote_types(x.dtype, torch.float32)
    weight = taps.to(exact).permute(2, 0, 1)[:, None]
    y = F.conv2d(x.to(exact).permute(0, 3, 1, 2), weight, bias.to(exact), padding=len(taps) // 2, groups=len(weight))
    y = F.gelu(y) if activation == "gelu" else y
    return y.permute(0, 2, 3, 1).to(x.dtype).contiguous()


def block_attention_reference(a: BlockArguments) -> Tensor:
    """What `block_attention` computes, by gathering rows, in float32, or in float64 for tensors of it."""
    exact = torch.promote_types(a.q.dtype, torch.float32)
    B, tokens, channels = a.q.shape
    rows, keys = a.query_rows.long(), a.key_rows.long()

    def gathered(x: Tensor, at: Tensor) -> Tensor:  # (B, blocks, heads, rows, d)
        return x[:, at.clamp(min=0)].unflatten(-1, (a.heads, -1)).transpose(2, 3).to(exact)

    scores = gathered(a.q, rows) @ gathered(a.k, keys).transpose(-2, -1)
    scores = a.scale * (scores + a.bias.to(exact)[:, a.kinds.long()].transpose(0, 1))
    out = (scores.softmax(-1) @ gathered(a.v, keys)).transpose(2, 3).flatten(3)  # (B, blocks, 64, channels)
    result = a.q.new_empty(B, tokens + 1, channels)  # what is no query goes to the last row, which is cut off
    result[:, torch.where(rows < 0, tokens, rows).flatten()] = out.flatten(1, 2).to(a.q.dtype)
    return result[:, :tokens].contiguous()


def token_attention_reference(q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float) -> Tensor:
    """What `token_attention` computes, in float32, or in float64 for tensors of it."""
    exact = torch.promote_types(q.dtype, torch.float32)
    queries, keys, values = (x.unflatten(-1, (heads, -1)).transpose(1, 2).to(exact) for x in (q, k, v))
    weights = (scale * (queries @ keys.transpose(-2, -1))).softmax(-1)
    return (weights @ values).transpose(1, 2).flatten(2).to(q.dtype)


def sample_keys_reference(x: Tensor, places: Tensor) -> Tensor:
    """What `sample_keys` computes, by torch's sampling in the precision of the places."""
    B, groups = places.shape[:2]
    maps = x.permute(0, 3, 1, 2).unflatten(1, (groups, -1)).flatten(0, 1).to(places.dtype)
    samples = F.grid_sample(maps, places.flatten(0, 1)[:, None], padding_mode="zeros", align_corners=True)
    return samples.reshape(B, x.shape[3], -1).transpose(1, 2).to(x.dtype).contiguous()
