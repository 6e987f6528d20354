"""The Triton kernel of `block_attention`, and the launches that are tried for a shape."""

from __future__ import annotations

import math
from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from archdsl.kernels.attention_step import attend
from archdsl.kernels.references import block_attention_reference
from archdsl.kernels.row_tables import TILE, BlockArguments, tiles
from archdsl.kernels.tuning import fastest

_LOG2_E = math.log2(math.e)


@triton.jit(do_not_specialize=["samples", "kind_count"])
def _block_attention(
    q, k, v, out, query_rows, key_rows, kinds, bias, samples, kind_count,
    q_row, key_row, out_row, q_sample, key_sample, out_sample, scale,
    HEADS: tl.constexpr, D: tl.constexpr, QUERIES: tl.constexpr,
    FIRST: tl.constexpr, SECOND: tl.constexpr, THIRD: tl.constexpr, AT_ONCE: tl.constexpr,
):  # fmt: skip
    """One block and head of AT_ONCE samples: row numbers and bias are loaded once, then the samples stream through."""
    KEYS: tl.constexpr = FIRST + SECOND + THIRD
    head = tl.program_id(0) % HEADS
    block = tl.program_id(0) // HEADS
    channel = head * D + tl.arange(0, D)[None]
    query = tl.arange(0, QUERIES)
    row = tl.load(query_rows + block * QUERIES + query)
    is_query = row[:, None] >= 0
    row = tl.maximum(row, 0)[:, None]
    identity = (query[:, None] == query[None]).to(tl.float16)
    own_bias = bias + ((head * kind_count + tl.load(kinds + block)) * QUERIES + query)[:, None] * KEYS
    own_keys = key_rows + block * KEYS
    first = tl.arange(0, FIRST)
    first_at = tl.load(own_keys + first)[:, None] * key_row + channel
    first_bias = tl.load(own_bias + first[None])
    if SECOND:
        second = FIRST + tl.arange(0, SECOND)
        second_at = tl.load(own_keys + second)[:, None] * key_row + channel
        second_bias = tl.load(own_bias + second[None])
    if THIRD:
        third = FIRST + SECOND + tl.arange(0, THIRD)
        third_at = tl.load(own_keys + third)[:, None] * key_row + channel
        third_bias = tl.load(own_bias + third[None])
    sample = tl.program_id(1) * AT_ONCE
    end = tl.minimum(sample + AT_ONCE, samples)
    while sample < end:
        keys = k + key_sample.to(tl.int64) * sample
        values = v + key_sample.to(tl.int64) * sample
        x = tl.load(q + q_sample.to(tl.int64) * sample + row * q_row + channel)
        sums, top, total = attend(
            x, tl.load(keys + first_at).T, tl.load(values + first_at), first_bias, identity, None, None, None, None,
            scale, True, False, True,
        )  # fmt: skip
        if SECOND:
            sums, top, total = attend(
                x, tl.load(keys + second_at).T, tl.load(values + second_at), second_bias, identity, None, sums, top,
                total, scale, True, False, False,
            )  # fmt: skip
        if THIRD:
            sums, top, total = attend(
                x, tl.load(keys + third_at).T, tl.load(values + third_at), third_bias, identity, None, sums, top,
                total, scale, True, False, False,
            )  # fmt: skip
        y = (sums * (1 / total)[:, None]).to(out.dtype.element_ty)
        tl.store(out + out_sample.to(tl.int64) * sample + row * out_row + channel, y, mask=is_query)
        sample += 1


class Launch(NamedTuple):
    """Samples of a program, stages of its loads, and its warps."""

    at_once: int
    stages: int
    warps: int


def launched(arguments: BlockArguments) -> Tensor:
    """`block_attention` by the kernel, launched as was fastest for this shape on this device."""
    q, k, heads = arguments.q, arguments.k, arguments.heads
    keys, blocks = arguments.key_rows.shape[1], len(arguments.kinds)
    return fastest(
        ("block_attention", len(q), blocks, keys, heads, q.shape[2] // heads, q.stride(1), k.stride(1)),
        candidates(len(q), blocks * heads),
        lambda launch: run(arguments, launch),
        lambda: block_attention_reference(arguments),
        q,
    )


def candidates(samples: int, pairs: int) -> list[Launch]:
    """Launches to time: as many samples a program as leave two, four or eight programs to each of 132 processors."""
    counts = [max(1, min(samples, samples * pairs // (132 * programs))) for programs in (4, 2, 8)]
    return [Launch(count, 2, 4) for count in dict.fromkeys(counts)] + [Launch(counts[0], 1, 4)]


def run(arguments: BlockArguments, launch: Launch) -> Tensor:
    """`block_attention` by the kernel, launched so."""
    q, k, v, query_rows, key_rows, kinds, bias, heads, scale = arguments
    samples, _, channels = q.shape
    out = q.new_empty(q.shape)
    grid = (heads * len(kinds), triton.cdiv(samples, launch.at_once))
    _block_attention[grid](
        q, k, v, out, query_rows, key_rows, kinds, bias, samples, bias.shape[1],
        q.stride(1), k.stride(1), out.stride(1), q.stride(0), k.stride(0), out.stride(0), scale * _LOG2_E,
        heads, channels // heads, TILE, *tiles(key_rows.shape[1]), launch.at_once,
        num_warps=launch.warps, num_stages=launch.stages,
    )  # fmt: skip
    return out
