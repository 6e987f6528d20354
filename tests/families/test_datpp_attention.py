"""DAT++'s attention in neighborhoods and at moved places, against slow and plain second implementations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.compile import build
from archdsl.errors import ShapeError, SpecError
from archdsl.families.datpp import displacement
from archdsl.families.datpp import modules as datpp
from archdsl.families.datpp import neighborhood_modules as neighborhood
from archdsl.families.datpp.neighborhood import Neighborhood
from archdsl.families.datpp.spec import DeformablePlus
from archdsl.load.specs import load_spec, override
from archdsl.shape import Map
from tests.support.doubles import noise, shaken
from tests.support.meta_counter import plain_neighborhood

Facts = dict[str, Any]


# ------------------------------------------------------------------------------------------------------ neighborhood


@pytest.mark.parametrize("window", [3, 5, 7, 11])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(("height", "width"), [(14, 14), (7, 8), (13, 29), (2, 9), (3, 4), (1, 1)])
def test_blocks_under_a_mask_are_each_query_with_its_own_keys(
    window: int, biased: bool, height: int, width: int
) -> None:
    mixer = shaken(neighborhood.NeighborhoodAttention(12, 3, window, biased))
    x = noise(2, height, width, 12)
    assert torch.allclose(mixer(x), plain_neighborhood(mixer, x), rtol=0, atol=1e-12)


def test_gradients_of_the_blocks_are_those_of_the_plain_form() -> None:
    mixer = shaken(neighborhood.NeighborhoodAttention(6, 3, 3, True))
    x = noise(2, 9, 4, 6).requires_grad_()
    wanted = torch.autograd.grad(plain_neighborhood(mixer, x).square().sum(), [x, *mixer.parameters()])
    found = torch.autograd.grad(mixer(x).square().sum(), [x, *mixer.parameters()])
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    small = noise(1, 2, 5, 6).requires_grad_()
    assert torch.autograd.gradcheck(mixer, small)


@pytest.mark.parametrize("window", [2, 6])
def test_a_window_has_a_middle(window: int) -> None:
    with pytest.raises(ShapeError, match=f"the window must be odd; got window {window}; use {window + 1}"):
        Neighborhood(type="neighborhood", heads=2, window=window).out(Map(16, 8, 8))


def test_a_window_of_one_position_hands_on_its_value() -> None:
    torch.manual_seed(0)
    mixer = neighborhood.NeighborhoodAttention(8, 2, 1, True).double()
    x = noise(2, 8, 5, 6).permute(0, 2, 3, 1)
    assert torch.allclose(mixer(x), mixer.proj(mixer.qkv(x)[..., 16:]))


# ------------------------------------------------------------------------------------------------------- deformable


def attended(mixer: Any, x: Tensor, bias: Tensor | None) -> Tensor:
    """One map (H, W, C) through a filled mixer, its samples taken position by position."""
    H, W, C = x.shape
    q = mixer.q(x)
    places = mixer.places(q[None])[0]  # (groups, Hk, Wk, xy)
    wide = C // mixer.groups
    samples = torch.cat(
        [
            torch.stack([read(x[..., g * wide : (g + 1) * wide], place) for place in places[g].flatten(0, 1)])
            for g in range(mixer.groups)
        ],
        dim=1,
    )
    d, heads = C // mixer.heads, []
    for head in range(mixer.heads):
        part = slice(head * d, head * d + d)
        scores = q.reshape(-1, C)[:, part] @ mixer.k(samples)[:, part].T * d**-0.5
        scores = scores if bias is None else scores + bias[head]
        heads.append(torch.softmax(scores, dim=-1) @ mixer.v(samples)[:, part])
    return torch.cat(heads, dim=1).reshape(H, W, C)


def read(x: Tensor, place: Tensor) -> Tensor:
    """(H, W, C) at a place (x, y) of which -1 and 1 are the outermost positions; outside counts 0."""
    (H, W, _), total = x.shape, torch.zeros(x.shape[2], dtype=x.dtype)
    at_x, at_y = (place[0] + 1) / 2 * (W - 1), (place[1] + 1) / 2 * (H - 1)
    for row in (at_y.floor(), at_y.floor() + 1):
        for column in (at_x.floor(), at_x.floor() + 1):
            if 0 <= row < H and 0 <= column < W:
                total = total + (1 - (at_y - row).abs()) * (1 - (at_x - column).abs()) * x[int(row), int(column)]
    return total


@pytest.mark.parametrize("kind", ["none", "sampled", "log"])
@pytest.mark.parametrize("offsets", [{"type": "clamped"}, {"type": "scaled", "range": 4}])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (3, 6)])
def test_keys_are_sampled_group_by_group_at_any_size(kind: str, offsets: Facts, height: int, width: int) -> None:
    """Also with places outside the map, and tables that are made for 4 x 4."""
    raw = {"type": "deformable_plus", "heads": 4, "groups": 2, "kernel": 3, "stride": 2}
    block = DeformablePlus.model_validate({**raw, "offsets": offsets, "position_bias": {"type": kind}})
    mixer = shaken(block.mixer(Map(8, 4, 4)))
    x = noise(2, height, width, 8)
    with torch.no_grad():
        for image, ours in zip(x, mixer(x), strict=True):
            bias = None if kind == "none" else displaced(mixer, image, kind)
            wanted = mixer.proj(attended(mixer, image, bias))
            assert torch.allclose(ours, wanted, rtol=0, atol=1e-12)


def displaced(mixer: Any, x: Tensor, kind: str) -> Tensor:
    """(heads, N, P): the bias of every pair by what lies between them, in the positions of the map that runs."""
    H, W, _ = x.shape
    places = mixer.places(mixer.q(x)[None])[0].flatten(1, 2)  # (groups, P, xy)
    bias = torch.zeros(mixer.heads, H * W, places.shape[1], dtype=x.dtype)
    size = mixer.heads // mixer.groups
    for head in range(mixer.heads):
        for query in range(H * W):
            y, z = 2 * (query // W) / (H - 1) - 1, 2 * (query % W) / (W - 1) - 1
            for key, (key_x, key_y) in enumerate(places[head // size]):
                if kind == "sampled":
                    there = torch.stack([z - key_x, y - key_y]) / 2
                    bias[head, query, key] = read(mixer.bias.table[head][..., None], there)[0]
                else:
                    d = 4 * torch.stack([y - key_y, z - key_x])
                    d = d.sign() * torch.log2(d.abs() + 1) / 3
                    bias[head, query, key] = mixer.bias.fc2(F.relu(mixer.bias.fc1(d)))[head % size]
    return bias


def test_references_are_half_a_distance_right_of_an_even_grid_and_clamped() -> None:
    """56 positions, 7 keys: 4.58, 13.75, ..., 50.42, and 59.58 held at 55 (the published grid)."""
    mixer = shaken(DeformablePlus(type="deformable_plus", heads=1, groups=1, kernel=9, stride=8).mixer(Map(4, 56, 56)))
    nn.init.zeros_(mixer.offset.fc.weight)
    places = (mixer.places(noise(1, 56, 56, 4))[0, 0, 0, :, 0] + 1) / 2 * 55
    assert torch.allclose(places, torch.tensor([55 / 12, 13.75, 22.917, 32.083, 41.25, 50.417, 55]).double(), atol=1e-3)


def test_scaled_offsets_are_in_distances_between_keys_of_single_precision() -> None:
    """The published code holds 1 / (Hk - 1) in float32 in whatever precision it runs: to 1e-15, not to 1e-8."""
    raw = {"type": "deformable_plus", "heads": 1, "groups": 1, "kernel": 3, "stride": 1}
    mixer = shaken(DeformablePlus.model_validate({**raw, "offsets": {"type": "scaled"}}).mixer(Map(4, 8, 15)))
    q = noise(1, 8, 15, 4)
    distances = torch.tensor([1 / 14, 1 / 7], dtype=torch.float32).double()
    wanted = torch.tanh(mixer.offset(q).flip(-1).permute(0, 3, 1, 2, 4)) * distances * mixer.reach
    moved = mixer.places(q)
    nn.init.zeros_(mixer.offset.fc.weight)
    assert torch.allclose(moved - mixer.places(q), wanted, rtol=0, atol=1e-14)


def test_a_fixed_bias_is_resized_over_keys_and_queries() -> None:
    bias = shaken(displacement.FixedBias((4, 6), (2, 3), 2))
    places = torch.zeros(1, 1, 3, 4, 2)
    assert torch.equal(bias(torch.zeros(1, 1, 2, 3, 2), 4, 6)[0], bias.table)
    assert bias(places, 6, 8).shape == (1, 2, 48, 12)
    nn.init.constant_(bias.table, 0.7)
    assert torch.allclose(bias(places, 6, 8), torch.tensor(0.7).double())


def test_averages_leave_out_what_the_stride_does_not_divide() -> None:
    mixer = shaken(datpp.PooledAttention(8, 2, 3))
    x = noise(1, 7, 8, 8)
    other = x.clone()
    other[:, 6:], other[:, :, 6:] = 9, 9
    corners = ((0, 0), (0, 3), (3, 0), (3, 3))
    averages = torch.stack([x[0, i : i + 3, j : j + 3].mean(dim=(0, 1)) for i, j in corners])
    heads = zip(*(part.chunk(2, dim=-1) for part in (mixer.q(x), mixer.k(averages), mixer.v(averages))), strict=True)
    read = [(q @ k.mT / 2).softmax(dim=-1) @ v for q, k, v in heads]  # heads of four channels
    wanted = mixer.proj(torch.cat(read, dim=-1))
    assert torch.allclose(mixer(x), wanted, rtol=0, atol=1e-12)
    assert torch.allclose(mixer(other)[:, :6, :6], wanted[:, :6, :6], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("fields", "side", "message"),
    [
        ({"kernel": 9, "stride": 8}, 8, "got kernel 9 at stride 8; use stride 7 or a larger image"),
        ({"kernel": 4, "stride": 4}, 7, "got kernel 4 at stride 4; use stride 3 or a larger image"),
        ({"kernel": 3, "stride": 1}, 1, "got kernel 3 at stride 1; use a larger image"),
    ],
)
def test_one_key_a_side_is_refused_when_a_spec_is_read(fields: Facts, side: int, message: str) -> None:
    block = DeformablePlus.model_validate({"type": "deformable_plus", "heads": 2, "groups": 1, **fields})
    with pytest.raises(ShapeError, match=f"at least 2 keys per side must fit on the map of {side}x9; {message}"):
        block.out(Map(16, side, 9))


def test_one_key_a_side_is_refused_when_an_image_runs() -> None:
    """The published code gives NaN for images of 32 pixels."""
    with torch.device("meta"):
        model = build(load_spec("datpp_t"))
        model(torch.zeros(1, 3, 33, 47))
        with pytest.raises(ShapeError, match="a map of 2 keys per side at stride 8; got 8x8 positions"):
            model(torch.zeros(1, 3, 32, 32))
    with pytest.raises(SpecError, match=r"nodes\[1\].blocks\[1\].stride: at least 2 keys per side must fit"):
        override(load_spec("datpp_t"), ["image=32"])


def test_averages_need_one_key_alone() -> None:
    raw = {"type": "deformable_plus", "heads": 2, "groups": 1, "kernel": 3, "stride": 4, "offsets": {"type": "none"}}
    block = DeformablePlus.model_validate(raw)
    block.out(Map(16, 4, 5))
    with pytest.raises(ShapeError, match="at least 1 key per side"):
        block.out(Map(16, 3, 9))
    with pytest.raises(ShapeError, match="an average of 4x4 positions"):
        block.build(Map(16, 8, 8))(torch.zeros(1, 3, 9, 16))
