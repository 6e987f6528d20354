"""torch's tools take the networks as they are: traces, exported graphs, converted norms, a batch of no images."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

from tests.support.small_networks import FAMILIES, equal, images, shaken

NAMES = (*FAMILIES, "mixed")


def traced(built: nn.Module, example: torch.Tensor) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that sizes become constants, and that tracing is old
        return torch.jit.trace(built, example, check_trace=False, strict=False)


@cache
def trace_of(name: str, features_only: bool = False) -> Any:
    return traced(shaken(name, features_only, most=1), images())


@pytest.mark.parametrize("features_only", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_trace_gives_what_the_network_gives_at_any_batch(name: str, features_only: bool) -> None:
    built = shaken(name, features_only, most=1)
    for batch in (2, 3, 1):
        assert equal(trace_of(name, features_only)(images(batch)), built(images(batch)))


@pytest.mark.parametrize("name", ["dat_t", "datpp_t", "mixed"])
def test_a_trace_at_another_size_and_precision_is_as_exact(name: str) -> None:
    """Sizes that the tables are resized for, and windows padded."""
    built = shaken(name, most=1).double()
    example = images(1, 72, 104).double()
    found = traced(built, example)
    assert torch.allclose(found(example), built(example), rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_refuses_another_image_size(name: str) -> None:
    for height, width in ((96, 96), (64, 63), (32, 128)):
        with pytest.raises(RuntimeError, match="must match the existing size"):
            trace_of(name)(images(1, height, width))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "mixed" else pytest.mark.slow) for name in NAMES]
)
def test_an_exported_graph_takes_any_batch(name: str) -> None:
    """The mixture has nearly every kind of block; the traces above are of all families."""
    built = shaken(name, most=1)
    batch = torch.export.Dim("batch", min=1, max=64)
    found = torch.export.export(built, (images(),), dynamic_shapes=({0: batch},)).module()
    for count in (1, 2, 5):
        assert torch.equal(found(images(count)), built(images(count)))


@pytest.mark.parametrize("features_only", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_no_images_gives_no_outputs(name: str, features_only: bool) -> None:
    built = shaken(name, features_only, most=1)
    for method in (built.forward, built.forward_features):
        none, some = method(images(0)), method(images(2))
        for left, right in zip(*((x,) if isinstance(x, torch.Tensor) else x for x in (none, some)), strict=True):
            assert left.shape == (0, *right.shape[1:])


def test_a_batch_of_no_images_leaves_statistics_alone_in_training() -> None:
    built = shaken("mixed").train()
    before = {name: tensor.clone() for name, tensor in built.state_dict().items() if "running" in name}
    assert built(images(0)).shape == (0, 10)
    assert all(torch.equal(built.state_dict()[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("name", NAMES)
def test_batch_norms_are_torchs_own_and_can_be_synchronised(name: str) -> None:
    built = shaken(name, most=1)
    norms = [module for module in built.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert {type(module) for module in norms} <= {nn.BatchNorm2d}
    state, wanted = list(built.state_dict()), built(images())
    found = nn.SyncBatchNorm.convert_sync_batchnorm(built)
    assert sum(isinstance(module, nn.SyncBatchNorm) for module in found.modules()) == len(norms)
    assert list(found.state_dict()) == state
    assert torch.equal(found(images()), wanted)


def test_batch_norms_can_be_replaced_by_what_reads_channels_first() -> None:
    """As detectors freeze them."""
    built = shaken("mixed")
    wanted = built(images())
    replaced = 0
    for module in list(built.modules()):
        for name, norm in list(module.named_children()):
            if isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, Frozen(norm))
                replaced += 1
    assert replaced >= 3
    assert torch.allclose(built(images()), wanted, atol=1e-5)


class Frozen(nn.Module):
    """A batch norm as a factor and an addend a channel."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        self.scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        self.shift = norm.bias - norm.running_mean * self.scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C, H, W)"""
        return x * self.scale[:, None, None] + self.shift[:, None, None]
