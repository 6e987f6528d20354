"""The three scores of AZ-NAS that look into a network; its fourth is MACs.

Lee and Ham, AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search, arXiv:2403.19232, on Gaussian
noise in place of images. The blocks are those of all stages.

expressivity: the sum over blocks of the entropy of their features' normalised principal components.
progressivity: the least gain in that entropy from one block to the next.
trainability: the mean over blocks of 2 - s - 1 / s, with s the spectral norm of a block's Jacobian, 0 at best where it
neither grows nor shrinks gradients. The Jacobian, of one position's channels, is estimated by random signs sent back
through the block.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from archdsl.search.worker.scores.surroundings import Batch, blocks, frozen_eval_mode, generator, logits, map_of

_ENOUGH, _MOST_PROBES = 2, 8
"""Positions probed for each channel, at least; and how often at most a block is probed for that."""


class AzNas(NamedTuple):
    """Each the higher the better."""

    expressivity: float
    progressivity: float
    trainability: float


class _Passed(NamedTuple):
    """What went into a block, (B, H, W, C), and what came out."""

    block: nn.Module
    inputs: Tensor
    outputs: Tensor


def az_nas(model: nn.Module, batch: Batch) -> AzNas:
    """The scores of a freshly built model, of whose batch only the shape is read; zeros for one without blocks."""
    source = generator(0)
    noise = torch.randn(batch.images.shape, generator=source).to(batch.images)
    with frozen_eval_mode(model), _passing(model) as passed:
        logits(model, noise)
        if not passed:
            return AzNas(0.0, 0.0, 0.0)
        entropies = [entropy(layer.outputs.detach()) for layer in passed]
        gains = [after - before for before, after in pairwise(entropies)]
        norms = [spectral_norm(layer.inputs, layer.outputs, source) for layer in passed]
    return AzNas(sum(entropies), min(gains, default=0.0), sum(2 - s - 1 / max(s, 1e-6) for s in norms) / len(norms))


@contextmanager
def _passing(model: nn.Module) -> Iterator[list[_Passed]]:
    """What passes through the blocks, each cut off from the one before, so that gradients stay inside."""
    passed: list[_Passed] = []

    def cut(_block: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (inputs[0].detach().requires_grad_(), *inputs[1:])

    def keep(block: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> None:
        passed.append(_Passed(block, inputs[0], map_of(outputs)))

    hooks = [block.register_forward_pre_hook(cut) for block in blocks(model)]
    hooks += [block.register_forward_hook(keep) for block in blocks(model)]
    try:
        yield passed
    finally:
        for hook in hooks:
            hook.remove()


def entropy(x: Tensor) -> float:
    """Of the shares that the principal components of features (..., C) have in their variance; at most log C."""
    rows = x.reshape(-1, x.shape[-1]).double()
    rows = rows - rows.mean(dim=0)
    shares = torch.linalg.eigvalsh(rows.t() @ rows / len(rows)).clamp(min=0)
    shares = shares / shares.sum().clamp(min=1e-300)
    return float(-torch.special.xlogy(shares, shares).sum())


def spectral_norm(inputs: Tensor, outputs: Tensor, source: torch.Generator) -> float:
    """Of the Jacobian of outputs (..., C) by inputs (..., C) at one position, estimated with random signs.

    Signs v sent back give J' v, and the mean of v (J' v)' over positions and probes is J.
    """
    channels, rows = outputs.shape[-1], outputs.numel() // outputs.shape[-1]
    probes = min(_MOST_PROBES, max(1, -(-_ENOUGH * channels // rows)))
    jacobian = torch.zeros(channels, inputs.shape[-1], device=outputs.device)
    for _ in range(probes):
        signs = torch.randint(0, 2, outputs.shape, generator=source).to(outputs) * 2 - 1
        (back,) = torch.autograd.grad(outputs, inputs, signs, retain_graph=True)
        jacobian += signs.reshape(rows, channels).t() @ back.reshape(rows, -1) / (rows * probes)
    return float(torch.linalg.matrix_norm(jacobian, 2))
