"""Attention of all queries of a sample to the same keys, without a bias: Lo-Fi's, and that of Dual-ViT's pathways."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.kernels.references import token_attention_reference
from archdsl.kernels.support import HALF, WIDTHS, check_rows, for_inference_only, runs_kernels


@torch.library.custom_op("archdsl::token_attention", mutates_args=())
def token_attention(q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float) -> Tensor:
    """(B, queries, heads * d), (B, keys, heads * d) twice -> (B, queries, heads * d): softmax(scale q k') v.

    They are rows of a projection's output as they are, with any distance between rows.

    Raises:
        WrongUse: shapes that do not belong together.
    """
    check_rows(q, k, v, heads)
    if runs_kernels(q) and q.dtype in HALF and q.shape[2] // heads in WIDTHS and q.numel() > 0:
        from archdsl.kernels.token_attention_kernel import launched

        return launched(q, k, v, heads, scale)
    return token_attention_reference(q, k, v, heads, scale)


@token_attention.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float) -> Tensor:
    return q.new_empty(q.shape)


for_inference_only(token_attention, "token_attention")
