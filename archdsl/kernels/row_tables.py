"""Which rows of a token-major tensor attend to which, as tables: windows, shifted windows, whole maps.

Partition, roll and their inverses are row numbers in such a table, so that no map is copied to be cut. A block is up to
64 queries with their keys; blocks of one kind share a bias.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.errors import WrongUse

TILE = 64
"""Queries of a block, as one instruction of the tensor cores takes them."""
MOST_KEYS = 384
NEVER = -3.0e4
"""Added, in units of q k, to a score that must not count: finite, so that a tile of nothing else does no harm."""
_APART = -100.0
"""As the published shifted windows have it, in units of the softmax."""


class Blocks(NamedTuple):
    """Rows of queries and of keys by block, and what keeps positions apart that are in one block and do not meet."""

    query_rows: Tensor
    """int32 (blocks, 64); -1 where there is no query."""
    key_rows: Tensor
    """int32 (blocks, keys), keys a sum of up to three of 16, 32, 64 and 128; any row where there is no key."""
    kinds: Tensor
    """int32 (blocks,): which bias a block has."""
    apart: Tensor
    """float32 (kinds, queries, keys) without padding, in units of the softmax."""

    def to(self, device: torch.device) -> Blocks:
        """The tables on another device; `apart` stays."""
        return Blocks(self.query_rows.to(device), self.key_rows.to(device), self.kinds.to(device), self.apart)


class BlockArguments(NamedTuple):
    """What `block_attention` is called with, in its order."""

    q: Tensor
    """(B, tokens, heads * d), as are k and v; channels are adjacent, rows at any distance."""
    k: Tensor
    v: Tensor
    query_rows: Tensor
    """Those of `Blocks`, as are `key_rows` and `kinds`; every token is a query of one block."""
    key_rows: Tensor
    kinds: Tensor
    bias: Tensor
    """(heads, kinds, 64, keys) in units of q k, as `packed_bias` makes it."""
    heads: int
    scale: float


def tiles(keys: int) -> tuple[int, int, int]:
    """Up to three tiles of 16 to 128 keys, 0 for none, that hold so many with the least waste, then the fewest.

    Raises:
        WrongUse: there are more than 384.
    """
    if keys > MOST_KEYS:
        raise WrongUse(f"attention by blocks takes up to {MOST_KEYS} keys; got {keys}")
    options = [
        some
        for count in (1, 2, 3)
        for some in combinations_with_replacement((128, 64, 32, 16), count)
        if sum(some) >= keys
    ]
    best = min(options, key=lambda some: (sum(some), len(some)))
    first, second, third = (*best, 0, 0)[:3]
    return first, second, third


def windows(height: int, width: int, side: int, shift: int = 0) -> Blocks:
    """Windows of a map that `side` divides; with `shift` of the rolled map, apart where rolling brought them together.

    Raises:
        WrongUse: a window holds more than 64 positions.
    """
    place = _cut(height, width, side)  # (windows, side^2), of the map as it is cut
    y, x = place // width, place % width
    rows = (y + shift) % height * width + (x + shift) % width
    region = 3 * _stripe(y, height, side, shift) + _stripe(x, width, side, shift) if shift else torch.zeros_like(rows)
    apart, kinds = torch.unique(_APART * (region[:, :, None] != region[:, None]), dim=0, return_inverse=True)
    return _padded(rows, rows, kinds, apart)


def small_windows(height: int, width: int, side: int) -> Blocks:
    """Windows of a few positions, many to a block and shut off from one another: scores are wasted, which are cheap."""
    each = _cut(height, width, side)
    most = TILE // side**2
    blocks = -(-len(each) // most)
    count = -(-len(each) // blocks)
    rows = F.pad(each, (0, 0, 0, blocks * count - len(each)), value=-1).view(blocks, -1)
    window = torch.arange(count).repeat_interleave(side**2)
    apart = -1e9 * (window[:, None] != window).float()
    return _padded(rows, rows.clamp(min=0), torch.zeros(blocks), apart[None])


def whole(tokens: int) -> Blocks:
    """All tokens to all; a kind of bias for each block of queries."""
    blocks = -(-tokens // TILE)
    rows = torch.arange(blocks * TILE).view(blocks, TILE)
    rows = torch.where(rows < tokens, rows, -1)
    keys = torch.arange(tokens).expand(blocks, -1)
    return _padded(rows, keys, torch.arange(blocks), torch.zeros(blocks, TILE, tokens))


def packed_bias(bias: Tensor | None, blocks: Blocks, heads: int, scale: float) -> Tensor:
    """What `block_attention` adds to q k: float16 (heads, kinds, 64, keys), made once for a load of weights.

    `bias` is in units of the softmax: (heads, queries, keys), the same for all kinds, or (heads, kinds, queries, keys).
    """
    queries, keys = blocks.apart.shape[1:]
    total = blocks.apart.double()[None].expand(heads, -1, -1, -1)
    if bias is not None:
        total = total + (bias if bias.dim() == 4 else bias[:, None]).double().cpu()
    total = (total / scale).clamp(min=NEVER)
    total = F.pad(total, (0, blocks.key_rows.shape[1] - keys), value=NEVER)
    return F.pad(total, (0, 0, 0, TILE - queries)).half().contiguous()


def _cut(height: int, width: int, side: int) -> Tensor:
    """Row numbers by window: (windows, side^2)"""
    rows = torch.arange(height * width).view(height // side, side, width // side, side)
    return rows.transpose(1, 2).flatten(2).flatten(0, 1)


def _stripe(place: Tensor, length: int, side: int, shift: int) -> Tensor:
    """Which of the three stripes of a rolled side a position lies in."""
    return (place >= length - side).int() + (place >= length - shift).int()


def _padded(query_rows: Tensor, key_rows: Tensor, kinds: Tensor, apart: Tensor) -> Blocks:
    queries, keys = query_rows.shape[1], key_rows.shape[1]
    if queries > TILE:
        raise WrongUse(f"attention by blocks takes up to {TILE} queries per block; got {queries}")
    more = sum(tiles(keys)) - keys
    return Blocks(
        F.pad(query_rows, (0, TILE - queries), value=-1).int().contiguous(),
        torch.cat([key_rows, key_rows[:, :1].expand(-1, more)], 1).int().contiguous(),
        kinds.int().contiguous(),
        apart.float(),
    )
