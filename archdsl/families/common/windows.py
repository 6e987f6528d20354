"""Attention inside windows (DAT, arXiv:2201.00520, section 3.3, after arXiv:2103.14030)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.common.tables import RelativeBias
from archdsl.families.common.views import Position, View, attention_weights, cut_to, on_a_map

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
        x = self.padded(x)  # the unpadded map is not held meanwhile
        return self.attend(x)[:, :H, :W]

    def padded(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H', W', C), whole windows"""
        right, below = -x.shape[2] % self.window, -x.shape[1] % self.window
        return F.pad(x, (0, 0, 0, right, 0, below)) if right or below else x

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

    def distance_of_shift(self) -> int:
        """By how many positions the map is rolled up and left before it is cut into windows."""
        return 0

    def views(self, x: Tensor, *, query: Position) -> list[View]:
        """(1, H, W, C) -> softmax(q k' / sqrt(d) + bias) of the query, over its window"""
        s, shift, padded = self.window, self.distance_of_shift(), self.padded(x)
        H, W = padded.shape[1:3]
        rolled = torch.roll(padded, (-shift, -shift), dims=(1, 2))
        y, column = (query[0] - shift) % H, (query[1] - shift) % W
        top, left, number = y // s * s, column // s * s, y % s * s + column % s
        qkv = self.qkv(rolled[0, top : top + s, left : left + s]).reshape(s * s, 3, self.heads, -1)
        q, k, _ = qkv.permute(1, 2, 0, 3)  # (heads, s * s, d) each
        bias = q.new_zeros(1, s * s) if self.bias is None else self.bias(s, s)[:, number]
        if shift:
            apart = shift_mask(H, W, s, shift, x.device)[top // s * (W // s) + left // s, number]
            bias = bias + _APART * apart
        weights = attention_weights(q[:, number : number + 1], k, bias[:, None]).reshape(self.heads, s, s)
        rows, columns = (torch.arange(s, device=x.device) + first + shift for first in (top, left))
        placed = on_a_map(weights, rows % H, columns % W, (H, W))
        return [cut_to(placed, (x.shape[1], x.shape[2]), "attention of the query")]


class ShiftedWindowAttention(WindowAttention):
    """Attention inside windows that are shifted by half a window, rounded up: 4 for 7, where Swin has 3.

    The padded map is rolled, and positions that only rolling brought into one window are masked, as in the published
    code, by -100, for the size that runs. The published mask belongs to the size that the network was built for, and is
    used at others too where the number of windows happens to allow it.
    """

    def attend(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C), H and W multiples of the window"""
        B, H, W, C = x.shape
        s, heads, shift = self.window, self.heads, self.distance_of_shift()
        x = torch.roll(x, (-shift, -shift), dims=(1, 2))
        x = self.qkv(x).reshape(B, H // s, s, W // s, s, 3, heads, C // heads).permute(5, 0, 1, 3, 6, 2, 4, 7)
        # Windows and heads as one dimension, so that the batch shares a mask; a clone, so that it is always one copy.
        x = x.clone(memory_format=torch.contiguous_format).view(3, B, (H // s) * (W // s) * heads, s * s, C // heads)
        mask = self.mask(H, W, shift, x)[None]
        x = F.scaled_dot_product_attention(x[0], x[1], x[2], attn_mask=mask)
        x = self.put_back(x, B, H, W)
        return torch.roll(self.proj(x), (shift, shift), dims=(1, 2))

    def distance_of_shift(self) -> int:
        """Half a window, rounded up."""
        return -(-self.window // 2)

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
