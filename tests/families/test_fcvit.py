"""FCViT against the published code (ma-xu/FCViT@77e5a9d)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archdsl.compile import Backbone, build
from archdsl.cost import count
from archdsl.families.fcvit.modules import Context
from archdsl.load.specs import load_spec, override
from archdsl.weights import published_names
from tests.support.fcvit_network import network
from tests.support.goldens import Golden, check_run, check_summary, fill, read_golden

MACS = {"fcvit_tiny": 0.902, "fcvit_b12": 2.645, "fcvit_b24": 5.059, "fcvit_b48": 9.885}
"""G, half of what torch's FlopCounterMode counts of the published code."""
KEYS = {"fcvit_tiny": 500, "fcvit_b12": 464, "fcvit_b24": 896, "fcvit_b48": 1760}
"""Tensors of the published state_dict, of which four are counters."""

ENTRIES = {
    name: {row["name"]: row for row in read_golden(name).facts["entries"]}
    for name in ("fcvit_tiny_units", "fcvit_options")
}


@pytest.fixture(scope="module")
def golden() -> Golden:
    return read_golden("fcvit_tiny")


@pytest.fixture(scope="module")
def filled(golden: Golden) -> Backbone:
    return golden.model()


@pytest.mark.parametrize("name", MACS)
def test_macs_are_those_counted_of_the_published_code(name: str) -> None:
    assert round(count(load_spec(name)).macs / 1e9, 3) == MACS[name]


@pytest.mark.parametrize("name", MACS)
def test_printed_parameters_are_in_units_of_two_to_the_twentieth(name: str) -> None:
    spec = load_spec(name)
    assert spec.paper is not None
    assert spec.paper.params is not None
    decimals = {"fcvit_tiny": 1, "fcvit_b12": 0}.get(name, 1)
    assert round(count(spec).params / 2**20, decimals) == spec.paper.params / 1e6
    assert spec.paper.note == "The authors print the parameters in units of 2^20."


@pytest.mark.parametrize("name", KEYS)
def test_the_published_state_dict_has_as_many_tensors(name: str) -> None:
    with torch.device("meta"):
        model = build(load_spec(name))
    assert len(set(published_names(model, model.state_dict()).values())) == KEYS[name]


def test_counts_of_the_smallest_are_the_published_ones_to_the_last(golden: Golden) -> None:
    assert 2 * count(golden.spec()).macs == golden.facts["flop_counter_total"]
    assert count(golden.spec()).params == golden.facts["params"]


def test_float64_maps_and_logits_are_those_of_the_published_code(golden: Golden, filled: Any) -> None:
    maps = ("stem", "stage1", "stage2", "stage3", "stage4")

    def kept(name: str, module: nn.Module, inputs: Any, out: Tensor) -> Tensor:
        if isinstance(module, Context):
            out = out - inputs[0]
        return out if name in (*maps, "norm") else out.permute(0, 3, 1, 2)

    first = filled.stage1.blocks[0]
    watched = {name: getattr(filled, name) for name in maps}
    watched |= {"norm": filled.head.norm, "stage1_block1_gc1": first.mixer.steps[0].context}
    watched |= {"stage1_block1_token_mixer": first.mixer, "stage1_block1_channel_mixer": first.mlp}
    check_run(golden, filled, watched, kept)


def test_float32_logits_differ_by_rounding_alone(golden: Golden) -> None:
    model = golden.model().float()
    with torch.no_grad():
        logits = model(golden.images()).numpy()
    assert np.abs(logits - golden.arrays["logits"]).max() <= 5e-6


def check_unit(file: str, name: str, module: Any, as_map: bool) -> None:
    """A module's output on the noise of the golden; of a context what it adds."""
    row, wanted = ENTRIES[file][name], read_golden(file).arrays[name]
    drawn = np.random.RandomState(2022).standard_normal(row["input_shape"]).astype(np.float32)
    x = torch.from_numpy(drawn).double()
    laid_out = x if as_map else x.permute(0, 2, 3, 1).contiguous()
    with torch.no_grad():
        out = module(laid_out)
    if isinstance(module, Context):
        out = out - laid_out
    out = out if as_map else out.permute(0, 3, 1, 2)
    out = out[..., : row["out"]["shape"][2], : row["out"]["shape"][3]]  # one position for all, where it is so
    check_summary(row["out"], out)
    step = row["thinned_by"]
    np.testing.assert_allclose(out[..., ::step, ::step].numpy(), wanted, rtol=0, atol=5e-6)


OURS = {"token_mixer": "mixer", "channel_mixer": "mlp", "gc1": "steps.0.context"}


@pytest.mark.parametrize("name", ENTRIES["fcvit_tiny_units"])
def test_parts_of_the_network_are_those_of_the_published_code(name: str, filled: Any) -> None:
    kind, *place = name.partition("@")[0].split(".")
    if kind == "patch_embed":
        return check_unit("fcvit_tiny_units", name, filled.stem, as_map=True)
    number, *parts = place
    if not parts:
        return check_unit("fcvit_tiny_units", name, getattr(filled, f"merge{(int(number) + 1) // 2}"), as_map=True)
    index, *inside = parts
    module = getattr(filled, f"stage{int(number) // 2 + 1}").blocks[int(index)]
    module = module.get_submodule(".".join(OURS[part] for part in inside))
    return check_unit("fcvit_tiny_units", name, module, as_map=False)


OPTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "gc_no_compete": ({"width": 16, "compete": False}, "mixer.steps.0.context", "token_mixer.gc1."),
    "gc_unweighted": ({"width": 16, "weighted": False}, "mixer.steps.0.context", "token_mixer.gc1."),
    "channel_att": ({"width": 16, "channel_attention": True}, "mlp.attention", "channel_mixer.channel_att."),
    "spatial_att": ({"width": 16, "spatial_attention": True}, "mixer.attention", "token_mixer.spatial_att."),
    "token_mixer_default_params": (
        {"width": 32, "kernels": [5, 7], "compete": False, "spatial_attention": True},
        "mixer",
        "token_mixer.",
    ),
    "channel_mixer_channel_att": ({"width": 16, "channel_attention": True}, "mlp", "channel_mixer."),
}
"""By entry: the block, our place in it and the published one."""


@pytest.mark.parametrize("name", ENTRIES["fcvit_options"])
def test_options_are_those_of_the_published_code_under_its_names(name: str) -> None:
    fields, ours, theirs = OPTIONS[name]
    model = network(**fields)
    module = model.get_submodule(f"stage1.blocks.0.{ours}")
    names = published_names(model, model.state_dict())
    place = {
        names[f"stage1.blocks.0.{ours}.{key}"].removeprefix(f"network.0.0.{theirs}"): key for key in module.state_dict()
    }
    rows = {row["key"]: tuple(row["shape"]) for row in ENTRIES["fcvit_options"][name]["state"]}
    assert set(place) == set(rows)
    state = module.state_dict()
    module.load_state_dict({key: fill(name, rows[name]).reshape(state[key].shape) for name, key in place.items()})
    check_unit("fcvit_options", name, module.double(), as_map=False)


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)])
def test_the_dense_form_at_an_odd_size_is_the_published_one(dtype: torch.dtype) -> None:
    """Each level after a norm of its own, which the next stage does not see."""
    found = read_golden("fcvit_b12_feat_187x233")
    model = found.model(features_only=True).to(dtype)
    with torch.no_grad():
        levels = model(found.images().to(dtype))
    for row, level in zip(found.facts["stages"], levels, strict=True):
        check_summary(row, level)
    most = 1e-5 if dtype == torch.float64 else 3e-5
    assert np.abs(levels[-1].numpy() - found.arrays["stage4"]).max() <= most


def test_the_dense_form_costs_what_the_published_one_does() -> None:
    found = read_golden("fcvit_b12_feat_187x233")
    run = override(found.spec(), ["image=[187,233]"])
    counted = count(run, features_only=True)
    assert (counted.params, 2 * counted.macs) == (found.facts["params"], found.facts["flop_counter_total"])


def test_convolutions_1x1_start_by_fan_out_and_the_context_as_linears_do() -> None:
    """As the published code starts them: std sqrt(2 / channels out), and 0.02."""
    torch.manual_seed(0)
    block: Any = build(load_spec("fcvit_tiny"))
    block = block.get_submodule("stage4.blocks.0")
    for linear in (block.mlp.fc1, block.mlp.fc2, block.mixer.steps[0].fc1, block.mixer.steps[1].fc2):
        assert float(linear.weight.detach().std()) == pytest.approx((2 / linear.out_features) ** 0.5, rel=0.05)
    assert float(block.mixer.steps[0].context.fc1.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
