"""What training needs: right gradients in every part, finite half precision, losses that fall, in every family."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from archdsl.compile import build
from archdsl.data import loading as proxy_data
from archdsl.load.specs import load_spec, override
from archdsl.training.recipe import Fidelity, train
from tests.support.every_part import TYPES, network, noise, sample, spec
from tests.support.goldens import both_forms
from tests.support.narrow_networks import SMALL, WIDTHS, narrowing, small

LONG_TO_TRAIN = ("datpp_t", "dualvit_s", "fcvit_tiny")


def first(outputs: Any) -> Tensor:
    """The logits, of a head that gives more than them in training too."""
    logits = outputs[0] if isinstance(outputs, tuple) else outputs
    assert isinstance(logits, Tensor)
    return logits


@pytest.mark.parametrize("name", TYPES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    """In float64, of all parameters at once and of the image, along random directions."""
    found = spec(sample(name), 16)
    model = network(found).double().eval()
    stir(model)
    names, values = zip(*model.named_parameters(), strict=True)
    together = torch.cat([value.detach().flatten() for value in values]).requires_grad_()

    def logits(image: Tensor, together: Tensor) -> Tensor:
        parts = together.split([value.numel() for value in values])
        state = {name: part.view_as(value) for name, part, value in zip(names, parts, values, strict=True)}
        return first(functional_call(model, state, (image,)))

    image = noise(found, batch=1, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(logits, (image, together), fast_mode=True, atol=1e-7, rtol=1e-6)


def stir(model: nn.Module) -> None:
    """Away from initial values where a gradient vanishes or a sampling position meets a pixel's edge."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


@both_forms()
def test_every_parameter_of_a_published_network_has_a_gradient(name: str, features_only: bool) -> None:
    """Repeated blocks are left out. The smaller networks are narrow and small; those that are slow are on the meta
    device, where no arithmetic is done. Values are tested part by part.
    """
    spec = override(load_spec(name), ["image=64", *narrowing(name)] if name in WIDTHS else [])
    stages = [(node, 2 if node.type == "sequence" else 1) for node in spec.nodes if node.kind == "stage"]
    spec = override(spec, [f"{node.id}.depth={depth}" for node, depth in stages])
    with torch.device("cpu" if name in WIDTHS else "meta"):
        model = build(spec, features_only).train()
        out = model(torch.zeros(2, 3, *spec.image_size))
    outputs = out if isinstance(out, list | tuple) else [out]
    sum(each.sum() for each in outputs).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("dtype", "most"), [(torch.bfloat16, 0.03), (torch.float16, 0.006)], ids=str)
def test_half_precision_is_finite_and_near(name: str, dtype: torch.dtype, most: float) -> None:
    """Autocast moves no logit by more than `most` of the largest; sampling is in float32."""
    found = small(name)
    torch.manual_seed(0)
    model = build(found).eval()
    with torch.no_grad():
        single = model(noise(found))
        with torch.autocast("cpu", dtype=dtype):
            half = model(noise(found)).float()
    assert torch.isfinite(half).all()
    assert float((half - single).abs().max() / single.abs().max()) < most


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LONG_TO_TRAIN else ()) for name in SMALL]
)
def test_a_short_training_lowers_the_loss(name: str) -> None:
    data = proxy_data.load("shapetex", image=64, seed=0, train=96, validation=20)
    found = override(small(name), [f"classes={data.classes}"])
    losses: list[float] = []
    torch.manual_seed(0)
    epochs = 7 if name == "fcvit_tiny" else 4  # it begins slowly
    outcome = train(
        build(found), data, Fidelity(epochs, 96), seed=0, progress=lambda step, steps, loss: losses.append(loss)
    )
    assert outcome.finished
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])
