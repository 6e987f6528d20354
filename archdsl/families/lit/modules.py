"""Modules of LIT (arXiv:2105.14217), which LITv2 (arXiv:2205.13213) shares but for its attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.common.layers import check_holds, exact_side, normed, to_first, to_last
from archdsl.families.common.tables import RelativeBias
from archdsl.families.common.views import Arrows, Heat, Position, View, attention_weights


class PatchStem(nn.Module):
    """A convolution of side and stride `patch`, then a norm.

    An image that `patch` does not divide is zero-padded right and below, as the published dense-prediction backbones
    do, or cut with `pad` false.
    """

    keeps_own_init = True

    def __init__(self, channels: int, width: int, patch: int, pad: bool, norm: nn.Module) -> None:
        super().__init__()
        self.patch, self.pad = patch, pad
        self.proj = nn.Conv2d(channels, width, patch, stride=patch)
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, C, ceil(H / patch), ceil(W / patch)); floor with `pad` false"""
        right, below = -x.shape[3] % self.patch, -x.shape[2] % self.patch
        if self.pad and (right or below):
            x = F.pad(x, (0, right, 0, below))
        check_holds(x.shape[2], x.shape[3], self.patch, f"a patch of {self.patch}x{self.patch}")
        x = self.proj(x)
        x = to_last(x)
        return to_first(normed(self.norm, x))


class DeformableMerge(nn.Module):
    """Deformable token merging (arXiv:2105.14217, section 3.3): deformable convolution 2x2/2, norm, GELU.

    Each of the four taps of an output position reads the map bilinearly at its place plus a learned offset (dy, dx) in
    positions; what lies outside the map counts 0. An odd map loses its last row or column, though offsets can reach it.
    Plain PyTorch: the map is sampled at all taps, which a common convolution of stride 2 then reads. Sampling is done
    in float32 where the map is of half precision.
    """

    keeps_own_init = True
    rates: ClassVar[Mapping[str, float]] = {"offset.weight": 0.01}

    def __init__(self, channels: int, width: int, norm: nn.Module) -> None:
        super().__init__()
        self.offset = nn.Conv2d(channels, 8, 2, stride=2)
        self.conv = nn.Conv2d(channels, width, 2, stride=2)
        self.norm = norm
        nn.init.zeros_(self.offset.weight)
        if self.offset.bias is not None:
            nn.init.zeros_(self.offset.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, width, H // 2, W // 2)"""
        check_holds(x.shape[2], x.shape[3], 2, "a patch of 2x2")
        x = to_last(self.conv(self.sample(x, self.offset(x))))
        x = normed(self.norm, x)
        return to_first(F.gelu(x))

    @staticmethod
    def sample(x: Tensor, offset: Tensor) -> Tensor:
        """The map at every tap: x (B, C, H, W), offset (B, 8, H // 2, W // 2) -> (B, C, 2 (H // 2), 2 (W // 2)).

        Offset channels are dy, dx of the taps (0, 0), (0, 1), (1, 0), (1, 1).
        """
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32
        grid = DeformableMerge.places(offset.to(exact), *x.shape[2:])
        taps = F.grid_sample(x.to(exact), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return taps.to(x.dtype)

    @staticmethod
    def places(offset: Tensor, H: int, W: int) -> Tensor:
        """Where the taps read: (B, 8, rows, columns) -> (B, 2 rows, 2 columns, xy).

        In grid_sample's unit: -1 and 1 are the outer edges of a map's first and last position.
        """
        rows, columns = offset.shape[2:]
        H, W = exact_side(H), exact_side(W)
        shift = DeformableMerge.by_tap(offset)
        y = torch.arange(2 * rows, device=offset.device, dtype=offset.dtype)
        x = torch.arange(2 * columns, device=offset.device, dtype=offset.dtype)
        return torch.stack(
            [
                (shift[..., 1] + x) * (2 / W) + (1 / W - 1),
                (shift[..., 0] + y[:, None]) * (2 / H) + (1 / H - 1),
            ],
            dim=-1,
        )

    @staticmethod
    def by_tap(offset: Tensor) -> Tensor:
        """(B, 8, rows, columns) -> (B, 2 rows, 2 columns, yx)"""
        B, _, rows, columns = offset.shape
        shift = offset.reshape(B, 2, 2, 2, rows, columns)  # (B, tap row, tap column, yx, rows, columns)
        return shift.permute(0, 4, 1, 5, 2, 3).reshape(B, 2 * rows, 2 * columns, 2)

    def sampling_positions(self, x: Tensor) -> Tensor:
        """Where the taps read, to be drawn: (B, C, H, W) -> (B, 2 (H // 2), 2 (W // 2), yx).

        In positions of the map: 0 is the centre of the first row or column. Without an offset a tap reads at its own
        row and column.
        """
        offset = self.offset(x)
        offset = DeformableMerge.by_tap(offset.to(torch.promote_types(offset.dtype, torch.float32)))
        return offset + _grid(offset)

    def views(self, x: Tensor, *, query: Position) -> list[View]:
        """(1, C, H, W) -> the offset of every tap"""
        ends = DeformableMerge.sampling_positions(self, x)[0]
        return [Arrows("offsets of the taps", _grid(ends), ends)]


def _grid(like: Tensor) -> Tensor:
    """(..., H, W, 2) -> rows and columns (H, W, yx)"""
    rows, columns = (torch.arange(count, dtype=like.dtype, device=like.device) for count in like.shape[-3:-1])
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)


class Attention(nn.Module):
    """Multi-head self-attention over all positions."""

    def __init__(self, channels: int, heads: int, qkv_bias: bool, bias: RelativeBias | None) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.bias = bias
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        return self.proj(self.attend(x))

    def attend(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C), head after head"""
        B, H, W, C = x.shape
        q, k, v = self.qkv(x).reshape(B, H * W, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        bias = None if self.bias is None else self.bias(H, W).to(q.dtype)[None]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)  # (B, heads, N, C // heads)
        return out.transpose(1, 2).reshape(B, H, W, C)

    def views(self, x: Tensor, *, query: Position) -> list[View]:
        """(1, H, W, C) -> softmax(q k' / sqrt(d) + bias) of the query, over all positions"""
        _, H, W, C = x.shape
        q, k, _ = self.qkv(x).reshape(H * W, 3, self.heads, C // self.heads).permute(1, 2, 0, 3)  # (heads, N, d)
        number = query[0] * W + query[1]
        row = slice(number, number + 1)
        bias = None if self.bias is None else self.bias(H, W)[:, row]
        weights = attention_weights(q[:, row], k, bias)
        return [Heat("attention of the query", weights.reshape(self.heads, H, W))]


class MeanHead(nn.Module):
    """Norm, mean over positions, Linear; without pooling and Linear, "", the normed map."""

    pools = ("avg", "")

    def __init__(self, channels: int, classes: int, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.fc: nn.Module = nn.Linear(channels, classes)
        self.global_pool = "avg"

    def pool(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C), or (B, C, H, W) without pooling"""
        x = normed(self.norm, to_last(x))
        return x.mean(dim=(1, 2)) if self.global_pool else to_first(x)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, classes)"""
        return self.fc(self.pool(x))


class ClassTokenHead(nn.Module):
    """Norm of the class token, Linear (LIT-Ti)."""

    pools = ("token",)

    def __init__(self, channels: int, classes: int, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.fc: nn.Module = nn.Linear(channels, classes)

    def pool(self, token: Tensor) -> Tensor:
        """(B, 1, C) -> (B, C)"""
        return self.norm(token)[:, 0]

    def forward(self, token: Tensor) -> Tensor:
        """(B, 1, C) -> (B, classes)"""
        return self.fc(self.pool(token))
