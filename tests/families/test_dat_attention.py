"""DAT's attention in windows and at moved places, against slow and plain second implementations."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.dat.modules import single
from archdsl.families.dat.spec import Deformable
from archdsl.families.dat.window import ShiftedWindowBlock, WindowBlock
from archdsl.shape import Map
from tests.support.doubles import noise, shaken

# ------------------------------------------------------------------------------------------------------------- windows


def attended(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """(N, d), (M, d), (M, d) -> (N, d); the scale after q k^T."""
    return torch.softmax((q @ k.T) * q.shape[-1] ** -0.5 + bias, dim=-1) @ v


def in_windows(mixer: Any, x: Tensor, shift: int) -> Tensor:
    """One map (H, W, C), window by window and score by score; a shift takes the map for a torus, cut at its edges."""
    s, heads = mixer.window, mixer.heads
    H, W, C = x.shape
    rows, columns = -(-H // s) * s, -(-W // s) * s
    padded = torch.zeros(rows, columns, C, dtype=x.dtype)
    padded[:H, :W] = x
    q, k, v = (part.reshape(rows, columns, heads, -1) for part in mixer.qkv(padded).chunk(3, dim=-1))
    out = torch.zeros_like(q)
    for top, left, head in product(range(0, rows, s), range(0, columns, s), range(heads)):
        inside = [(y, z) for y in range(top, top + s) for z in range(left, left + s)]
        here = [((y + shift) % rows, (z + shift) % columns) for y, z in inside]
        bias = torch.zeros(s * s, s * s, dtype=x.dtype)
        for (i, (y, z)), (j, (other_y, other_z)) in product(enumerate(inside), repeat=2):
            if mixer.bias is not None:
                bias[i, j] = mixer.bias.table[(y - other_y + s - 1) * (2 * s - 1) + z - other_z + s - 1, head]
            wraps = (y + shift >= rows) != (other_y + shift >= rows)
            bias[i, j] -= 100 * (wraps or (z + shift >= columns) != (other_z + shift >= columns))
        ys, zs = ([place[axis] for place in here] for axis in (0, 1))
        out[ys, zs, head] = attended(q[ys, zs, head], k[ys, zs, head], v[ys, zs, head], bias)
    result: Tensor = mixer.proj(out.reshape(rows, columns, C))
    return result[:H, :W]


@pytest.mark.parametrize("bias", ["none", "relative"])
@pytest.mark.parametrize("window", [1, 2, 3, 7])
@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 7), (3, 8), (1, 2)])
@pytest.mark.parametrize("shifted", [False, True])
def test_windows_are_attention_on_the_padded_map(
    shifted: bool, height: int, width: int, window: int, bias: Any
) -> None:
    """Padding is attended to; a shift by half the window, rounded up, lets none look across the padded map's edge."""
    fields: Any = {"heads": 2, "window": window, "position_bias": {"type": bias}}
    block = ShiftedWindowBlock(type="shifted_window", **fields) if shifted else WindowBlock(type="window", **fields)
    mixer = shaken(block.mixer(Map(4, height, width)))
    x = noise(2, height, width, 4)
    with torch.no_grad():
        wanted = torch.stack([in_windows(mixer, each, -(-window // 2) if shifted else 0) for each in x])
        assert torch.allclose(mixer(x), wanted, rtol=0, atol=1e-12)


# ---------------------------------------------------------------------------------------------------------- deformable


def at(x: Tensor, y: float, z: float) -> Tensor:
    """(..., H, W) between positions; outside counts 0."""
    total = torch.zeros(x.shape[:-2], dtype=x.dtype)
    for row, column in product((math.floor(y), math.floor(y) + 1), (math.floor(z), math.floor(z) + 1)):
        if 0 <= row < x.shape[-2] and 0 <= column < x.shape[-1]:
            total = total + (1 - abs(y - row)) * (1 - abs(z - column)) * x[..., row, column]
    return total


def deformed(mixer: Any, block: Deformable, x: Tensor, table: Tensor | None) -> Tensor:
    """One map (H, W, C), key by key in pixels; `table` is that of the map's own size."""
    H, W, C = x.shape
    groups, width = block.groups, C // block.groups
    q = mixer.q(x)
    keys, places = [], []
    for group in range(groups):
        channels = slice(group * width, group * width + width)
        conv = mixer.offset.conv
        moves = F.conv2d(
            q[..., channels].permute(2, 0, 1)[None],
            conv.weight,
            conv.bias,
            stride=block.stride,
            padding=block.kernel // 2,
            groups=width,
        )[0].permute(1, 2, 0)
        moves = mixer.offset.fc(F.gelu(mixer.offset.norm(moves)))
        rows, columns = moves.shape[:2]
        found = []
        for i, j in product(range(rows), range(columns)):
            place = []
            for move, index, number in ((moves[i, j, 0], i, rows), (moves[i, j, 1], j, columns)):
                reference = 2 * (index + 0.5) / number - 1
                if block.offsets.type == "scaled":
                    place.append(math.tanh(move) * float(np.float32(1 / number)) * block.offsets.range + reference)
                else:
                    moved = float(move) + reference
                    place.append(math.tanh(moved) if block.offsets.type == "squashed" else moved)
            found.append(place)
        places.append(found)
        keys.append(
            torch.stack(
                [at(x[..., channels].permute(2, 0, 1), (y + 1) / 2 * (H - 1), (z + 1) / 2 * (W - 1)) for y, z in found]
            )
        )
    samples = torch.cat(keys, dim=-1)
    d, queries = C // block.heads, q.reshape(H * W, C)
    k, v = mixer.k(samples), mixer.v(samples)
    outs = []
    for head in range(block.heads):
        bias = torch.zeros(H * W, len(k), dtype=x.dtype)
        if table is not None:
            for m, (n, (y, z)) in product(range(H * W), enumerate(places[head * groups // block.heads])):
                dy = (2 * (m // W + 0.5) / H - 1 - y) / 2
                dz = (2 * (m % W + 0.5) / W - 1 - z) / 2
                bias[m, n] = at(table[head], (H - 1) * (1 + dy), (W - 1) * (1 + dz))
        part = slice(head * d, head * d + d)
        outs.append(attended(queries[:, part], k[:, part], v[:, part], bias))
    out = torch.cat(outs, dim=-1).reshape(H, W, C)
    if block.position_bias.type == "depthwise":
        out = out + mixer.bias(q[None])[0]
    result: Tensor = mixer.proj(out)
    return result


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 2), (2, 1), (7, 3)])
@pytest.mark.parametrize(
    "offsets", [{"type": "scaled"}, {"type": "scaled", "range": 5}, {"type": "free"}, {"type": "squashed"}]
)
@pytest.mark.parametrize("bias", ["none", "sampled", "depthwise"])
def test_deformable_attention_is_key_by_key_sampling(kernel: int, stride: int, offsets: Any, bias: Any) -> None:
    fields: Any = {"kernel": kernel, "stride": stride, "offsets": offsets, "position_bias": {"type": bias}}
    block = Deformable(type="deformable", heads=4, groups=2, **fields)
    mixer = shaken(block.mixer(Map(8, 4, 5)))
    x = noise(2, 4, 5, 8)
    with torch.no_grad():
        table = mixer.bias.table if bias == "sampled" else None
        wanted = torch.stack([deformed(mixer, block, each, table) for each in x])
        assert torch.allclose(mixer(x), wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("height", "width"), [(6, 4), (3, 7), (1, 5)])
def test_at_another_size_the_sampled_table_is_resized_bicubically(height: int, width: int) -> None:
    """The published code fails there; its transfer between sizes resizes the same way."""
    block = Deformable(type="deformable", heads=2, groups=2, kernel=3)
    mixer = shaken(block.mixer(Map(4, 4, 5)))
    x = noise(1, height, width, 4)
    with torch.no_grad():
        size = (2 * height - 1, 2 * width - 1)
        table = F.interpolate(mixer.bias.table[None], size=size, mode="bicubic", align_corners=False)[0]
        assert torch.allclose(mixer(x)[0], deformed(mixer, block, x[0], table), rtol=0, atol=1e-11)


def test_without_offsets_samples_are_drawn_towards_the_middle() -> None:
    """Seven keys over seven positions, 6/7 of a position apart."""
    block = Deformable(type="deformable", heads=2, groups=2, kernel=3)
    mixer: Any = block.mixer(Map(8, 7, 3))
    nn.init.zeros_(mixer.offset.fc.weight)
    positions = mixer.sampling_positions(torch.randn(2, 7, 3, 8))
    assert tuple(positions.shape) == (2, 2, 7, 3, 2)
    assert torch.allclose(positions[1, 1, :, 0, 0], (torch.arange(7) + 0.5) * 6 / 7)
    assert torch.allclose(positions[0, 0, 6, :, 1], (torch.arange(3) + 0.5) * 2 / 3)


def test_the_published_constant_is_of_single_precision() -> None:
    assert all(single(1 / keys) == float(np.float32(1 / keys)) for keys in range(1, 5000))


def test_places_are_found_in_single_precision_under_autocast() -> None:
    mixer: Any = Deformable(type="deformable", heads=2, groups=2, kernel=3).mixer(Map(8, 7, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert mixer.sampling_positions(torch.randn(2, 7, 3, 8)).dtype == torch.float32
        assert torch.isfinite(mixer(torch.randn(2, 7, 3, 8))).all()
