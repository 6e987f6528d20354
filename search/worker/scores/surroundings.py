"""What every score needs: a network that stands still, its logits, its blocks, and a batch to show it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from archdsl.families.common.stage_modules import Stage


class Batch(NamedTuple):
    """Normalised images (B, C, H, W) and their labels (B,)."""

    images: Tensor
    labels: Tensor


@contextmanager
def frozen_eval_mode(model: nn.Module) -> Iterator[None]:
    """Nothing is dropped inside, batch norms read the batch and learn nothing, and no gradient is left behind."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    modes = [(module, module.training) for module in model.modules()]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes:
            module.training = training
        model.zero_grad(set_to_none=True)


def logits(model: nn.Module, images: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, classes), also of a head that gives token labels beside them."""
    outputs = model(images)
    first = outputs[0] if isinstance(outputs, tuple) else outputs
    assert isinstance(first, Tensor)
    return first


def blocks(model: nn.Module) -> list[nn.Module]:
    """The blocks of all stages, from the image to the head."""
    return [block for module in model.modules() if isinstance(module, Stage) for block in module.blocks]


def map_of(outputs: Any) -> Tensor:
    """The map (B, H, W, C) of what a block reads or gives: the first where semantics go beside it."""
    first = outputs[0] if isinstance(outputs, tuple) else outputs
    assert isinstance(first, Tensor)
    return first


def saliency(model: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Every parameter that has a gradient, with it."""
    return {
        name: (weight.detach(), weight.grad) for name, weight in model.named_parameters() if weight.grad is not None
    }


def generator(seed: int) -> torch.Generator:
    """A source of random numbers of its own."""
    return torch.Generator().manual_seed(seed)
