"""The copy of a network that is exported: in eval mode, without gradients, on the CPU, reading and giving float32."""

from __future__ import annotations

import copy
from itertools import count
from typing import TypeVar

import torch
from torch import Tensor, nn

from archdsl.compile import Backbone

Net = TypeVar("Net", bound=nn.Module)
Outputs = tuple[Tensor, ...]
"""The logits (B, classes), or the maps (B, C, H, W) of a dense-prediction build, from fine to coarse."""

_SEED = 0
_PERTURBATION = 0.5
"""Standard deviation of what such a parameter is replaced by. Offsets of half a position leave a map's grid."""
_NEARLY_ZERO = 1e-4
"""Scales of residual branches begin with 1e-5 (FCViT) and 1e-6 (Dual-ViT): what they scale is below any tolerance."""


class Float32Interface(nn.Module):
    """A network as a file holds it: float32 images in, float32 outputs out, whatever it computes in.

    Files of every dtype are called alike then, and a picture is prepared in one way for all of them. The network is a
    copy, whose nodes are renamed where torch cannot trace them under their names.
    """

    def __init__(self, net: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        if isinstance(net, Backbone):
            _rename_nodes(net)
        self.net = net
        self.dtype = dtype

    def forward(self, images: Tensor) -> Outputs:
        """(B, C, H, W) -> what the network gives, always as a tuple"""
        outputs = self.net(images.to(self.dtype))
        return tuple(each.float() for each in (outputs if isinstance(outputs, list | tuple) else (outputs,)))


def _rename_nodes(network: Backbone) -> None:
    """Append a `_` to the names of nodes that `getattr` does not find, by which torch looks for the modules of a graph.

    For a node called `forward` it gives the method.
    """
    names = {name: name for name in network._modules}
    for name, module in network._modules.items():
        if getattr(network, name, None) is not module:
            names[name] = next(free for free in (f"{name}{'_' * n}" for n in count(1)) if free not in names.values())
    network._modules = {names[name]: module for name, module in network._modules.items()}
    network._schedule = tuple(step._replace(name=names[step.name]) for step in network._schedule)


def frozen(model: Net, dtype: torch.dtype = torch.float32) -> Net:
    """A copy of a network in eval mode, without gradients, on the CPU; the network is left as it is.

    Its tensors are contiguous: an inference form may hold weights in another order, which torch.export warns of.
    """
    net = copy.deepcopy(model).cpu().to(dtype).eval().requires_grad_(False)
    for values in (*net.parameters(), *net.buffers()):
        if not values.is_contiguous():
            values.data = values.data.contiguous()
    return net


def zero_parameters(model: nn.Module) -> list[str]:
    """Parameters whose values are all 0 or nearly, as offsets, tables and scales of residual branches before training.

    What they multiply or add does not show in any output, so that a file in which it is wrong looks right.
    """
    return [name for name, values in model.named_parameters() if not (values.abs() > _NEARLY_ZERO).any()]


def perturbed(model: Backbone) -> Backbone:
    """A copy with seeded noise in the place of `zero_parameters`, so that every part of it shows in its outputs."""
    zeros = zero_parameters(model)
    other = copy.deepcopy(model)
    noise = torch.Generator().manual_seed(_SEED)
    parameters = dict(other.named_parameters())  # get_parameter takes a node called forward for the method
    with torch.no_grad():
        for name in zeros:
            values = parameters[name]
            values.copy_(torch.randn(values.shape, generator=noise) * _PERTURBATION)
    return other
