"""The inference form with kernels: equal to the network, made of copies, and refused where it would not hold."""

from __future__ import annotations

import pytest
import torch

import archdsl
from archdsl.compile import Backbone
from archdsl.errors import WrongUse
from archdsl.optimizing import optimize
from archdsl.optimizing.forms import FORMS, put_forms

NETWORKS = ["lit_ti", "litv2_s", "dat_t", "datpp_t", "dualvit_s", "fcvit_tiny"]


def network(name: str, features_only: bool = False) -> Backbone:
    """A network at a small image whose offsets, tables and scales are not as they begin."""
    torch.manual_seed(0)
    image = 224 if name == "dat_t" else 64
    spec = archdsl.override(archdsl.load_spec(name), [f"image={image}"])
    model = archdsl.build(spec, features_only).eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_the_form_gives_what_the_network_gives(name: str) -> None:
    """At the size that it was checked at, with another batch; the network itself is left as it was."""
    model = network(name)
    kinds = {type(module) for module in model.modules()}
    form = optimize(model, fused=True)
    x = torch.randn(1, 3, *model.spec.image_size)
    with torch.inference_mode():
        wanted, found = model(x), form(x)
    assert float((found - wanted).abs().max() / wanted.abs().max()) < 3e-5
    assert {type(module) for module in model.modules()} == kinds
    assert not kinds.isdisjoint(FORMS)
    assert not any(type(module) in FORMS for module in form.modules())


def test_the_form_runs_at_other_sizes() -> None:
    model = network("litv2_s", features_only=True)
    form = optimize(model, fused=True)
    x = torch.randn(1, 3, 96, 64)
    with torch.inference_mode():
        for wanted, found in zip(model(x), form(x), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_model_that_trains_or_is_of_float64_is_refused() -> None:
    model = network("fcvit_tiny")
    with pytest.raises(WrongUse, match=r"call model.eval\(\) first"):
        optimize(model.train())
    with pytest.raises(WrongUse, match=r"float32, float16 or bfloat16; this model is of torch\.float64"):
        optimize(model.eval().double())
    with pytest.raises(TypeError, match=r"optimize takes a model that archdsl\.build made"):
        optimize("fcvit_tiny")  # type: ignore[arg-type]


def test_a_form_that_differs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that is wrong on some card: the network is used as it is, with a warning that says by how much."""
    model = network("fcvit_tiny")

    def wrong(module: torch.nn.Module) -> int:
        count = put_forms(module)
        with torch.no_grad():
            next(module.parameters()).add_(1)
        return count

    monkeypatch.setattr("archdsl.optimizing.inference.put_forms", wrong)
    with pytest.warns(RuntimeWarning, match="the optimized network differs by .* is used"):
        form = optimize(model, fused=True)
    assert {type(module) for module in form.modules()} == {type(module) for module in model.modules()}
