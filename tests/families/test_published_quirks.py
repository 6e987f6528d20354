"""What bites a reimplementer of LIT and LITv2, against slow and plain second implementations."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.compile import build
from archdsl.families.common.stage_modules import PositionEmbedding, TokenStage
from archdsl.families.common.tables import RelativeBias
from archdsl.families.lit import modules as lit
from archdsl.families.litv2 import modules as litv2
from archdsl.families.litv2.spec import HiLo as HiLoBlock
from archdsl.load.specs import spec_of
from archdsl.shape import Map
from tests.support.doubles import noise, shaken

# ------------------------------------------------------------------------------------------------ deformable merging


def sampled(x: Tensor, y: float, x_at: float) -> Tensor:
    """(C, H, W) at a place between positions; outside counts 0."""
    total = torch.zeros(x.shape[0], dtype=x.dtype)
    for row, column in product((math.floor(y), math.floor(y) + 1), (math.floor(x_at), math.floor(x_at) + 1)):
        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
            total = total + (1 - abs(y - row)) * (1 - abs(x_at - column)) * x[:, row, column]
    return total


def merged(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Deformable convolution 2x2/2 of one map (C, H, W), tap by tap; offset channels dy, dx of each tap in turn."""
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    out = bias[:, None, None].repeat(1, rows, columns)
    for row, column, (i, j) in product(range(rows), range(columns), product((0, 1), (0, 1))):
        dy, dx = (offset[2 * (2 * i + j) + axis, row, column].item() for axis in (0, 1))
        out[:, row, column] += weight[:, :, i, j] @ sampled(x, 2 * row + i + dy, 2 * column + j + dx)
    return out


@pytest.mark.parametrize("kind", ["zero", "whole", "half", "fractional", "far", "edge"])
@pytest.mark.parametrize(("height", "width"), [(6, 8), (5, 7)])
def test_deformable_merging_is_tap_by_tap_sampling(kind: str, height: int, width: int) -> None:
    """Also for a map that loses its last row and column, which offsets can still reach."""
    merge = shaken(lit.DeformableMerge(3, 4, nn.Identity()))
    x, drawn = noise(2, 3, height, width), 3 * noise(2, 8, height // 2, width // 2)
    offset = {
        "zero": torch.zeros_like(drawn),
        "whole": drawn.round(),
        "half": drawn.round() + 0.5,
        "fractional": drawn,
        "far": 20 * drawn,
        "edge": torch.full_like(drawn, -1),
    }[kind]
    ours = merge.conv(merge.sample(x, offset))
    for index in range(2):
        wanted = merged(x[index], offset[index], merge.conv.weight, merge.conv.bias)
        assert torch.allclose(ours[index], wanted, rtol=0, atol=1e-12)


def test_a_merge_ends_in_batch_norm_and_gelu_of_the_map_sampled_by_its_own_offsets() -> None:
    merge = shaken(lit.DeformableMerge(3, 4, nn.BatchNorm2d(4)))
    x = noise(1, 3, 6, 8)
    offset = F.conv2d(x, merge.offset.weight, merge.offset.bias, stride=2)
    wanted = merged(x[0], offset[0], merge.conv.weight, merge.conv.bias)[None]
    norm = merge.norm
    wanted = F.batch_norm(wanted, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-5)
    assert torch.allclose(merge(x), F.gelu(wanted), rtol=0, atol=1e-12)


def test_a_fresh_merge_is_a_plain_convolution() -> None:
    merge = lit.DeformableMerge(3, 4, nn.Identity()).double()
    x = noise(2, 3, 7, 5)
    assert torch.allclose(merge(x), F.gelu(merge.conv(x)), rtol=0, atol=1e-12)


# -------------------------------------------------------------------------------------------------------------- stem


@pytest.mark.parametrize(("height", "width"), [(8, 12), (9, 10), (11, 8)])
def test_a_stem_pads_an_image_right_and_below_or_cuts_it(height: int, width: int) -> None:
    image = noise(1, 3, height, width)
    padding = shaken(lit.PatchStem(3, 5, 4, True, nn.LayerNorm(5)))
    grown = torch.zeros(1, 3, -(-height // 4) * 4, -(-width // 4) * 4, dtype=torch.float64)
    grown[:, :, :height, :width] = image
    assert torch.equal(padding(image), padding(grown))
    cutting = shaken(lit.PatchStem(3, 5, 4, False, nn.LayerNorm(5)))
    assert torch.equal(cutting(image), cutting(image[:, :, : height // 4 * 4, : width // 4 * 4]))


# --------------------------------------------------------------------------------------------------------- attention


def attended(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """(N, d), (M, d), (M, d) -> (N, d), score by score; the scale after q k^T."""
    scores = (q @ k.T) * q.shape[-1] ** -0.5
    return torch.softmax(scores if bias is None else scores + bias, dim=-1) @ v


@pytest.mark.parametrize(("height", "width"), [(3, 5), (4, 4), (1, 6)])
def test_the_relative_bias_reads_the_published_index(height: int, width: int) -> None:
    bias = shaken(RelativeBias(height, width, 2, 0.02))
    ours = bias(height, width)
    for i, j in product(range(height * width), repeat=2):
        (yi, xi), (yj, xj) = divmod(i, width), divmod(j, width)
        row = (yi - yj + height - 1) * (2 * width - 1) + (xi - xj + width - 1)
        assert torch.equal(ours[:, i, j], bias.table[row])


def test_at_another_size_the_bias_table_is_resized_bicubically() -> None:
    bias, other = shaken(RelativeBias(4, 4, 2, 0.02)), RelativeBias(6, 5, 2, 0.02).double()
    table = bias.table.T.reshape(1, 2, 7, 7)
    resized = F.interpolate(table, size=(11, 9), mode="bicubic", align_corners=False)
    with torch.no_grad():
        other.table.copy_(resized[0].flatten(1).T)
    assert torch.equal(bias(6, 5), other(6, 5))


def test_attention_is_q_k_v_in_turn_over_the_whole_map_with_the_bias_added_after_scaling() -> None:
    mixer = shaken(lit.Attention(6, 2, True, RelativeBias(2, 3, 2, 0.02)))
    x = noise(1, 2, 3, 6)
    q, k, v = mixer.qkv(x.reshape(6, 6)).split(6, dim=1)
    bias = mixer.bias(2, 3)
    heads = [attended(q[:, h], k[:, h], v[:, h], bias[n]) for n, h in enumerate((slice(0, 3), slice(3, 6)))]
    assert torch.allclose(mixer(x)[0].reshape(6, 6), mixer.proj(torch.cat(heads, dim=1)), rtol=0, atol=1e-12)


def test_a_class_token_stands_in_front_and_takes_the_first_row_of_the_table() -> None:
    table = PositionEmbedding(4, 2, 3, first=1)
    stage = shaken(TokenStage([lit.Attention(4, 2, True, None)], 4, table))
    x = noise(2, 4, 2, 3)
    tokens = torch.cat([stage.class_token.expand(2, -1, -1), x.flatten(2).transpose(1, 2)], dim=1) + table.table
    tokens = stage.blocks[0](tokens[:, None])[:, 0]
    pixels, token = stage(x)
    assert torch.allclose(token, tokens[:, :1], rtol=0, atol=1e-12)
    assert torch.allclose(pixels, tokens[:, 1:].transpose(1, 2).reshape(2, 4, 2, 3), rtol=0, atol=1e-12)


def test_at_another_size_position_embeddings_are_resized_bilinearly_without_the_tokens_row() -> None:
    table = shaken(PositionEmbedding(4, 2, 3, first=1))
    grid = table.table[:, 1:].reshape(1, 2, 3, 4).permute(0, 3, 1, 2)
    resized = F.interpolate(grid, size=(5, 4), mode="bilinear", align_corners=False)
    x = noise(1, 5, 4, 4)
    assert torch.allclose(table(x), x + resized.permute(0, 2, 3, 1), rtol=0, atol=1e-12)


# -------------------------------------------------------------------------------------------------------------- HiLo


def hilo(mixer: litv2.HiLo, x: Tensor) -> Tensor:
    """HiLo of one map (H, W, C), window by window and head by head, on the explicitly padded map."""
    s, d = mixer.window, mixer.head_dim
    H, W, C = x.shape
    padded = torch.zeros(-(-H // s) * s, -(-W // s) * s, C, dtype=x.dtype)
    padded[:H, :W] = x
    halves = []
    if mixer.high:
        q, k, v = mixer.h_qkv(padded).split(mixer.high * d, dim=-1)
        out = torch.zeros_like(q)
        for y, x_at, n in product(range(0, len(q), s), range(0, q.shape[1], s), range(mixer.high)):
            place = (slice(y, y + s), slice(x_at, x_at + s), slice(n * d, n * d + d))
            out[place] = attended(*(part[place].reshape(s * s, d) for part in (q, k, v))).reshape(s, s, d)
        halves.append(mixer.h_proj(out))
    if mixer.low:
        means = padded.reshape(padded.shape[0] // s, s, padded.shape[1] // s, s, C).mean(dim=(1, 3))
        q = mixer.l_q(padded).reshape(-1, mixer.low, d)
        k, v = (part.reshape(-1, mixer.low, d) for part in mixer.l_kv(means).chunk(2, dim=-1))
        heads = [attended(q[:, n], k[:, n], v[:, n]) for n in range(mixer.low)]
        halves.append(mixer.l_proj(torch.cat(heads, dim=1)).reshape(*padded.shape[:2], -1))
    return torch.cat(halves, dim=-1)[:H, :W]


@pytest.mark.parametrize("window", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 7), (8, 2)])
def test_hilo_is_unmasked_attention_on_the_padded_map(window: int, alpha: float, height: int, width: int) -> None:
    block = HiLoBlock(type="hilo", heads=4, window=window, alpha=alpha)
    mixer = shaken(block.mixer(Map(8, height, width)))
    x = noise(2, height, width, 8)
    wanted = torch.stack([hilo(mixer, each) for each in x])
    assert torch.allclose(mixer(x), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("heads", "alpha", "low"),
    [(12, 0, 0), (12, 0.2, 2), (12, 0.4, 4), (12, 0.5, 6), (12, 0.7, 8), (12, 0.9, 10), (12, 1, 12), (16, 0.9, 14)],
)
def test_lo_fi_heads_are_rounded_down(heads: int, alpha: float, low: int) -> None:
    assert HiLoBlock(type="hilo", heads=heads, window=2, alpha=alpha).low_heads == low
    assert HiLoBlock(type="hilo", heads=heads, window=1, alpha=alpha).low_heads == heads


# ------------------------------------------------------------------------------------------------- height and width


def transposed(model: nn.Module) -> None:
    """Turn every spatial weight over, rows to columns: offsets change places with their taps, dy with dx."""
    turn = torch.arange(8).reshape(2, 2, 2).transpose(0, 1).flip(2).flatten()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(module.weight.transpose(2, 3).clone())
        if isinstance(module, lit.DeformableMerge):
            module.offset.weight.copy_(module.offset.weight[turn])
            assert module.offset.bias is not None
            module.offset.bias.copy_(module.offset.bias[turn])


@pytest.mark.parametrize("block", ["hilo", "attention"])
def test_a_wide_image_gives_what_its_transpose_gives_a_transposed_network(block: str) -> None:
    """The published classification code of LITv2 takes every map for square, and silently mixes rows at 128 x 512."""
    fields: dict[str, Any] = {"heads": 4, "window": 3} if block == "hilo" else {"heads": 4}
    mlp = {"type": "dwconv"}
    nodes = [
        {"id": "stem", "type": "patch_stem", "width": 16},
        {"id": "stage1", "type": "mlp", "depth": 1, "mlp": mlp},
        {"id": "merge1", "type": "deformable_merge", "width": 24},
        {"id": "stage2", "type": block, "depth": 2, "mlp": mlp, **fields},
        {"id": "head", "type": "mean_head"},
    ]
    raw = {"kind": "arch", "version": 1, "name": "wide", "image": [32, 128], "classes": 10, "nodes": nodes}
    model = shaken(build(spec_of(raw)))
    image = noise(1, 3, 32, 128)
    with torch.no_grad():
        wide = model(image)
        upright = model(image.transpose(2, 3))
        transposed(model)
        tall = model(image.transpose(2, 3))
    assert torch.allclose(wide, tall, rtol=0, atol=1e-10)
    assert not torch.allclose(wide, upright, rtol=0, atol=1e-6)
