"""LIT (arXiv:2105.14217) and LITv2 (arXiv:2205.13213)."""

# mypy: warn-return-any=False
from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .common import attention, maps, mean_head, merge, mlp, relative_bias, tokens


def forward(net: Any, x: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, classes)"""
    x = merge(net.stem, x)
    for number in range(1, 5):
        if number > 1:
            x = deformable_merge(getattr(net, f"merge{number - 1}"), x)
        H, W = x.shape[2:]
        x = tokens(x)
        for block in getattr(net, f"stage{number}").blocks:
            if block.mixer is not None:
                x = x + mixed(block.mixer, block.norm1(x), H, W)
            x = x + mlp(block.mlp, block.norm2(x), H, W)
        x = maps(x, H, W)
    return mean_head(net.head, tokens(x))


def mixed(mixer: Any, x: Tensor, H: int, W: int) -> Tensor:
    """(B, N, C) -> (B, N, C)"""
    if hasattr(mixer, "qkv"):
        q, k, v = mixer.qkv(x).chunk(3, -1)
        return mixer.proj(attention(q, k, v, mixer.heads, relative_bias(mixer.bias.table, H, W)[None]))
    B, s, parts = len(x), mixer.window, []
    if mixer.high:
        y = x.reshape(B, H // s, s, W // s, s, -1).transpose(2, 3).reshape(-1, s * s, x.shape[2])
        q, k, v = mixer.h_qkv(y).chunk(3, -1)
        y = mixer.h_proj(attention(q, k, v, mixer.high))
        parts.append(y.reshape(B, H // s, W // s, s, s, -1).transpose(2, 3).reshape(B, H * W, -1))
    if mixer.low:
        averages = tokens(F.avg_pool2d(maps(x, H, W), s)) if s > 1 else x
        k, v = mixer.l_kv(averages).chunk(2, -1)
        parts.append(mixer.l_proj(attention(mixer.l_q(x), k, v, mixer.low)))
    return torch.cat(parts, -1)


def deformable_merge(module: Any, x: Tensor) -> Tensor:
    """A deformable convolution 2x2/2, batch norm, GELU: (B, C, H, W) -> (B, C', H / 2, W / 2)"""
    B, C, H, W = x.shape
    rows, columns = H // 2, W // 2
    offset = module.offset(x).reshape(B, 4, 2, rows, columns)  # taps, yx
    tap = torch.arange(4, device=x.device)
    y = 2 * torch.arange(rows, device=x.device)[:, None] + (tap // 2)[:, None, None] + offset[:, :, 0]
    z = 2 * torch.arange(columns, device=x.device) + (tap % 2)[:, None, None] + offset[:, :, 1]
    grid = torch.stack([(2 * z + 1) / W - 1, (2 * y + 1) / H - 1], -1).reshape(B, 4 * rows, columns, 2)
    taps = F.grid_sample(x, grid, align_corners=False).reshape(B, C * 4, rows * columns)
    x = module.conv.weight.flatten(1) @ taps + module.conv.bias[:, None]
    return F.gelu(module.norm(x.reshape(B, -1, rows, columns)))
