"""One tile of keys of a softmax that is completed tile by tile (the online softmax of arXiv:2205.14135)."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def attend(
    q, k, v, bias, identity, is_key, sums, top, total, scale,
    HAS_BIAS: tl.constexpr, IS_PADDED: tl.constexpr, IS_FIRST: tl.constexpr,
):  # fmt: skip
    """-> weighted sums of values (queries, d), the largest score so far, and the total of weights.

    q (queries, d), k (d, keys), v (keys, d); `scale` holds log2(e), as powers are of 2. The bias is added by the tensor
    cores, as identity @ bias: as a tensor it would hold a float32 register for each score across the loop of samples.
    """
    scores = tl.dot(q, k)
    if HAS_BIAS:
        scores = tl.dot(identity, bias, scores)
    if IS_PADDED:
        scores = tl.where(is_key[None], scores, -1e30)
    highest = tl.max(scores, 1) * scale
    if not IS_FIRST:
        highest = tl.maximum(top, highest)
    weights = tl.exp2(scores * scale - highest[:, None])
    if IS_FIRST:
        sums = tl.dot(weights.to(v.dtype), v)
        total = tl.sum(weights, 1)
    else:
        faded = tl.exp2(top - highest)
        sums = tl.dot(weights.to(v.dtype), v, sums * faded[:, None])
        total = total * faded + tl.sum(weights, 1)
    return sums, highest, total
