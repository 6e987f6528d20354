"""DAT (arXiv:2201.00520) and DAT++ (arXiv:2309.01430)."""

# mypy: warn-return-any=False
from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .common import attention, depthwise, heads, maps, mean_head, merge, mlp, relative_bias, tokens


def forward(net: Any, x: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, classes)"""
    x = stem(net.stem, x) if hasattr(net.stem, "conv1") else merge(net.stem, x)
    for number in range(1, 5):
        if number > 1:
            x = merge(getattr(net, f"merge{number - 1}"), x)
        H, W = x.shape[2:]
        x = tokens(x)
        for block in getattr(net, f"stage{number}").blocks:
            if block.local is not None:
                x = x + tokens(depthwise(block.local, maps(x, H, W)))
            x = x + mixed(block.mixer, block.norm1(x), H, W)
            x = x + mlp(block.mlp, block.norm2(x), H, W)
        x = maps(x, H, W)
    return mean_head(net.head, tokens(x))


def stem(module: Any, x: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, C, H / 4, W / 4)"""
    x = module.norm1(module.conv1(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return module.norm2(module.conv2(F.gelu(x)).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def mixed(mixer: Any, x: Tensor, H: int, W: int) -> Tensor:
    """(B, N, C) -> (B, N, C)"""
    kind = type(mixer).__name__
    if kind == "NeighborhoodAttention":
        return neighborhood(mixer, x, H, W)
    if kind in ("WindowAttention", "ShiftedWindowAttention"):
        return windows(mixer, x, H, W, shift=4 if kind == "ShiftedWindowAttention" else 0)
    return deformable(mixer, x, H, W, is_first=kind == "DeformableAttention")


def windows(mixer: Any, x: Tensor, H: int, W: int, shift: int) -> Tensor:
    """Attention inside windows of 7x7 that may be shifted, with a mask then."""
    B, N, C = x.shape
    s = mixer.window
    x = x.reshape(B, H, W, C)
    if shift:
        x = torch.roll(x, (-shift, -shift), (1, 2))
    x = x.reshape(B, H // s, s, W // s, s, C).transpose(2, 3).reshape(-1, s * s, C)
    bias = relative_bias(mixer.bias.table, s, s)[None]
    if shift:
        bias = (bias + shift_mask(H, W, s, shift).to(x)[:, None]).repeat(B, 1, 1, 1)
    q, k, v = mixer.qkv(x).chunk(3, -1)
    x = mixer.proj(attention(q, k, v, mixer.heads, bias))
    x = x.reshape(B, H // s, W // s, s, s, C).transpose(2, 3).reshape(B, H, W, C)
    if shift:
        x = torch.roll(x, (shift, shift), (1, 2))
    return x.reshape(B, N, C)


@cache
def shift_mask(H: int, W: int, s: int, shift: int) -> Tensor:
    """(windows, s * s, s * s): -100 between positions that only the shift brought together"""
    region = torch.zeros(H, W)
    parts = (slice(0, -s), slice(-s, -shift), slice(-shift, None))
    for number, (rows, columns) in enumerate((rows, columns) for rows in parts for columns in parts):
        region[rows, columns] = number
    region = region.reshape(H // s, s, W // s, s).transpose(1, 2).reshape(-1, s * s)
    return -100.0 * (region[:, :, None] != region[:, None]).float()


def deformable(mixer: Any, x: Tensor, H: int, W: int, is_first: bool) -> Tensor:
    """Keys sampled at learned offsets, with a bias that is read between the entries of its table."""
    B, N, C = x.shape
    g, network = mixer.groups, mixer.offset
    q = mixer.q(x)
    grouped = maps(q, H, W).reshape(B * g, C // g, H, W)
    y = F.gelu(network.norm(network.conv(grouped).permute(0, 2, 3, 1)))
    offset = network.fc(y)  # (B * g, Hk, Wk, yx)
    Hk, Wk = offset.shape[1:3]
    sides = torch.tensor([Hk, Wk], dtype=x.dtype, device=x.device)
    apart = sides if is_first else sides - 1
    cells = torch.stack(torch.meshgrid(torch.arange(Hk), torch.arange(Wk), indexing="ij"), -1).to(x)
    reference = (cells + 0.5) * 2 / apart - 1
    if is_first:
        offset = torch.tanh(offset) / sides * mixer.offsets.range if mixer.offsets.type == "scaled" else offset
    places = offset + reference
    if is_first and mixer.offsets.type == "squashed":
        places = torch.tanh(places)
    if not is_first:
        places = places.clamp(-1, 1)
    sampled = F.grid_sample(maps(x, H, W).reshape(B * g, C // g, H, W), places.flip(-1), align_corners=True)
    sampled = sampled.reshape(B, C, Hk * Wk).transpose(1, 2)
    if is_first:
        y, z = ((torch.arange(side, device=x.device) + 0.5) * 2 / side - 1 for side in (H, W))
    else:
        y, z = (torch.linspace(-1, 1, side, device=x.device) for side in (H, W))
    queries = torch.stack(torch.meshgrid(y, z, indexing="ij"), -1).reshape(1, N, 1, 2)
    between = (queries - places.reshape(B * g, 1, Hk * Wk, 2)) / 2
    table = mixer.bias.table.reshape(1, g, -1, *mixer.bias.table.shape[1:]).expand(B, -1, -1, -1, -1).flatten(0, 1)
    bias = F.grid_sample(table, between.flip(-1), align_corners=True).reshape(B, mixer.heads, N, Hk * Wk)
    return mixer.proj(attention(q, mixer.k(sampled), mixer.v(sampled), mixer.heads, bias))


@cache
def nearest(H: int, W: int, s: int) -> tuple[Tensor, Tensor]:
    """(N, s * s): the keys of each query, and the entry of its table for each."""

    def side(length: int) -> tuple[Tensor, Tensor]:
        place = torch.arange(length)
        keys = (place - s // 2).clamp(0, length - s)[:, None] + torch.arange(s)
        return keys, keys - place[:, None] + s - 1

    (rows, down), (columns, right) = side(H), side(W)
    keys = rows[:, None, :, None] * W + columns[None, :, None, :]
    entries = down[:, None, :, None] * (2 * s - 1) + right[None, :, None, :]
    return keys.reshape(H * W, s * s), entries.reshape(H * W, s * s)


def neighborhood(mixer: Any, x: Tensor, H: int, W: int) -> Tensor:
    """Attention of each position to the 7x7 nearest, each query's keys gathered."""
    keys, entries = (index.to(x.device) for index in nearest(H, W, mixer.window))
    q, k, v = (heads(part, mixer.heads) for part in mixer.qkv(x).chunk(3, -1))  # (B, heads, N, d)
    scores = (q[:, :, :, None] * q.shape[-1] ** -0.5 @ k[:, :, keys].transpose(-1, -2))[:, :, :, 0]
    scores = scores + mixer.table.flatten(1)[:, entries]
    out = (scores.softmax(-1)[:, :, :, None] @ v[:, :, keys])[:, :, :, 0]
    return mixer.proj(out.transpose(1, 2).reshape(x.shape))
