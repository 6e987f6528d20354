"""Each family in plain PyTorch, written from its paper as one would write it: tokens (B, N, C) and maps (B, C, H, W).

`benchmarks/models.py` times these beside the zoo's networks. They hold a zoo network for its weights alone, and their
outputs equal its; no code of the zoo's modules runs in them but torch's own linear layers and norms.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from . import dat, dualvit, fcvit, lit

_FAMILIES = {"lit": lit.forward, "litv2": lit.forward, "dat": dat.forward, "datpp": dat.forward}
_FAMILIES |= {"dualvit": dualvit.forward, "fcvit": fcvit.forward}


class Textbook(nn.Module):
    """A zoo network's weights in a plain formulation, for the image size that it is built for."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.weights = copy.deepcopy(network).eval().requires_grad_(False)
        self._forward = _FAMILIES[network.spec.name.split("_")[0]]

    def forward(self, x: Any) -> Any:
        """(B, 3, H, W) -> (B, classes)"""
        return self._forward(self.weights, x)
