"""Attention of each position to those nearest to it (DAT++, arXiv:2309.01430, after arXiv:2204.07143).

In plain PyTorch, without the natten package, whose newer versions have no position bias.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.common.views import Position, View, attention_weights, cut_to, on_a_map

_SMALLEST = 4
"""Positions of a block along a side, at least: smaller ones are many small products."""


class Cut(NamedTuple):
    """One axis of a map in blocks: positions of the queries (blocks, side) and of the keys (blocks, reach).

    The displacement (blocks, side, reach) is key - query + window - 1, or 2 * window - 1 where they do not attend.
    """

    queries: Tensor
    keys: Tensor
    displacement: Tensor


def cut(length: int, window: int, device: torch.device) -> Cut:
    """Blocks of about `window` positions, with all keys that one of their queries attends to."""
    blocks = -(-length // max(window, _SMALLEST))
    side = -(-length // blocks)
    reach = min(side + window - 1, length)
    first = torch.arange(0, blocks * side, side, device=device)[:, None]
    queries = (first + torch.arange(side, device=device)).clamp(max=length - 1)
    keys = (first - window // 2).clamp(0, length - reach) + torch.arange(reach, device=device)
    start = (queries - window // 2).clamp(0, length - window) - queries
    displacement = keys[:, None] - queries[..., None]
    near = (displacement >= start[..., None]) & (displacement < start[..., None] + window)
    return Cut(queries, keys, torch.where(near, displacement + (window - 1), 2 * window - 1))


class NeighborhoodAttention(nn.Module):
    """Attention to the window of `window` x `window` positions nearest to each, with a bias by displacement.

    At the borders the window is moved inside the map, so that all positions have as many keys; the bias goes by the
    true displacement. A map smaller than the window is zero-padded right and below before the projections, unmasked,
    and cut again before the last one, as the published code does: padded positions are keys.

    Queries that are neighbours share most keys. So the map is cut into blocks of about a window, and each block attends
    to the patch of keys around it, under a mask that shuts out what is not near: dense products over up to
    ((2 * window - 1) / window)^2 times the pairs that the papers, and our MACs, count. A copy of each query's own keys
    would need no mask, but takes longer, and at window 7 fourteen times the memory.
    """

    def __init__(self, channels: int, heads: int, window: int, biased: bool) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(channels, 3 * channels)
        self.table: nn.Parameter | None = None
        if biased:
            self.table = nn.Parameter(torch.zeros(heads, 2 * window - 1, 2 * window - 1))
            nn.init.trunc_normal_(self.table, std=0.02)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        B, H, W, C = x.shape
        rows, columns = (cut(max(side, self.window), self.window, x.device) for side in (H, W))
        x = self.attend(x, rows, columns)
        (n, t), (m, s) = rows.queries.shape, columns.queries.shape
        x = x.reshape(B, self.heads, n, m, t, s, C // self.heads).permute(0, 2, 4, 3, 5, 1, 6)
        x = x.reshape(B, n * t, m * s, C)[:, :H, :W]  # the last blocks may repeat positions
        return self.proj(x.contiguous())

    def attend(self, x: Tensor, rows: Cut, columns: Cut) -> Tensor:
        """(B, H, W, C) -> (B, heads * blocks, queries, c)"""
        q, k, v = self.in_blocks(self.qkv(self.padded(x)), rows, columns)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias(rows, columns, q))

    def padded(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H', W', C), no side smaller than the window"""
        right, below = max(self.window - x.shape[2], 0), max(self.window - x.shape[1], 0)
        return F.pad(x, (0, 0, 0, right, 0, below)) if right or below else x

    def in_blocks(self, qkv: Tensor, rows: Cut, columns: Cut) -> tuple[Tensor, Tensor, Tensor]:
        """(B, H, W, 3C) -> q (B, heads * blocks, queries, c), k and v (B, heads * blocks, keys, c)"""
        W, blocks = qkv.shape[2], len(rows.queries) * len(columns.queries)
        heads = qkv.unflatten(-1, (3 * self.heads, -1)).flatten(1, 2).transpose(1, 2)  # (B, 3 heads, H * W, c)

        def of(heads: Tensor, y: Tensor, x: Tensor) -> Tensor:
            places = (y[:, None, :, None] * W + x[None, :, None, :]).flatten()
            return heads.index_select(2, places).unflatten(2, (blocks, -1))

        q = of(heads[:, : self.heads], rows.queries, columns.queries)
        kv = of(heads[:, self.heads :], rows.keys, columns.keys)
        k, v = kv.chunk(2, dim=1)
        return q.flatten(1, 2), k.flatten(1, 2), v.flatten(1, 2)

    def bias(self, rows: Cut, columns: Cut, like: Tensor) -> Tensor:
        """-> (1, heads * blocks, queries, keys) in the dtype of `like`; -inf where they are not near"""
        size = 2 * self.window - 1
        table = self.table.to(like.dtype) if self.table is not None else like.new_zeros(self.heads, size, size)
        table = F.pad(table, (0, 1, 0, 1), value=float("-inf"))
        table = table.index_select(1, rows.displacement.flatten())
        table = table.index_select(2, columns.displacement.flatten())
        (n, t, p), (m, s, r) = rows.displacement.shape, columns.displacement.shape
        table = table.reshape(self.heads, n, t, p, m, s, r).permute(0, 1, 4, 2, 5, 3, 6)
        return table.reshape(1, self.heads * n * m, t * s, p * r)

    def views(self, x: Tensor, *, query: Position) -> list[View]:
        """(1, H, W, C) -> softmax(q k' / sqrt(d) + bias) of the query, over the positions nearest to it"""
        padded, device = self.padded(x), x.device
        H, W = padded.shape[1:3]
        tops = (min(max(at - self.window // 2, 0), side - self.window) for at, side in zip(query, (H, W), strict=True))
        rows, columns = (torch.arange(self.window, device=device) + top for top in tops)
        qkv = self.qkv(padded[0]).unflatten(-1, (3, self.heads, -1))  # (H, W, 3, heads, c)
        q = qkv[query[0], query[1], 0][:, None]
        k = qkv[rows[:, None], columns, 1].flatten(0, 1).transpose(0, 1)  # (heads, window * window, c)
        bias = None
        if self.table is not None:
            y, z = (at - where + self.window - 1 for at, where in ((rows, query[0]), (columns, query[1])))
            bias = self.table[:, y[:, None], z].flatten(1)[:, None]
        weights = attention_weights(q, k, bias).reshape(self.heads, self.window, self.window)
        placed = on_a_map(weights, rows, columns, (H, W))
        return [cut_to(placed, (x.shape[1], x.shape[2]), "attention of the query")]
