"""Attention of blocks of queries to their own short sets of keys, under a bias that the batch shares.

q, k and v are rows of a projection's output as they are, and the result is ready for the next projection: partition,
roll and their inverses are row numbers (`row_tables`). Windows, shifted windows, Hi-Fi's small windows and whole maps
of up to 384 positions are all of this kind.
"""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.errors import WrongUse
from archdsl.kernels.references import block_attention_reference
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
    return block_attention_reference(q, k, v, query_rows, key_rows, kinds, bias, heads, scale)


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
