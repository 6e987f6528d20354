"""Modules of DAT (arXiv:2201.00520); the windows of its early stages are in `windows`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.common.layers import check_holds, exact_side, normed, to_first, to_last
from archdsl.families.common.tables import resize
from archdsl.families.common.views import Points, Position, View, attention_weights

if TYPE_CHECKING:
    from archdsl.families.dat.offsets import Offsets


class ConvMerge(nn.Module):
    """A strided convolution, zero-padded by (kernel - 1) // 2, then a norm."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int, bias: bool, norm: nn.Module) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel, stride, (kernel - 1) // 2, bias=bias)
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, width, H', W')"""
        kernel, padding = self.proj.kernel_size[0], int(self.proj.padding[0])
        check_holds(x.shape[2], x.shape[3], kernel - 2 * padding, f"a kernel of {kernel}x{kernel}")
        return to_first(normed(self.norm, to_last(self.proj(x))))


class OffsetNetwork(nn.Module):
    """Offsets of the keys from the queries: depthwise convolution, norm, GELU, Linear, the same for all groups.

    The groups' channels go through one convolution, whose weights stand there once a group, so that the map need not be
    copied group by group.
    """

    def __init__(self, channels: int, kernel: int, stride: int, padding: int) -> None:
        """`channels` are those of one group."""
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.fc = nn.Linear(channels, 2, bias=False)

    def forward(self, q: Tensor) -> Tensor:
        """(B, H, W, groups * channels) -> (B, Hk, Wk, groups, yx)"""
        x = to_last(self._convolved(to_first(q)))
        x = x.unflatten(-1, (-1, self.norm.normalized_shape[0]))  # (B, Hk, Wk, groups, channels)
        x = self.norm(x)
        x = F.gelu(x)
        return self.fc(x)

    def _convolved(self, q: Tensor) -> Tensor:
        """(B, groups * channels, H, W) -> (B, groups * channels, Hk, Wk)"""
        conv, bias = self.conv, self.conv.bias
        assert bias is not None
        groups = q.shape[1] // conv.out_channels
        weight = conv.weight.repeat(groups, 1, 1, 1)
        return F.conv2d(q, weight, bias.repeat(groups), conv.stride, conv.padding, groups=q.shape[1])


class SampledBias(nn.Module):
    """A learned bias by displacement, a table a head, read bilinearly between whole displacements.

    Queries stand at DAT's contracted references, not at their pixels: a displacement of one position is
    (H - 1) / H entries. At another map size than the one it was built for the table is resized bicubically, as the
    authors' transfer to 384 pixels does.
    """

    undecayed = ("table",)

    def __init__(self, height: int, width: int, heads: int) -> None:
        super().__init__()
        self.size = (2 * height - 1, 2 * width - 1)
        self.table = nn.Parameter(torch.zeros(heads, *self.size))
        nn.init.trunc_normal_(self.table, std=0.01)

    def forward(self, places: Tensor, height: int, width: int) -> Tensor:
        """(B, groups, Hk, Wk, xy) -> (B, heads, height * width, Hk * Wk), query by key"""
        B, groups = places.shape[:2]
        between = displacement(self.side(height, places), self.side(width, places), places).flatten(0, 1)
        table = self.at(height, width).to(places.dtype)
        table = table.unflatten(0, (groups, -1)).expand(B, -1, -1, -1, -1).flatten(0, 1)
        bias = F.grid_sample(table, between, mode="bilinear", padding_mode="zeros", align_corners=True)
        return bias.unflatten(0, (B, groups)).flatten(1, 2)

    @staticmethod
    def side(count: int, like: Tensor) -> Tensor:
        """Where queries stand along a side, -1 to 1."""
        return references(count, like)

    def at(self, height: int, width: int) -> Tensor:
        """(heads, 2 height - 1, 2 width - 1)"""
        size = (2 * height - 1, 2 * width - 1)
        return self.table if self.size == size else resize(self.table, size)

    def size_of(self, table: Tensor) -> tuple[int, int] | None:
        """The grid of another map's table, (heads, 2H - 1, 2W - 1)."""
        return (table.shape[1], table.shape[2]) if table.dim() == 3 and len(table) == len(self.table) else None

    def resized(self, table: Tensor, size: tuple[int, int]) -> Tensor:
        """A table on a grid of that size -> one of this module's shape, bicubically."""
        return resize(table, self.size)


class DeformableAttention(nn.Module):
    """Attention of all positions to keys sampled at learned offsets (arXiv:2201.00520, section 3.2).

    Two habits of the published code are kept. References lie at (i + 0.5) / Hk of the map from its first to its last
    pixel's centre, so that without an offset the samples are drawn towards the middle by up to half a pixel. And what
    is sampled outside the map counts 0, as positions are not held inside it. The published code fails at any other map
    size than the one it was built for; here only the bias table depends on it, and is resized.
    """

    undecayed = ("bias.weight",)  # of a depthwise bias, which has the published table's name

    def __init__(
        self,
        channels: int,
        heads: int,
        groups: int,
        offset: OffsetNetwork,
        offsets: Offsets,
        bias: nn.Module | None,
    ) -> None:
        """`bias` adds to the scores if it is a `SampledBias`, else its map of the queries to the result."""
        super().__init__()
        self.heads, self.groups, self.offsets = heads, groups, offsets
        self.q = nn.Linear(channels, channels)
        self.offset = offset
        self.k = nn.Linear(channels, channels)
        self.v = nn.Linear(channels, channels)
        self.bias = bias
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        q = self.q(x)
        out = self.attend(q, x)
        if self.bias is not None and not isinstance(self.bias, SampledBias):
            out = out + self.bias(q)
        return self.proj(out)

    def attend(self, q: Tensor, x: Tensor) -> Tensor:
        """Queries and map, (B, H, W, C) each -> (B, H, W, C), head after head"""
        B, H, W, C = q.shape
        places = self.places(q)
        k, v = self.keys_and_values(x, places)
        bias = self.bias(places, H, W).to(q.dtype) if isinstance(self.bias, SampledBias) else None
        parts = ((q, H * W), (k, k.shape[1]), (v, v.shape[1]))
        q, k, v = (part.reshape(B, count, self.heads, C // self.heads).transpose(1, 2) for part, count in parts)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)  # (B, heads, N, C // heads)
        return out.transpose(1, 2).reshape(B, H, W, C)

    def keys_and_values(self, x: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, C), (B, groups, Hk, Wk, xy) -> (B, Hk * Wk, C) each; every key mixes what all groups sampled"""
        samples = sampled(x, places)
        return self.k(samples), self.v(samples)

    def places(self, q: Tensor) -> Tensor:
        """Where the groups sample: (B, H, W, C) -> (B, groups, Hk, Wk, xy) in grid_sample's unit.

        -1 and 1 are the centres of a map's first and last position. In float32 where the queries are of half precision,
        which is too coarse for a place.
        """
        offsets = self.offset(q)
        offsets = offsets.to(exact(offsets))
        y, x = offsets.permute(0, 3, 1, 2, 4).unbind(-1)  # (B, groups, Hk, Wk) each
        rows, columns = y.shape[2:]
        y = self._bounded(y, references(rows, y)[:, None], rows)
        x = self._bounded(x, references(columns, x), columns)
        return torch.stack([x, y], dim=-1)

    def _bounded(self, offset: Tensor, reference: Tensor, keys: int) -> Tensor:
        """One coordinate of the places: the reference moved by the offset, of `keys` along that side."""
        if self.offsets.type == "scaled":
            return torch.tanh(offset) * single(1 / exact_side(keys)) * self.offsets.range + reference
        moved = offset + reference
        return torch.tanh(moved) if self.offsets.type == "squashed" else moved

    def sampling_positions(self, x: Tensor) -> Tensor:
        """Where the mixer samples its input, to be drawn: (B, H, W, C) -> (B, groups, Hk, Wk, yx).

        In positions of the map: 0 is the centre of the first row or column, H - 1 or W - 1 that of the last.
        """
        return in_positions(self.places(self.q(x)), x)

    def views(self, x: Tensor, *, query: Position) -> list[View]:
        """(1, H, W, C) -> where keys are sampled, weighed by the attention of the query and by that of all"""
        q = self.q(x)
        places = self.places(q)
        bias = self.bias(places, *x.shape[1:3]) if isinstance(self.bias, SampledBias) else None
        k, _ = self.keys_and_values(x, places)
        return sampling_views(in_positions(places, x), heads_of(q, self.heads), heads_of(k, self.heads), bias, query)


def in_positions(places: Tensor, x: Tensor) -> Tensor:
    """Places in grid_sample's unit, (..., xy), in positions of x (B, H, W, C): (..., yx)"""
    last = torch.tensor([x.shape[1] - 1, x.shape[2] - 1], dtype=places.dtype, device=places.device)
    return (places.flip(-1) + 1) / 2 * last


def heads_of(x: Tensor, heads: int) -> Tensor:
    """(1, ..., C) -> (heads, ..., C // heads)"""
    return x[0].unflatten(-1, (heads, -1)).movedim(-2, 0)


def sampling_views(positions: Tensor, q: Tensor, k: Tensor, bias: Tensor | None, query: Position) -> list[View]:
    """The sampling points of one image, with the weight of each key: softmax(q k' / sqrt(d) + bias).

    positions (1, groups, Hk, Wk, yx), q (heads, H, W, d), k (heads, P, d), bias (1, heads, H * W, P)
    """
    weights = attention_weights(q.flatten(1, 2), k, None if bias is None else bias[0])  # (heads, N, P)
    places, number = positions[0].flatten(1, 2), query[0] * q.shape[2] + query[1]
    return [
        Points("sampling points, attention of the query", places, weights[:, number]),
        Points("sampling points, mean attention of all positions", places, weights.mean(1), query=False),
    ]


def displacement(y: Tensor, x: Tensor, places: Tensor) -> Tensor:
    """Half of query - key, the queries at all pairs of y (H,) and x (W,).

    (B, groups, Hk, Wk, xy) -> (B, groups, H * W, Hk * Wk, xy)
    """
    size = (len(y), len(x))
    queries = torch.stack([(x / 2).expand(size), (y / 2)[:, None].expand(size)], dim=-1).flatten(0, 1)[:, None]
    return torch.sub(queries, places.flatten(2, 3)[:, :, None], alpha=0.5)  # queries: (H * W, 1, xy)


def references(count: int, like: Tensor) -> Tensor:
    """Centres of `count` equal parts of a side, -1 to 1: (count,) of `like`'s dtype and device."""
    return (torch.arange(count, dtype=like.dtype, device=like.device) + 0.5) * (2 / exact_side(count)) - 1


def exact(x: Tensor) -> torch.dtype:
    """The dtype of places: float32 at least."""
    return torch.promote_types(x.dtype, torch.float32)


def single(value: float) -> float:
    """Rounded to the 24 bits of float32, by Veltkamp's splitting.

    The published code keeps the distance of keys in float32 in whatever precision it runs, and its float64 logits show
    it.
    """
    spread = value * (2**29 + 1)
    return spread - (spread - value)


def sampled(x: Tensor, places: Tensor) -> Tensor:
    """Each group's channels at its own places: (B, H, W, C), (B, groups, Hk, Wk, xy) -> (B, Hk * Wk, C).

    Bilinear, 0 outside, in the precision of the places: torch's own sampling of half precision is wrong on a CPU.
    """
    B, groups, rows, columns = places.shape[:4]
    maps = to_first(x).unflatten(1, (groups, -1)).flatten(0, 1)  # (B * groups, C // groups, H, W)
    grid = places.flatten(0, 1)
    samples = F.grid_sample(maps.to(grid.dtype), grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return samples.reshape(B, x.shape[3], rows * columns).transpose(1, 2).contiguous().to(x.dtype)
