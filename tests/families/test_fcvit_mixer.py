"""FCViT's token mixer against a slow and plain second implementation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.families.fcvit.modules import Context, TokenMixer
from archdsl.families.fcvit.spec import FcvitConv
from archdsl.shape import Map
from tests.support.doubles import noise, shaken


def block(**fields: Any) -> FcvitConv:
    return FcvitConv.model_validate({"type": "fcvit_conv", **fields})


def context(module: Any, x: Tensor) -> Tensor:
    """What a context adds to one map (H, W, C), position by position and head by head."""
    H, W, C = x.shape
    mean = x.mean(dim=(0, 1))
    hidden = module.fc1(mean)
    hidden = torch.maximum(*hidden.chunk(2)) if module.compete else F.gelu(hidden)
    channels: Tensor = module.fc2(hidden)
    if module.heads is None:
        return channels.expand(H, W, C)
    d = C // module.heads
    runs = [slice(head * d, head * d + d) for head in range(module.heads)]
    scores = torch.stack([x[..., run] @ mean[run] * d**-0.5 for run in runs])
    scores = (scores - scores.mean()) / (scores.std() + 1e-5)
    added = [
        score[..., None] * weight * channels[run] + bias * channels[run]
        for score, weight, bias, run in zip(scores, module.rescale_weight, module.rescale_bias, runs, strict=True)
    ]
    return torch.cat(added, dim=-1)


@pytest.mark.parametrize(
    "fields", [{}, {"compete": False}, {"weighted": False}, {"heads": 2}, {"reduction": 4}], ids=str
)
@pytest.mark.parametrize(("height", "width"), [(5, 7), (1, 2), (8, 8)])
def test_a_context_weighs_channels_by_likeness_to_the_mean(fields: dict[str, Any], height: int, width: int) -> None:
    mixer = shaken(block(**fields).mixer(Map(16, height, width)))
    module, x = mixer.steps[0].context, noise(2, height, width, 16)
    wanted = torch.stack([each + context(module, each) for each in x])
    assert torch.allclose(module(x), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("fields", [{}, {"squeeze": 1}, {"kernels": [3]}, {"kernels": [13, 5], "squeeze": 2}], ids=str)
def test_a_step_is_context_convolution_bottleneck_and_gelu(fields: dict[str, Any]) -> None:
    declared = block(**fields)
    mixer = shaken(declared.mixer(Map(40, 6, 5)))
    x = wanted = noise(2, 6, 5, 40)
    for step, kernel in zip(mixer.steps, declared.kernels, strict=True):
        wanted = wanted + torch.stack([context(step.context, each) for each in wanted])
        wanted = wanted.permute(0, 3, 1, 2)
        wanted = F.conv2d(wanted, step.conv.weight, step.conv.bias, padding=kernel // 2, groups=40)
        if declared.squeeze == 1:
            wanted = F.conv2d(wanted, step.fc1.weight[..., None, None], step.fc1.bias)
        else:
            assert step.fc1.out_features == max(40 // declared.squeeze, 16)
            wanted = F.gelu(F.conv2d(wanted, step.fc1.weight[..., None, None], step.fc1.bias))
            wanted = F.conv2d(wanted, step.fc2.weight[..., None, None], step.fc2.bias)
        wanted = F.gelu(wanted).permute(0, 2, 3, 1)
    assert isinstance(mixer, TokenMixer)
    assert torch.allclose(mixer(x), wanted, rtol=0, atol=1e-12)


def test_of_a_single_score_the_deviation_is_zero() -> None:
    """One head on one position, where dividing by one less would divide by nothing."""
    mixer = shaken(block(heads=1).mixer(Map(16, 1, 1)))
    x = noise(2, 1, 1, 16).requires_grad_()
    module = mixer.steps[0].context
    out = module(x)
    out.sum().backward()
    wanted = x + module.rescale_bias * module.gates(x.mean(dim=(1, 2)))[:, None, None]
    assert torch.allclose(out, wanted, rtol=0, atol=1e-12)
    assert torch.isfinite(x.grad).all()  # type: ignore[arg-type]  # it has one


def test_one_head_adds_nothing_to_a_map_of_equal_positions_in_all() -> None:
    """Their deviation is 0: EPS enlarges the rounding of a single position, but not that of the mean in all of them."""
    mixer, generator = Context(24, 1, 6, compete=False), torch.Generator().manual_seed(0)
    for _ in range(20):
        position, mean = 3 * torch.randn(24, generator=generator), torch.randn(1, 24, generator=generator)
        weights = mixer.weights(position.expand(1, 31 * 31, 1, 24), mean)
        assert abs(weights.detach().double().mean().item()) < 1e-9
