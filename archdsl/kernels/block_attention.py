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
from archdsl.kernels.row_tables import TILE, BlockArguments
from archdsl.kernels.support import HALF, WIDTHS, check_rows, for_inference_only, runs_kernels


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

    What the arguments are is said in `row_tables.BlockArguments`.

    Raises:
        WrongUse: shapes that do not belong together.
    """
    arguments = BlockArguments(q, k, v, query_rows, key_rows, kinds, bias, heads, scale)
    check(arguments)
    if runs_kernels(q) and q.dtype in HALF and q.shape[2] // heads in WIDTHS and q.shape[0] > 0:
        from archdsl.kernels.block_attention_kernel import launched

        return launched(arguments)
    return block_attention_reference(arguments)


@block_attention.register_fake
def _(q: Tensor, *_others: Tensor | float) -> Tensor:
    return q.new_empty(q.shape)


for_inference_only(block_attention, "block_attention")


def check(arguments: BlockArguments) -> None:
    """Raises `WrongUse` for tensors that do not belong together."""
    check_rows(arguments.q, arguments.k, arguments.v, arguments.heads)
    heads, keys, bias = arguments.heads, arguments.key_rows.shape[1], arguments.bias
    if bias.dim() != 4 or bias.shape[0] != heads or bias.shape[2:] != (TILE, keys):
        raise WrongUse(f"the bias must be ({heads}, kinds, {TILE}, {keys}); got {tuple(bias.shape)}")
