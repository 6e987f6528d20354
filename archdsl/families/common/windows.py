"""Attention inside windows (DAT, arXiv:2201.00520, section 3.3, after arXiv:2103.14030)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.common.tables import RelativeBias

_APART = -100.0
"""Added to the score of two positions that a shift brought together."""


class WindowAttention(nn.Module):
    """Attention inside windows of `window` positions a side, with a bias by displacement.

    A map that the window does not divide is zero-padded right and below, without a mask, and cut again after the
    projections, as the published dense-prediction code of DAT++ does: padded positions are keys of their windows. DAT's
    own code takes no such map.
    """

    def __init__(self, channels: int, heads: int, window: int, biased: bool) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(channels, 3 * channels)
        self.bias = RelativeBias(window, window, heads, std=0.01) if biased else None
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        H, W = x.shape[1:3]
        right, below = -W % self.window, -H % self.window
        if right or below:
            x = F.pad(x, (0, 0, 0, right, 0, below))
        return self.attend(x)[:, :H, :W]

    def attend(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C), H and W multiples of the window"""
        B, H, W, C = x.shape
        s, heads = self.window, self.heads
        x = self.qkv(x.reshape(B, H // s, s, W // s, s, C).transpose(2, 3).reshape(-1, s * s, C))
        x = x.reshape(-1, s * s, 3, heads, C // heads).permute(2, 0, 3, 1, 4)  # (3, B * windows, heads, s * s, d)
        bias = None if self.bias is None else self.bias(s, s).to(x.dtype)[None]
        x = F.scaled_dot_product_attention(x[0], x[1], x[2], attn_mask=bias)
        return self.proj(self.put_back(x, B, H, W))

    def put_back(self, x: Tensor, B: int, H: int, W: int) -> Tensor:
        """(..., s * s, d), B * windows * heads of them -> (B, H, W, C)"""
        s = self.window
        x = x.reshape(B, H // s, W // s, self.heads, s, s, x.shape[-1]).permute(0, 1, 4, 2, 5, 3, 6)
        return x.reshape(B, H, W, self.heads * x.shape[-1])


class ShiftedWindowAttention(WindowAttention):
    """Attention inside windows that are shifted by half a window, rounded up: 4 for 7, where Swin has 3.

    The padded map is rolled, and positions that only rolling brought into one window are masked, as in the published
    code, by -100, for the size that runs. The published mask belongs to the size that the network was built for, and is
    used at others too where the number of windows happens to allow it.
    """

    def attend(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C), H and W multiples of the window"""
        B, H, W, C = x.shape
        s, heads = self.window, self.heads
        shift = -(-s // 2)
        x = torch.roll(x, (-shift, -shift), dims=(1, 2))
        x = self.qkv(x).reshape(B, H // s, s, W // s, s, 3, heads, C // heads).permute(5, 0, 1, 3, 6, 2, 4, 7)
        # Windows and heads as one dimension, so that the batch shares a mask; a clone, so that it is always one copy.
        x = x.clone(memory_format=torch.contiguous_format).view(3, B, (H // s) * (W // s) * heads, s * s, C // heads)
        mask = self.mask(H, W, shift, x)[None]
        x = F.scaled_dot_product_attention(x[0], x[1], x[2], attn_mask=mask)
        x = self.put_back(x, B, H, W)
        return torch.roll(self.proj(x), (shift, shift), dims=(1, 2))

    def mask(self, H: int, W: int, shift: int, like: Tensor) -> Tensor:
        """-> (windows * heads, s * s, s * s) of `like`'s dtype: the bias, and -100 where positions do not meet"""
        bias = like.new_zeros(self.heads, 1, 1) if self.bias is None else self.bias(self.window, self.window)
        apart = shift_mask(H, W, self.window, shift, like.device)
        return torch.add(bias, apart[:, None], alpha=_APART).flatten(0, 1).to(like.dtype)


def shift_mask(H: int, W: int, window: int, shift: int, device: torch.device) -> Tensor:
    """-> bool (windows, window^2, window^2): whether two positions of a window of a rolled map come from afar."""

    def side(length: int) -> Tensor:
        place = torch.arange(length, device=device)
        return (place >= length - window).int() + (place >= length - shift).int()

    regions = 3 * side(H)[:, None] + side(W)
    regions = regions.reshape(H // window, window, W // window, window).transpose(1, 2).reshape(-1, window**2)
    return regions[:, :, None] != regions[:, None]
