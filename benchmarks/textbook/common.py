"""What the plain formulations share."""

# mypy: warn-return-any=False
from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, N, C)"""
    return x.flatten(2).transpose(1, 2)


def maps(x: Tensor, height: int, width: int) -> Tensor:
    """(B, N, C) -> (B, C, H, W)"""
    return x.transpose(1, 2).reshape(len(x), -1, height, width)


def depthwise(conv: Any, x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, H, W)"""
    return F.conv2d(x, conv.weight, conv.bias, conv.stride, conv.padding, groups=x.shape[1])


def heads(x: Tensor, count: int) -> Tensor:
    """(B, N, C) -> (B, heads, N, C // heads)"""
    return x.reshape(len(x), x.shape[1], count, -1).transpose(1, 2)


def attention(q: Tensor, k: Tensor, v: Tensor, count: int, bias: Tensor | None = None) -> Tensor:
    """(B, N, C), (B, P, C), (B, P, C) -> (B, N, C)"""
    out = F.scaled_dot_product_attention(heads(q, count), heads(k, count), heads(v, count), attn_mask=bias)
    return out.transpose(1, 2).reshape(q.shape)


@cache
def displacement_index(height: int, width: int) -> Tensor:
    """(N, N): the row of a table of displacements for query and key."""
    y, x = (part.flatten() for part in torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
    rows, columns = y[:, None] - y + height - 1, x[:, None] - x + width - 1
    return rows * (2 * width - 1) + columns


def relative_bias(table: Tensor, height: int, width: int) -> Tensor:
    """(displacements, heads) -> (heads, N, N)"""
    index = displacement_index(height, width)
    return table[index.flatten().to(table.device)].view(*index.shape, -1).permute(2, 0, 1)


def mlp(module: Any, x: Tensor, height: int, width: int) -> Tensor:
    """Linear, depthwise convolution where there is one (added to its input in DAT++), GELU, Linear: (B, N, C)"""
    x = module.fc1(x)
    if hasattr(module, "dwconv"):
        y = tokens(depthwise(module.dwconv, maps(x, height, width)))
        x = x + y if "Residual" in type(module).__name__ else y
    return module.fc2(F.gelu(x))


def mean_head(head: Any, x: Tensor) -> Tensor:
    """(B, N, C) -> (B, classes)"""
    return head.fc(head.norm(x).mean(1))


def merge(module: Any, x: Tensor) -> Tensor:
    """A strided convolution and a norm: (B, C, H, W) -> (B, C', H', W')"""
    x = module.proj(x)
    if isinstance(module.norm, torch.nn.LayerNorm):
        return module.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return module.norm(x)
