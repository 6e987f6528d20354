"""Modules of DAT++ (arXiv:2309.01430); its attention to the nearest positions is in `neighborhood`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.common.layers import exact_side, normed, to_first, to_last, too_small
from archdsl.families.common.views import Heat, Position, View, attention_weights
from archdsl.families.dat import modules as dat


class ConvStem(nn.Module):
    """Convolution 3x3/2 to half the width, norm, GELU, convolution 3x3/2 to the width, norm."""

    def __init__(self, channels: int, width: int, norm1: nn.Module, norm2: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width // 2, 3, stride=2, padding=1)
        self.norm1 = norm1
        self.conv2 = nn.Conv2d(width // 2, width, 3, stride=2, padding=1)
        self.norm2 = norm2

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, width, H / 4, W / 4), each half rounded up"""
        x = to_last(self.conv1(x))
        x = normed(self.norm1, x)
        x = F.gelu(x)
        x = self.conv2(to_first(x))
        return to_first(normed(self.norm2, to_last(x)))


class OffsetNetwork(dat.OffsetNetwork):
    """DAT's network for the offsets, not padded where its kernel is its stride."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        """`channels` are those of one group."""
        super().__init__(channels, kernel, stride, padding=0 if kernel == stride else kernel // 2)

    def forward(self, q: Tensor) -> Tensor:
        """(B, H, W, groups * channels) -> (B, Hk, Wk, groups, yx)

        Raises:
            ShapeError: fewer than two keys a side, which have no distance for the grid to be measured in.
        """
        if min(self.keys(q.shape[1]), self.keys(q.shape[2])) < 2:
            raise too_small(q.shape[1], q.shape[2], f"a map of 2 keys per side at stride {self.conv.stride[0]}")
        return super().forward(q)

    def keys(self, side: int) -> int:
        """Keys along a side of that many positions."""
        return (side + 2 * int(self.conv.padding[0]) - self.conv.kernel_size[0]) // self.conv.stride[0] + 1


class PooledAttention(nn.Module):
    """Attention of all positions to averages over `stride` x `stride` of them.

    Rows and columns that the stride does not divide are left out of the averages; the published code fails on them.
    """

    def __init__(self, channels: int, heads: int, stride: int) -> None:
        super().__init__()
        self.heads, self.stride = heads, stride
        self.q = nn.Linear(channels, channels)
        self.k = nn.Linear(channels, channels)
        self.v = nn.Linear(channels, channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)

        Raises:
            ShapeError: the map does not hold one average.
        """
        if min(x.shape[1:3]) < self.stride:
            raise too_small(x.shape[1], x.shape[2], f"an average of {self.stride}x{self.stride} positions")
        q = self.q(x)
        return self.proj(attention(q, *self._keys_and_values(x), self.heads))

    def views(self, x: Tensor, *, query: Position) -> list[View]:
        """(1, H, W, C) -> softmax(q k' / sqrt(d)) of the query, over the averages"""
        q = dat.heads_of(self.q(x[:, query[0], query[1]]), self.heads)[:, None]
        k = dat.heads_of(self._keys_and_values(x)[0], self.heads)
        size = (x.shape[1] // self.stride, x.shape[2] // self.stride)
        weights = attention_weights(q, k).reshape(self.heads, *size)
        return [Heat("attention of the query, to averages", weights, cell=self.stride)]

    def _keys_and_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, C) -> (B, P, C) each"""
        averages = to_last(F.avg_pool2d(to_first(x), self.stride)).flatten(1, 2)
        return self.k(averages), self.v(averages)


class DeformablePlusAttention(nn.Module):
    """Attention of all positions to keys sampled at learned offsets (arXiv:2309.01430, section 3).

    A habit of the published code is kept: references lie at (i + 0.5) / (Hk - 1) of the map, half a distance right and
    below of an even grid, and the last of them outside, where a place that is clamped moves to the border. With one key
    a side the published code divides by 0 and, on a map of one position, gives NaN; here that is refused.
    """

    undecayed = ("bias.weight",)  # of a depthwise bias, which has the published table's name

    def __init__(
        self,
        channels: int,
        heads: int,
        groups: int,
        offset: OffsetNetwork,
        reach: float | None,
        bias: nn.Module | None,
    ) -> None:
        """`reach` bounds the offsets, in distances between keys; without it the places are clamped to the map. `bias`
        adds to the scores, or to the result if it is a convolution of the queries.
        """
        super().__init__()
        self.heads, self.groups, self.reach = heads, groups, reach
        self.q = nn.Linear(channels, channels)
        self.offset = offset
        self.k = nn.Linear(channels, channels)
        self.v = nn.Linear(channels, channels)
        self.bias = bias
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        q = self.q(x)
        out = self._attended(q, x)
        if isinstance(self.bias, nn.Conv2d):
            out = out + self.bias(q)
        return self.proj(out)

    def places(self, q: Tensor) -> Tensor:
        """Where the groups sample: (B, H, W, C) -> (B, groups, Hk, Wk, xy) in grid_sample's unit.

        -1 and 1 are the centres of a map's first and last position. In float32 where the queries are of half precision,
        which is too coarse for a place.
        """
        offsets = self.offset(q)
        offsets = offsets.to(dat.exact(offsets))
        y, x = offsets.permute(0, 3, 1, 2, 4).unbind(-1)  # (B, groups, Hk, Wk) each
        rows, columns = y.shape[2:]
        if self.reach is not None:
            y = torch.tanh(y) * dat.single(1 / (exact_side(rows) - 1)) * self.reach
            x = torch.tanh(x) * dat.single(1 / (exact_side(columns) - 1)) * self.reach
        places = torch.stack([x + _references(columns, x), y + _references(rows, y)[:, None]], dim=-1)
        return places.clamp(-1, 1) if self.reach is None else places

    def sampling_positions(self, x: Tensor) -> Tensor:
        """Where the mixer samples its input, to be drawn: (B, H, W, C) -> (B, groups, Hk, Wk, yx).

        In positions of the map: 0 is the centre of the first row or column, H - 1 or W - 1 that of the last.
        """
        return dat.in_positions(self.places(self.q(x)), x)

    def views(self, x: Tensor, *, query: Position) -> list[View]:
        """(1, H, W, C) -> where keys are sampled, weighed by the attention of the query and by that of all"""
        q = self.q(x)
        places = self.places(q)
        q_heads, k_heads = (dat.heads_of(part, self.heads) for part in (q, self._keys_and_values(x, places)[0]))
        bias = None
        if self.bias is not None and not isinstance(self.bias, nn.Conv2d):
            bias = self.bias(places, *x.shape[1:3])
        return dat.sampling_views(dat.in_positions(places, x), q_heads, k_heads, bias, query)

    def _attended(self, q: Tensor, x: Tensor) -> Tensor:
        """Queries and map, (B, H, W, C) each -> (B, H, W, C), head after head"""
        places = self.places(q)
        k, v = self._keys_and_values(x, places)
        bias = None
        if self.bias is not None and not isinstance(self.bias, nn.Conv2d):
            bias = self.bias(places, *q.shape[1:3]).to(q.dtype)
        return attention(q, k, v, self.heads, bias)

    def _keys_and_values(self, x: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, C), (B, groups, Hk, Wk, xy) -> (B, P, C) each; every key mixes what all groups sampled"""
        samples = dat.sampled(x, places)
        return self.k(samples), self.v(samples)


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    """Queries (B, H, W, C), keys and values (B, P, C), bias (B, heads, H * W, P) -> (B, H, W, C), head after head"""
    B, H, W, C = q.shape
    parts = ((q, H * W), (k, k.shape[1]), (v, v.shape[1]))
    q, k, v = (part.reshape(B, count, heads, C // heads).transpose(1, 2) for part, count in parts)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)  # (B, heads, H * W, C // heads)
    return out.transpose(1, 2).reshape(B, H, W, C)


def _references(count: int, like: Tensor) -> Tensor:
    """Places of `count` keys along an axis before their offsets: 2 (i + 0.5) / (count - 1) - 1"""
    return torch.arange(0.5, count, dtype=like.dtype, device=like.device) * (2 / (exact_side(count) - 1)) - 1
