"""The Triton kernel of `token_attention`, and the launches that are tried for a shape."""

from __future__ import annotations

import math
from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from archdsl.kernels.attention_step import attend
from archdsl.kernels.references import token_attention_reference
from archdsl.kernels.row_tables import TILE
from archdsl.kernels.tuning import fastest

_LOG2_E = math.log2(math.e)


@triton.jit(do_not_specialize=["query_count", "key_count"])
def _token_attention(
    q, k, v, out, query_count, key_count, q_row, key_row, out_row, q_sample, key_sample, out_sample, scale,
    HEADS: tl.constexpr, D: tl.constexpr, QUERIES: tl.constexpr, KEYS: tl.constexpr, FULL: tl.constexpr,
    LAST: tl.constexpr, AT_ONCE: tl.constexpr, IS_PADDED: tl.constexpr,
):  # fmt: skip
    """AT_ONCE tiles of queries of one sample and head, over FULL tiles of KEYS keys and one of LAST, which stays."""
    head = tl.program_id(0) % HEADS
    sample = tl.program_id(1).to(tl.int64)
    channel = head * D + tl.arange(0, D)[None]
    q += sample * q_sample
    k += sample * key_sample
    v += sample * key_sample
    out += sample * out_sample
    last = FULL * KEYS + tl.arange(0, LAST)
    is_key = last < key_count
    last_at = last[:, None] * key_row + channel
    last_keys = tl.load(k + last_at, mask=is_key[:, None], other=0.0).T
    last_values = tl.load(v + last_at, mask=is_key[:, None], other=0.0)
    tile = tl.program_id(0) // HEADS * AT_ONCE
    end = tl.minimum(tile + AT_ONCE, (query_count + QUERIES - 1) // QUERIES)
    while tile < end:
        row = (tile * QUERIES + tl.arange(0, QUERIES))[:, None]
        x = tl.load(q + row * q_row + channel, mask=row < query_count, other=0.0)
        sums = None
        top = None
        total = None
        if FULL:
            sums = tl.zeros((QUERIES, D), tl.float32)
            top = tl.full((QUERIES,), -1e30, tl.float32)
            total = tl.zeros((QUERIES,), tl.float32)
            for step in range(FULL):
                at = (step * KEYS + tl.arange(0, KEYS))[:, None] * key_row + channel
                keys = tl.load(k + at).T
                values = tl.load(v + at)
                sums, top, total = attend(
                    x, keys, values, None, None, None, sums, top, total, scale, False, False, False
                )  # fmt: skip
        sums, top, total = attend(
            x, last_keys, last_values, None, None, is_key, sums, top, total, scale, False, IS_PADDED, FULL == 0
        )
        y = (sums * (1 / total)[:, None]).to(out.dtype.element_ty)
        tl.store(out + row * out_row + channel, y, mask=row < query_count)
        tile += 1


class Launch(NamedTuple):
    """Keys of a tile, tiles of queries of a program, stages of its loads, and its warps."""

    keys: int
    at_once: int
    stages: int
    warps: int


def launched(q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float) -> Tensor:
    """`token_attention` by the kernel, launched as was fastest for this shape on this device."""
    key = ("token_attention", *q.shape, k.shape[1], heads, q.stride(1), k.stride(1))
    return fastest(
        key,
        candidates(len(q) * heads, q.shape[1], k.shape[1]),
        lambda launch: run(q, k, v, heads, scale, launch),
        lambda: token_attention_reference(q, k, v, heads, scale),
        q,
    )


def candidates(pairs: int, queries: int, keys: int) -> list[Launch]:
    """Launches to time: where the keys are one tile, as many tiles of queries a program as leave a wave or two."""
    parts = triton.cdiv(queries, TILE)
    if keys > TILE:
        return [Launch(128, 1, 3, 4), Launch(64, 1, 3, 4)]
    counts = [max(1, min(parts, parts * pairs // (132 * programs))) for programs in (4, 8)]
    return [Launch(TILE, count, 2, 4) for count in dict.fromkeys([*counts, 1])]


def run(q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float, launch: Launch) -> Tensor:
    """`token_attention` by the kernel, launched so."""
    samples, queries, channels = q.shape
    keys = k.shape[1]
    full = (keys - 1) // launch.keys
    last = max(16, triton.next_power_of_2(keys - full * launch.keys))
    out = q.new_empty(q.shape)
    grid = (heads * triton.cdiv(triton.cdiv(queries, TILE), launch.at_once), samples)
    _token_attention[grid](
        q, k, v, out, queries, keys, q.stride(1), k.stride(1), out.stride(1), q.stride(0), k.stride(0), out.stride(0),
        scale * _LOG2_E, heads, channels // heads, TILE, launch.keys, full, last, launch.at_once,
        full * launch.keys + last != keys, num_warps=launch.warps, num_stages=launch.stages,
    )  # fmt: skip
    return out
