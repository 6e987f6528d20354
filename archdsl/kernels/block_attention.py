"""Attention of blocks of queries to their own short sets of keys, under a bias that the batch shares.

q, k and v are rows of a projection's output as they are, and the result is ready for the next projection: partition,
roll and their inverses are row numbers (`row_tables`). Windows, shifted windows, Hi-Fi's small windows and whole maps
of up to 384 positions are all of this kind.
"""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.errors import WrongUse
from archdsl.kernels.row_tables import TILE
from archdsl.kernels.support import HALF, for_inference_only, runs_kernels

WIDTHS = (16, 32, 64, 128)
"""Channels of a head that the kernel takes."""


@torch.library.custom_op("archdsl::block_attention", mutates_args=())
def block_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    query_rows: Tensor,
    key_rows: Tensor,
    kinds: Tensor,
    bias: Tensor,
    heads: int,
    scale: float,
) -> Tensor:
    """(B, tokens, heads * d) each -> (B, tokens, heads * d): softmax(scale (q k' + bias)) v, block by block.

    `query_rows` (blocks, 64), `key_rows` (blocks, keys) and `kinds` (blocks,) are those of `row_tables.Blocks`; `bias`
    (heads, kinds, 64, keys) is in units of q k, as `row_tables.packed_bias` makes it. Tokens of no block: 0.

    Raises:
        WrongUse: shapes that do not belong together.
    """
    check(q, k, v, key_rows, bias, heads)
    if runs_kernels(q) and q.dtype in HALF and q.shape[2] // heads in WIDTHS and q.shape[0] > 0:
        from archdsl.kernels.block_attention_kernel import launched

        return launched(q, k, v, query_rows, key_rows, kinds, bias, heads, scale)
    return reference(q, k, v, query_rows, key_rows, kinds, bias, heads, scale)


@block_attention.register_fake
def _(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    query_rows: Tensor,
    key_rows: Tensor,
    kinds: Tensor,
    bias: Tensor,
    heads: int,
    scale: float,
) -> Tensor:
    return q.new_empty(q.shape)


for_inference_only(block_attention, "block_attention")


def reference(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    query_rows: Tensor,
    key_rows: Tensor,
    kinds: Tensor,
    bias: Tensor,
    heads: int,
    scale: float,
) -> Tensor:
    """What `block_attention` computes, by gathering rows, in float32, or in float64 for tensors of it."""
    exact = torch.promote_types(q.dtype, torch.float32)
    B, tokens, channels = q.shape
    rows, keys = query_rows.long(), key_rows.long()

    def gathered(x: Tensor, at: Tensor) -> Tensor:  # (B, blocks, heads, rows, d)
        return x[:, at.clamp(min=0)].unflatten(-1, (heads, -1)).transpose(2, 3).to(exact)

    scores = gathered(q, rows) @ gathered(k, keys).transpose(-2, -1)
    scores = scale * (scores + bias.to(exact)[:, kinds.long()].transpose(0, 1))
    out = (scores.softmax(-1) @ gathered(v, keys)).transpose(2, 3).flatten(3)  # (B, blocks, 64, channels)
    result = q.new_zeros(B, tokens + 1, channels)  # what is no query goes to the last row, which is cut off
    result[:, torch.where(rows < 0, tokens, rows).flatten()] = out.flatten(1, 2).to(q.dtype)
    return result[:, :tokens].contiguous()


def check(q: Tensor, k: Tensor, v: Tensor, key_rows: Tensor, bias: Tensor, heads: int) -> None:
    """Raises `WrongUse` for tensors that do not belong together."""
    if q.dim() != 3 or q.shape[2] % heads or any(x.stride(2) != 1 for x in (q, k, v)):
        raise WrongUse(f"q, k and v must be (B, tokens, {heads} heads * d), channels adjacent; got {tuple(q.shape)}")
    if k.shape != v.shape or k.stride() != v.stride() or len(k) != len(q) or k.shape[2] != q.shape[2]:
        raise WrongUse(f"k and v must be alike, and of q's batch and channels; got {tuple(k.shape)}, {tuple(v.shape)}")
    if len({q.dtype, k.dtype, v.dtype}) > 1:
        raise WrongUse(f"q, k and v must be of one dtype; got {q.dtype}, {k.dtype} and {v.dtype}")
    if bias.dim() != 4 or bias.shape[0] != heads or bias.shape[2:] != (TILE, key_rows.shape[1]):
        wanted = f"({heads}, kinds, {TILE}, {key_rows.shape[1]})"
        raise WrongUse(f"the bias must be {wanted}; got {tuple(bias.shape)}")
