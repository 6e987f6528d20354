"""DAT++ against the published code, module by module, and against slow and plain second implementations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from goldens import fill, read_golden
from meta_counter import plain_neighborhood
from test_zoo import check_summary
from torch import Tensor, nn

from archdsl.blocks.datpp import DeformablePlus
from archdsl.blocks.neighborhood import Neighborhood
from archdsl.blocks.stage import Block
from archdsl.compile import Backbone, build
from archdsl.cost import count
from archdsl.errors import ShapeError, SpecError
from archdsl.load import load_spec, override, spec_of
from archdsl.modules import datpp, displacement, layers, neighborhood
from archdsl.schema.canonical import canonical_hash
from archdsl.shape import Map
from archdsl.weights import import_weights, published_names

Facts = dict[str, Any]

UNITS = read_golden("datpp_t_units")
OPTIONS = read_golden("datpp_options")


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def shaken(module: nn.Module) -> Any:
    """The module in float64 with every parameter away from 0 and 1."""
    module = module.double().eval()
    source = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.rand(parameter.shape, dtype=parameter.dtype, generator=source))
    return module


# --------------------------------------------------------------------------------------------------- single modules


def unit_input(entry: Facts) -> Tensor:
    drawn: Any = np.random.RandomState(2022).standard_normal(entry["input_shape"])
    return torch.from_numpy(drawn.astype(np.float32))


def check_unit(entry: Facts, out: Tensor, wanted: Any) -> None:
    """(B, C, H, W) in float64 against what was stored of a float32 run.

    Its rounding of places, 1e-7 of the map's side, is a difference of as much where noise is sampled.
    """
    check_summary(entry["out"], out)
    step = entry["thinned_by"]
    error = np.abs(out[..., ::step, ::step].numpy() - wanted).max() / np.abs(wanted).max()
    assert error <= (3e-7 * max(entry["input_shape"][2:]) if "pos_shape" in entry else 1e-6)


def on_maps(module: nn.Module, x: Tensor) -> Tensor:
    """A channels-last module on a map (B, C, H, W)."""
    with torch.no_grad():
        return layers.to_first(module(layers.to_last(x.double())))


@pytest.fixture(scope="module")
def filled() -> Backbone:
    return read_golden("datpp_t").model()


def module_at(model: Backbone, path: str) -> tuple[nn.Module, bool]:
    """What stands under a published path, and whether it takes channels last."""
    stages = [model.get_submodule(f"stage{n}") for n in (1, 2, 3, 4)]
    if path == "patch_proj":
        return model.get_submodule("stem"), False
    kind, number, *rest = path.split(".")
    if kind == "down_projs":
        return model.get_submodule(f"merge{int(number) + 1}"), False
    stage = stages[int(number)]
    if not rest:
        return stage, False
    part = {"attns": "mixer", "mlps": "mlp"}[rest[0]]
    return stage.get_submodule(f"blocks.{rest[1]}.{part}"), True


@pytest.mark.parametrize("entry", UNITS.facts["entries"], ids=lambda entry: entry["name"])
def test_the_modules_of_the_network_give_what_the_published_ones_do(entry: Facts, filled: Backbone) -> None:
    module, channels_last = module_at(filled, entry["key_prefix"])
    x = unit_input(entry).double()
    with torch.no_grad():
        out = on_maps(module, x) if channels_last else module(x)
    check_unit(entry, out, UNITS.arrays[entry["name"]])
    if "pos_shape" in entry:
        check_places(module, x, UNITS.arrays[entry["name"] + ":pos"])


def check_places(module: Any, x: Tensor, wanted: Any) -> None:
    """The published places are (B, groups, Hk, Wk, yx)."""
    with torch.no_grad():
        places = module.places(module.q(layers.to_last(x))).flip(-1)
    assert places.shape == wanted.shape
    assert np.abs(places.numpy() - wanted).max() <= 3e-6


def block_of(entry: Facts) -> Block:
    """The block that the authors' constructor arguments ask for."""
    ctor = entry["ctor"]
    chosen = [name for name in ("dwc_pe", "fixed_pe", "log_cpb") if ctor[name]]
    bias = {"dwc_pe": "depthwise", "fixed_pe": "fixed", "log_cpb": "log"}[chosen[0]] if chosen else "sampled"
    offsets: Facts = {"type": "clamped"}
    if ctor["offset_range_factor"] >= 0:
        offsets = {"type": "scaled", "range": ctor["offset_range_factor"]}
    return DeformablePlus.model_validate(
        {
            "type": "deformable_plus",
            "heads": ctor["n_heads"],
            "groups": ctor["n_groups"],
            "kernel": ctor["ksize"],
            "stride": ctor["stride"],
            "offsets": {"type": "none"} if ctor["no_off"] else offsets,
            "position_bias": {"type": bias if ctor["use_pe"] else "none"},
        }
    )


def load_unit(module: nn.Module, names: Mapping[str, str], state: list[Facts]) -> None:
    """Fill a module by the published keys of it alone; the frozen offset network is left over."""
    given = {row["key"]: fill(row["key"], tuple(row["shape"])) for row in state}
    for name, parameter in module.named_parameters():
        for theirs, ours in names.items():
            name = re.sub(rf"^{re.escape(ours)}(?=\.|$)", theirs, name)
        with torch.no_grad():
            parameter.copy_(given.pop(name).reshape(parameter.shape))
    assert all(name.startswith("conv_offset.") for name in given)
    module.double().eval()


def entries(kind: str) -> list[Any]:
    return [
        pytest.param(entry, id=entry["name"]) for entry in OPTIONS.facts["entries"] if entry["name"].startswith(kind)
    ]


@pytest.mark.parametrize("entry", entries("Dpp:"))
def test_options_that_no_published_network_uses_are_those_of_the_published_code(entry: Facts) -> None:
    block = block_of(entry)
    _, channels, height, width = entry["input_shape"]
    module: Any = block.mixer(Map(channels, height, width))
    names = block.mixer_names  # type: ignore[attr-defined]
    load_unit(module, names, entry["state"])
    check_unit(entry, on_maps(module, unit_input(entry)), OPTIONS.arrays[entry["name"]])
    if not entry["ctor"]["no_off"]:
        check_places(module, unit_input(entry).double(), OPTIONS.arrays[entry["name"] + ":pos"])


def test_the_mlp_adds_the_convolution_to_its_input() -> None:
    (entry,) = (param.values[0] for param in entries("MLPconvpp"))
    module = layers.ResidualConvMlp(entry["ctor"]["channels"], 64, 3)
    load_unit(module, {"linear1.0": "fc1", "linear2.0": "fc2", "dwc": "dwconv"}, entry["state"])
    check_unit(entry, on_maps(module, unit_input(entry)), OPTIONS.arrays["MLPconvpp"])


def test_layer_scale_is_a_factor_a_channel() -> None:
    (entry,) = (param.values[0] for param in entries("LayerScale"))
    module = layers.LayerScale(entry["ctor"]["dim"], 1)
    load_unit(module, {"weight": "gamma"}, entry["state"])
    check_unit(entry, on_maps(module, unit_input(entry)), OPTIONS.arrays["LayerScale"])


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
    k, v = mixer._keys_and_values(x)
    assert k.shape == v.shape == (1, 4, 8)
    assert torch.equal(k, mixer._keys_and_values(other)[0])
    assert torch.allclose(k[0, 1], mixer.k(x[0, :3, 3:6].mean(dim=(0, 1))), rtol=0, atol=1e-12)


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
    with pytest.raises(ShapeError, match=f"at least 2 keys a side must fit on the map of {side}x9; {message}"):
        block.out(Map(16, side, 9))


def test_one_key_a_side_is_refused_when_an_image_runs() -> None:
    """The published code gives NaN for images of 32 pixels."""
    with torch.device("meta"):
        model = build(load_spec("datpp_t"))
        model(torch.zeros(1, 3, 33, 47))
        with pytest.raises(ShapeError, match="the map must hold a map of 2 keys a side at stride 8; got 8x8 positions"):
            model(torch.zeros(1, 3, 32, 32))
    with pytest.raises(SpecError, match=r"nodes\[1\].blocks\[1\].stride: at least 2 keys a side must fit"):
        override(load_spec("datpp_t"), ["image=32"])


def test_averages_need_one_key_alone() -> None:
    raw = {"type": "deformable_plus", "heads": 2, "groups": 1, "kernel": 3, "stride": 4, "offsets": {"type": "none"}}
    block = DeformablePlus.model_validate(raw)
    block.out(Map(16, 4, 5))
    with pytest.raises(ShapeError, match="at least 1 key a side"):
        block.out(Map(16, 3, 9))
    with pytest.raises(ShapeError, match="an average of 4x4 positions"):
        block.build(Map(16, 8, 8))(torch.zeros(1, 3, 9, 16))


def small(**fields: Any) -> Any:
    block = {"type": "deformable_plus", "depth": 1, "heads": 4, "groups": 2, "kernel": 3, "stride": 2, **fields}
    nodes = [
        {"id": "stem", "type": "conv_stem", "width": 16},
        {"id": "stage1", **block},
        {"id": "head", "type": "mean_head"},
    ]
    return spec_of(
        {
            "kind": "arch",
            "version": 1,
            "name": "small",
            "image": 32,
            "classes": 10,
            "weights": "datpp",
            "nodes": nodes,
        }
    )


def test_averages_are_one_network_whatever_the_bias_and_the_offset_network() -> None:
    none = {"type": "none"}
    plain = canonical_hash(small(offsets=none))
    assert plain == canonical_hash(small(offsets=none, position_bias=none, kernel=5, groups=1))
    assert plain != canonical_hash(small(offsets=none, stride=1))
    assert canonical_hash(small()) != canonical_hash(small(position_bias=none))


@pytest.mark.parametrize("kind", ["none", "sampled", "depthwise", "fixed", "log"])
def test_a_network_of_half_precision_samples_in_float32(kind: str) -> None:
    torch.manual_seed(1)
    model = build(small(position_bias={"type": kind})).eval()
    x = torch.randn(2, 3, 40, 56)
    with torch.no_grad():
        single, half = model(x), model.bfloat16()(x.bfloat16())
    assert torch.allclose(half.float(), single, rtol=0, atol=0.03)


# ----------------------------------------------------------------------------------------------------------- weights


def test_the_frozen_offset_network_of_averages_is_skipped_by_name() -> None:
    model = build(small(offsets={"type": "none"}))
    names = published_names(model, model.state_dict())
    state = {names[name]: torch.rand(tensor.shape) for name, tensor in model.state_dict().items()}
    frozen = {"0.weight": (8, 1, 3, 3), "0.bias": (8,), "1.norm.weight": (8,), "1.norm.bias": (8,), "3.weight": (2, 8)}
    state |= {f"stages.0.attns.0.conv_offset.{name}": torch.zeros(shape) for name, shape in frozen.items()}
    import_weights(model, state)
    assert torch.equal(model.get_parameter("stage1.blocks.0.mixer.q.weight"), state["stages.0.attns.0.proj_q.weight"])


def test_an_offset_network_that_is_used_may_not_be_missing() -> None:
    model = build(small())
    names = published_names(model, model.state_dict())
    state = {names[name]: tensor for name, tensor in model.state_dict().items()}
    import_weights(model, state)
    del state["stages.0.attns.0.conv_offset.3.weight"]
    with pytest.raises(Exception, match=r"missing: stages.0.attns.0.conv_offset.3.weight"):
        import_weights(model, state)


@pytest.mark.parametrize(
    ("fields", "ours", "theirs"),
    [
        ({}, "mixer.bias.table", "attns.0.rpe_table"),
        ({"position_bias": {"type": "fixed"}}, "mixer.bias.table", "attns.0.rpe_table"),
        ({"position_bias": {"type": "depthwise"}}, "mixer.bias.bias", "attns.0.rpe_table.bias"),
        ({"position_bias": {"type": "depthwise"}}, "mixer.proj.bias", "attns.0.proj_out.bias"),
        ({"position_bias": {"type": "log"}}, "mixer.bias.fc2.weight", "attns.0.rpe_table.2.weight"),
        ({"position_bias": {"type": "log"}}, "mlp.fc2.weight", "mlps.0.linear2.0.weight"),
        ({"mlp": {"type": "plain"}}, "mlp.fc1.bias", "mlps.0.chunk.linear1.bias"),
        ({}, "mlp.dwconv.bias", "mlps.0.dwc.bias"),
        ({"layer_scale": 0.1}, "scale2.gamma", "layer_scales.1.weight"),
        ({}, "local.weight", "local_perception_units.0.weight"),
    ],
)
def test_published_names_of_the_options(fields: Facts, ours: str, theirs: str) -> None:
    model = build(small(**fields))
    assert published_names(model, model.state_dict())[f"stage1.blocks.0.{ours}"] == f"stages.0.{theirs}"


def test_the_recipe_decays_the_tables_of_neighborhoods_alone() -> None:
    """Names with `rpe_table` are left out of weight decay, natten's `rpb` is not."""
    with torch.device("meta"):
        kept = build(load_spec("datpp_t")).no_weight_decay()
    assert "stage1.blocks.1.mixer.bias.table" in kept
    assert len(kept) == 1 + 2 + 9 + 2


# ----------------------------------------------------------------------------------------------------------- network


@pytest.mark.parametrize(
    ("name", "overrides", "macs"),
    [("datpp_t", (), 4.259), ("datpp_s", (), 9.382), ("datpp_b", (), 16.502), ("datpp_b", ("image=384",), 49.502)],
)
def test_macs_are_those_of_the_published_code(name: str, overrides: tuple[str, ...], macs: float) -> None:
    assert round(count(override(load_spec(name), list(overrides))).macs / 1e9, 3) == macs


@pytest.mark.slow
def test_the_published_stage_maps_and_logits() -> None:
    """In float64; stage 3 has a standard deviation of 400 with these weights."""
    found = read_golden("datpp_t")
    model, rows = found.model(), {row["stage"]: row for row in found.facts["stages"]}
    seen: dict[str, Tensor] = {}
    for name, module in model.named_children():
        module.register_forward_hook(lambda module, inputs, out, name=name: seen.update({name: out}))
    with torch.no_grad():
        logits = model(found.images().double())
    for name in ("stem", "stage1", "stage2", "stage3", "stage4"):
        scale: float = rows[name]["abs_max"]
        row = {key: np.array(rows[name][key]) / scale for key in ("mean", "std", "abs_max", "head")}
        check_summary({**rows[name], **row}, seen[name] / scale)
    wanted = found.arrays["logits64"]
    assert np.abs(logits.numpy() - wanted).max() <= 1e-8 * np.abs(wanted).max()


def test_float32_logits_differ_by_rounding_alone() -> None:
    found = read_golden("datpp_t")
    with torch.no_grad():
        logits = found.model().float()(found.images()).numpy()
    assert np.abs(logits - found.arrays["logits"]).max() <= 3e-5
    assert count(found.spec()).params == found.facts["params"]
    assert count(found.spec()).macs * 2 == found.facts["flop_counter_total"]


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)])
def test_the_pyramid_is_that_of_the_published_detection_backbone(dtype: torch.dtype) -> None:
    """Built for 224 pixels, run at 192 x 256: tables are read as they are."""
    found = read_golden("datpp_t_det_192x256")
    model = found.model(features_only=True).to(dtype)
    with torch.no_grad():
        levels = model(found.images().to(dtype))
    for row, level in zip(found.facts["stages"], levels, strict=True):
        check_summary(row, level)
    assert np.abs(levels[-1].numpy() - found.arrays["stage4"]).max() <= 1e-4
    assert count(found.spec(), features_only=True).params == found.facts["params"]
    run = override(found.spec(), [f"image={found.facts['image_size']}"])
    assert count(run, features_only=True).macs * 2 == found.facts["flop_counter_total"]
