"""What modules show of themselves is what they compute: their outputs follow from what is drawn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archdsl
from archdsl.families.common.views import Heat
from archdsl.families.dualvit.block_modules import Attention as Reader

QUERIES = ((0, 0), (3, 4), (6, 5))
SIZE = (7, 6)


def shaken(module: nn.Module) -> Any:
    """With parameters that hide nothing: no zero offsets, and scores that tell positions apart."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module.double().eval()


def noise(channels: int = 8, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.randn(1, *size, channels, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def read(weights: Tensor, values: Tensor) -> Tensor:
    """(heads, H, W), (H, W, C) -> (C,): each head's channels, weighed"""
    parts = values.flatten(0, 1).unflatten(-1, (len(weights), -1))
    return torch.einsum("hn,nhd->hd", weights.flatten(1), parts).flatten()


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    "module",
    [
        archdsl.nn.Attention(8, 2, SIZE, "relative", channels_last=True),
        archdsl.nn.WindowAttention(8, 2, window=3, channels_last=True),
        archdsl.nn.ShiftedWindowAttention(8, 2, window=3, channels_last=True),
        archdsl.nn.ShiftedWindowAttention(8, 2, window=4, position_bias="none", channels_last=True),
        archdsl.nn.NeighborhoodAttention(8, 2, window=5, channels_last=True),
        archdsl.nn.NeighborhoodAttention(8, 2, window=7, position_bias="none", channels_last=True),
    ],
    ids=lambda module: type(module).__name__ if isinstance(module, nn.Module) else None,
)
@torch.no_grad()
def test_the_attention_that_is_shown_makes_the_output_of_the_query(module: Any, query: tuple[int, int]) -> None:
    shaken(module)
    x = noise()
    (view,) = module.views(x, query=query)
    values = module.qkv(x)[0].chunk(3, dim=-1)[2]
    padding = module.qkv(torch.zeros(8, dtype=torch.float64)).chunk(3)[2].unflatten(0, (2, -1))
    beside = view.beside.get("padding", torch.zeros(2, dtype=torch.float64))
    mixed = module.proj(read(view.values, values) + (beside[:, None] * padding).flatten())
    torch.testing.assert_close(mixed, module(x)[0, query[0], query[1]])
    torch.testing.assert_close(view.values.sum((1, 2)) + beside, torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@torch.no_grad()
def test_the_energies_of_hilo_add_up_to_that_of_its_output_and_lo_fi_reads_the_averages_shown(alpha: float) -> None:
    module = shaken(archdsl.nn.HiLo(8, 4, window=2, alpha=alpha, channels_last=True))
    x = noise()
    views = module.views(x, query=(3, 4))
    energies = [view.values for view in views if view.kind == "amount"]
    torch.testing.assert_close(sum(energies), module(x).square().sum(-1))
    attention = [view for view in views if view.kind == "share"]
    assert len(attention) == (alpha > 0)
    for view in attention:
        averages = F.avg_pool2d(F.pad(x, (0, 0, 0, 0, 0, 1)).permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
        values = module.l_kv(averages)[0].chunk(2, dim=-1)[1]
        torch.testing.assert_close(module.l_proj(read(view.values, values)), module(x)[0, 3, 4, -8 * module.low // 4 :])
        assert view.cell == 2


@torch.no_grad()
def test_pooled_attention_shows_its_averages() -> None:
    module = shaken(archdsl.nn.PooledAttention(8, 2, stride=3, channels_last=True))
    x = noise()
    (view,) = module.views(x, query=(3, 4))
    values = module.v(F.avg_pool2d(x.permute(0, 3, 1, 2), 3).permute(0, 2, 3, 1))[0]
    torch.testing.assert_close(module.proj(read(view.values, values)), module(x)[0, 3, 4])


def bilinear(maps: Tensor, places: Tensor) -> Tensor:
    """A map (H, W, C) at places (points, yx) in positions, 0 outside: (points, C); written out, not by grid_sample"""
    H, W = maps.shape[:2]
    rows, columns = torch.arange(H, dtype=places.dtype), torch.arange(W, dtype=places.dtype)
    y = (1 - (places[:, :1] - rows).abs()).clamp(min=0)
    x = (1 - (places[:, 1:] - columns).abs()).clamp(min=0)
    return torch.einsum("ph,pw,hwc->pc", y, x, maps)


@pytest.mark.parametrize(
    "module",
    [
        archdsl.nn.DeformableAttention(8, 4, 2, kernel=3, size=SIZE, channels_last=True),
        archdsl.nn.DeformableAttention(8, 4, 2, kernel=3, stride=2, offsets="free", position_bias="none",
                                       channels_last=True),
        archdsl.nn.DeformablePlusAttention(8, 4, 2, kernel=3, stride=2, size=SIZE, channels_last=True),
        archdsl.nn.DeformablePlusAttention(8, 4, 2, kernel=3, stride=1, offsets="scaled", position_bias="log",
                                           channels_last=True),
    ],
    ids=["scaled", "free", "plus", "plus scaled"],
)  # fmt: skip
@torch.no_grad()
def test_the_sampling_points_that_are_shown_make_the_output_of_the_query(module: Any) -> None:
    shaken(module)
    x = noise()
    of_query, of_all = module.views(x, query=(3, 4))
    groups = x[0].unflatten(-1, (2, -1)).unbind(2)
    samples = torch.cat([bilinear(g, places) for g, places in zip(groups, of_query.places, strict=True)], dim=-1)
    values = module.v(samples).unflatten(-1, (4, -1))
    mixed = module.proj(torch.einsum("hp,phd->hd", of_query.weights, values).flatten())
    torch.testing.assert_close(mixed, module(x)[0, 3, 4])
    torch.testing.assert_close(of_query.places, module.sampling_positions(x)[0].flatten(1, 2))
    every = [module.views(x, query=(y, column))[0].weights for y in range(SIZE[0]) for column in range(SIZE[1])]
    torch.testing.assert_close(torch.stack(every).mean(0), of_all.weights)
    torch.testing.assert_close(of_all.weights.sum(1), torch.ones(4, dtype=torch.float64))


@torch.no_grad()
def test_the_offsets_of_a_merge_end_where_its_taps_read_and_start_at_their_own_positions() -> None:
    module = shaken(archdsl.nn.DeformableMerge(8, 6, channels_last=True))
    x = noise()
    (view,) = module.views(x, query=(0, 0))
    taps = bilinear(x[0], view.ends.flatten(0, 1)).reshape(1, *view.ends.shape[:2], 8).permute(0, 3, 1, 2)
    torch.testing.assert_close(F.gelu(module.norm(module.conv(taps))).permute(0, 2, 3, 1), module(x))
    assert view.starts[2, 5].tolist() == [2, 5]
    nn.init.zeros_(module.offset.weight)
    nn.init.zeros_(module.offset.bias)
    (still,) = module.views(x, query=(0, 0))
    assert torch.equal(still.ends, still.starts)


@torch.no_grad()
def test_the_attention_of_dual_vit_is_shown_over_the_map_with_what_falls_on_the_semantics() -> None:
    x, semantics = noise(), noise(size=(1, 5))[:, 0]
    reader = shaken(Reader(8, 2))
    weights = reader.weights(x.flatten(1, 2), semantics)
    values = reader.kv(semantics)[0].chunk(2, dim=-1)[1].unflatten(-1, (2, -1))
    mixed = torch.einsum("hnp,phd->nhd", weights, values).flatten(1)
    torch.testing.assert_close(reader.proj(mixed), reader(x.flatten(1, 2), semantics)[0])
    joint = shaken(archdsl.nn.JointPathBlock(8, 2, channels_last=True))
    (view,) = joint.views(x, semantics, query=(3, 4))
    torch.testing.assert_close(view.values.sum((1, 2)) + view.beside["semantic tokens"], torch.ones(2).double())
    dual = shaken(archdsl.nn.DualPathBlock(8, 2, channels_last=True))
    through, strongest = dual.views(x, semantics, query=(3, 4))
    torch.testing.assert_close(through.values.sum((1, 2)), torch.ones(2).double())
    torch.testing.assert_close(strongest.values.sum(), torch.tensor(1.0).double())


@torch.no_grad()
def test_the_context_of_fcvit_shows_what_it_adds() -> None:
    module = shaken(archdsl.nn.ContextMixer(8, heads=2, reduction=2, channels_last=True))
    x = noise()
    (view,) = module.views(x, query=(0, 0))
    gates = module.gates(x.mean((1, 2)))[0].unflatten(0, (2, -1))
    added = torch.einsum("hyx,hd->yxhd", view.values, gates).flatten(2)
    torch.testing.assert_close(x + added, module(x))
    assert archdsl.nn.ContextMixer(8, heads=None, reduction=2, channels_last=True).views(x, query=(0, 0)) == []


def test_a_map_with_its_channels_first_shows_the_same() -> None:
    last = archdsl.nn.HiLo(8, 4, window=2, alpha=0.5, channels_last=True)
    first = archdsl.nn.HiLo(8, 4, window=2, alpha=0.5)
    first.load_state_dict(last.state_dict())
    x = noise().float()
    for a, b in zip(last.views(x, query=(1, 2)), first.views(x.permute(0, 3, 1, 2), query=(1, 2)), strict=True):
        assert isinstance(a, Heat)
        assert isinstance(b, Heat)
        torch.testing.assert_close(a.values, b.values)
