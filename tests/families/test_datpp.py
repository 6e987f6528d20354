"""DAT++ networks against the published code, and the published names of their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from archdsl.compile import build
from archdsl.cost import count
from archdsl.language.canonical import canonical_hash
from archdsl.load.specs import load_spec, override, spec_of
from archdsl.weights import import_weights, published_names
from tests.support.goldens import check_summary, read_golden

Facts = dict[str, Any]


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
