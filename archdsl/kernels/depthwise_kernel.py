"""The Triton kernel of `depthwise`, and the launches that are tried for a shape."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from archdsl.kernels.references import depthwise_reference
from archdsl.kernels.tuning import fastest


@triton.jit
def _gelu(x):
    """The exact GELU, by the error function."""
    return 0.5 * x * (1 + tl.erf(x * 0.7071067811865476))


@triton.jit
def _add_row(
    sums, row, taps, inside, column, in_channels,
    W: tl.constexpr, C: tl.constexpr, K: tl.constexpr, COLUMNS: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """One input row added to the ROWS x COLUMNS sums: each value is loaded once and meets every tap that reaches it.

    `taps` points at the row of padded taps that belongs to the first output row; the one for output row t lies K * t
    before it.
    """
    REACH: tl.constexpr = K // 2
    weights = ()
    for t in tl.static_range(ROWS):
        for k in tl.static_range(K):
            weights += (tl.load(taps + ((ROWS - 1 - t) * K + k) * C, mask=in_channels, other=0.0),)
    for j in tl.static_range(COLUMNS + K - 1):
        if COLUMNS < W or (j >= REACH and j < W + REACH):  # a tile as wide as the map has its padding left out
            is_read = inside
            if COLUMNS < W:
                is_read = inside & (column + (j - REACH) >= 0) & (column + (j - REACH) < W)
            value = tl.load(row + (j - REACH) * C, mask=is_read, other=0.0).to(tl.float32)
            added = ()
            for t in tl.static_range(ROWS):
                for o in tl.static_range(COLUMNS):
                    if j >= o and j - o < K:
                        added += (sums[t * COLUMNS + o] + value * weights[t * K + j - o],)
                    else:
                        added += (sums[t * COLUMNS + o],)
            sums = added
    return sums


@triton.jit(do_not_specialize=["strips"])
def _depthwise(
    x, taps, bias, y, strips,
    H: tl.constexpr, W: tl.constexpr, C: tl.constexpr, K: tl.constexpr, GELU: tl.constexpr,
    COLUMNS: tl.constexpr, ROWS: tl.constexpr, STRIPS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """STRIPS strips of COLUMNS columns, ROWS rows and CHANNELS channels a program.

    Sizes are constants, so that an address is a register and an offset; a size that is new is compiled anew.
    """
    REACH: tl.constexpr = K // 2
    ACROSS: tl.constexpr = (W + COLUMNS - 1) // COLUMNS
    # as (STRIPS, CHANNELS) and not (1, CHANNELS): taps then load in the layout of the sums
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)[None] + tl.zeros((STRIPS, 1), tl.int32)
    strip = tl.program_id(1) * STRIPS + tl.arange(0, STRIPS)[:, None]
    first_row = tl.program_id(2) * ROWS
    column = strip % ACROSS * COLUMNS
    in_channels = channel < C
    inside = in_channels & (strip < strips)
    place = (strip // ACROSS * (H * W) + column) * C + channel
    sums = (tl.load(bias + channel, mask=in_channels, other=0.0) + tl.zeros((STRIPS, CHANNELS), tl.float32),) * (
        ROWS * COLUMNS
    )
    row = tl.maximum(first_row - REACH, 0)
    while row < tl.minimum(first_row + ROWS + REACH, H):  # rows outside the map are not visited
        own_taps = taps + ((row - first_row + REACH) * (K * C) + channel)
        sums = _add_row(
            sums, x + (place + row * (W * C)), own_taps, inside, column, in_channels, W, C, K, COLUMNS, ROWS
        )
        row += 1
    for t in tl.static_range(ROWS):
        for o in tl.static_range(COLUMNS):
            is_written = inside
            if W % COLUMNS > 0:
                is_written = is_written & (column + o < W)
            if H % ROWS > 0:
                is_written = is_written & (first_row + t < H)
            value = sums[t * COLUMNS + o]
            if GELU:
                value = _gelu(value)
            at = y + (place + ((first_row + t) * W + o) * C)
            tl.store(at, value.to(y.dtype.element_ty), mask=is_written)


class Launch(NamedTuple):
    """Columns and rows of a tile, strips and channels of a program, and its warps."""

    columns: int
    rows: int
    strips: int
    channels: int
    warps: int


def launched(x: Tensor, taps: Tensor, bias: Tensor, activation: str) -> Tensor:
    """`depthwise` by the kernel, launched as was fastest for this shape on this device."""
    B, H, W, C = x.shape
    if x.numel() == 0 or x.numel() >= 2**31:  # indices have 32 bits
        return depthwise_reference(x, taps, bias, activation)
    key = ("depthwise", B, H, W, C, len(taps), activation)
    return fastest(
        key,
        candidates(B, H, W, C, len(taps)),
        lambda launch: run(x, taps, bias, activation, launch),
        lambda: depthwise_reference(x, taps, bias, activation),
        x,
    )


def candidates(B: int, H: int, W: int, C: int, kernel: int) -> list[Launch]:
    """Launches to time, a few: two channels a lane where there is work for all, else small tiles.

    Of 3x3 a strip of several rows is in registers at once; of large kernels two rows, which halves what is read again.
    """
    block = 64 if C % 64 == 0 or C > 64 else 32
    if kernel == 3:
        launches = [Launch(columns, rows, 4, block, 4) for columns, rows in ((4, 7), (2, 7), (4, 4))]
    elif B * H * W * C > 2**20:
        whole = min(W, 14)
        launches = [Launch(whole, 2, 2, block, 2), Launch(7, 2, 2, block, 2)]
    else:
        launches = [Launch(columns, 1, 1, channels, 1) for columns in (7, 4) for channels in (64, 32)]
        launches.append(Launch(min(W, 14), 1, 1, 32, 1))
    return list(dict.fromkeys(launch._replace(columns=min(launch.columns, W)) for launch in launches))


def run(x: Tensor, taps: Tensor, bias: Tensor, activation: str, launch: Launch) -> Tensor:
    """`depthwise` by the kernel, launched so."""
    B, H, W, C = x.shape
    kernel, rows = len(taps), launch.rows
    padded = F.pad(taps, (0, 0, 0, 0, rows - 1, rows - 1)) if rows > 1 else taps
    y = torch.empty_like(x)
    strips = B * triton.cdiv(W, launch.columns)
    grid = (triton.cdiv(C, launch.channels), triton.cdiv(strips, launch.strips), triton.cdiv(H, rows))
    sizes = (H, W, C, kernel, activation == "gelu")
    _depthwise[grid](x, padded.contiguous(), bias, y, strips, *sizes, *launch[:4], num_warps=launch.warps)
    return y
