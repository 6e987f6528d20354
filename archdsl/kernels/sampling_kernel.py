"""The Triton kernel of `sample_keys`, and the launches that are tried for a shape."""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from archdsl.kernels.references import sample_keys_reference
from archdsl.kernels.tuning import fastest


@triton.jit(do_not_specialize=["points"])
def _sample_keys(
    x, places, out, points,
    H: tl.constexpr, W: tl.constexpr, GROUPS: tl.constexpr, WIDTH: tl.constexpr,
    POINTS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """POINTS places of one sample and group; CHANNELS of the group's WIDTH at a time."""
    point = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    group = tl.program_id(1) % GROUPS
    sample = tl.program_id(1) // GROUPS
    is_point = point < points
    at = places + ((sample * GROUPS + group) * points + point) * 2
    across = (tl.load(at, mask=is_point, other=0.0) + 1) * (0.5 * (W - 1))
    down = (tl.load(at + 1, mask=is_point, other=0.0) + 1) * (0.5 * (H - 1))
    left = tl.floor(across)
    top = tl.floor(down)
    # a place far outside, or one that is no number, must not become an address
    column = tl.clamp(left, -2.0, W + 1.0).to(tl.int32)
    row = tl.clamp(top, -2.0, H + 1.0).to(tl.int32)
    channels_of_group = x + sample.to(tl.int64) * (H * W * GROUPS * WIDTH) + group * WIDTH
    written = out + (sample.to(tl.int64) * points + point[:, None]) * (GROUPS * WIDTH) + group * WIDTH
    for begin in tl.static_range(0, WIDTH, CHANNELS):
        channel = begin + tl.arange(0, CHANNELS)
        is_channel = channel < WIDTH
        total = tl.zeros((POINTS, CHANNELS), tl.float32)
        for i in tl.static_range(2):
            for j in tl.static_range(2):
                y = row + i
                z = column + j
                is_inside = is_point & (y >= 0) & (y < H) & (z >= 0) & (z < W)
                share_down = down - top if i else 1 - (down - top)
                share_across = across - left if j else 1 - (across - left)
                share = tl.where(is_inside, share_down * share_across, 0.0)
                place = ((y * W + z) * (GROUPS * WIDTH))[:, None] + channel[None]
                value = tl.load(channels_of_group + place, mask=is_inside[:, None] & is_channel[None], other=0.0)
                total += share[:, None] * value.to(tl.float32)
        is_written = is_point[:, None] & is_channel[None]
        tl.store(written + channel[None], total.to(out.dtype.element_ty), mask=is_written)


class Launch(NamedTuple):
    """Places and channels of a program at a time, and its warps."""

    points: int
    channels: int
    warps: int


def launched(x: Tensor, places: Tensor) -> Tensor:
    """`sample_keys` by the kernel, launched as was fastest for this shape on this device."""
    places = places.float()
    key = ("sample_keys", *x.shape, *places.shape[1:3])
    return fastest(
        key,
        candidates(x.shape[3] // places.shape[1]),
        lambda launch: run(x, places, launch),
        lambda: sample_keys_reference(x, places),
        x,
    )


def candidates(width: int) -> list[Launch]:
    """Launches to time: a lane loads 16 bytes of half precision, and a few places a program hide one another's wait."""
    channels = min(128, max(16, triton.next_power_of_2(width)))
    return [Launch(16, channels, 2), Launch(8, channels, 2), Launch(16, channels // 2, 2)]


def run(x: Tensor, places: Tensor, launch: Launch) -> Tensor:
    """`sample_keys` by the kernel, launched so."""
    B, H, W, C = x.shape
    groups, points = places.shape[1:3]
    out = torch.empty((B, points, C), dtype=x.dtype, device=x.device)
    grid = (triton.cdiv(points, launch.points), B * groups)
    _sample_keys[grid](
        x, places, out, points, H, W, groups, C // groups, launch.points, launch.channels, num_warps=launch.warps
    )
    return out
