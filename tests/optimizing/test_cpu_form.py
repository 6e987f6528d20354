"""The inference form on a CPU: equal to rounding, with nothing gathered or folded anew in a forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import archdsl
from archdsl.compile import Backbone
from archdsl.families.common.layers import LayerScale
from archdsl.families.common.tables import RelativeBias
from archdsl.optimizing import weight_order
from archdsl.optimizing.cpu_forms import FORMS
from tests.support.untrained import network

NETWORKS = ["lit_ti", "lit_s", "litv2_s", "dat_t", "datpp_t", "dualvit_s", "fcvit_tiny"]


def difference(model: Backbone, form: Backbone, *size: int) -> float:
    """Of the largest value, on noise (1, 3, *size)."""
    x = torch.randn(1, 3, *size)
    with torch.inference_mode():
        wanted, found = model(x), form(x)
    pairs = zip(wanted, found, strict=True) if isinstance(wanted, list) else [(wanted, found)]
    return max(float((b - a).abs().max() / a.abs().max()) for a, b in pairs)


@pytest.fixture(autouse=True, scope="module")
def _orders_of_these_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is measured here is no choice for other processes: the machine may be busy."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("orders")
        patch.setattr(weight_order, "cache_folder", lambda: folder)
        yield


@pytest.mark.parametrize("name", NETWORKS)
def test_the_form_gives_what_the_network_gives(name: str) -> None:
    model = network(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    form = archdsl.optimize(model)
    assert difference(model, form, *model.spec.image_size) < 3e-5
    assert {type(module) for module in form.modules()} != {type(module) for module in model.modules()}
    assert not any(parameter.requires_grad for parameter in form.parameters())
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize("name", ["litv2_s", "datpp_t", "dualvit_s"])
def test_the_form_of_a_dense_build_runs_at_other_sizes(name: str) -> None:
    model = network(name, features_only=True)
    assert difference(model, archdsl.optimize(model), 128, 96) < 3e-5


@pytest.mark.parametrize("name", ["lit_s", "litv2_s", "datpp_t"])
def test_layer_scales_are_folded_where_a_linear_ends_the_branch(name: str) -> None:
    model = network(name, *(f"stage{number}.layer_scale=0.1" for number in (1, 2, 3, 4)))
    form = archdsl.optimize(model)
    assert any(isinstance(module, LayerScale) for module in model.modules())
    assert not any(isinstance(module, LayerScale) for module in form.modules())
    assert difference(model, form, *model.spec.image_size) < 3e-5


def test_no_batch_norm_and_no_layer_scale_is_left_in_dual_vit() -> None:
    form = archdsl.optimize(network("dualvit_s"))
    assert not any(isinstance(module, LayerScale | nn.BatchNorm2d) for module in form.modules())


def test_a_bias_is_gathered_once() -> None:
    form = archdsl.optimize(network("lit_s"))
    biases = [module for module in form.modules() if isinstance(module, RelativeBias)]
    assert biases
    assert all(module(4, 4) is module(4, 4) for module in biases if module.size == (7, 7))


def test_a_subclass_has_no_form() -> None:
    """Which changes the arithmetic, as plugins and tools may."""
    model = network("fcvit_tiny")
    kinds = {type(module) for module in model.modules()} & set(FORMS)
    for module in model.modules():
        if type(module) in kinds:
            module.__class__ = type(f"Other{type(module).__name__}", (type(module),), {})
    form = archdsl.optimize(model)
    assert {type(module).__name__ for module in form.modules()} == {type(module).__name__ for module in model.modules()}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_has_a_form_too(dtype: torch.dtype) -> None:
    model = network("litv2_s").to(dtype)
    form = archdsl.optimize(model)
    with torch.inference_mode():
        assert form(torch.randn(1, 3, 64, 64).to(dtype)).dtype == dtype


def test_the_order_of_weights_is_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Then remembered, in this process and for the next."""
    monkeypatch.setattr(weight_order, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(weight_order, "_chosen", {})
    count = 0

    def measured(*_runs: Callable[[], None]) -> list[float]:
        nonlocal count
        count += 1
        return [1.0, 0.5]

    monkeypatch.setattr(weight_order, "_tenth_percentiles", measured)
    model = network("fcvit_tiny")
    form = archdsl.optimize(model)
    assert count
    assert list((tmp_path / "orders").iterdir())
    assert not any(module.weight.is_contiguous() for module in form.modules() if type(module) is nn.Linear)
    assert difference(model, form, *model.spec.image_size) < 3e-5
    monkeypatch.setattr(weight_order, "_chosen", {})
    first, _ = count, archdsl.optimize(model)
    assert count == first


def test_an_order_that_gains_nothing_is_not_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weight_order, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(weight_order, "_chosen", {})
    monkeypatch.setattr(weight_order, "_tenth_percentiles", lambda *_runs: [1.0, 0.99])
    form = archdsl.optimize(network("fcvit_tiny"))
    assert all(module.weight.is_contiguous() for module in form.modules() if type(module) is nn.Linear)


def test_a_model_that_was_made_in_inference_mode_has_a_form_too() -> None:
    with torch.inference_mode():
        model = network("fcvit_tiny")
        form = archdsl.optimize(model)
    assert {type(module) for module in form.modules()} != {type(module) for module in model.modules()}
    assert difference(model, form, 64, 64) < 3e-5


def test_of_a_form_the_network_is_saved_that_it_was_made_of(tmp_path: Path) -> None:
    model = network("lit_ti")
    form = archdsl.optimize(model)
    archdsl.save_model(form, tmp_path / "net.safetensors")
    loaded = archdsl.load_model(tmp_path / "net.safetensors").state_dict()
    assert all(torch.equal(values, loaded[name]) for name, values in model.state_dict().items())
