"""Where branches meet."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AddJoin(nn.Module):
    """The sum of equal maps."""

    def forward(self, *maps: Tensor) -> Tensor:
        """(B, C, H, W) each -> (B, C, H, W)"""
        total = maps[0]
        for other in maps[1:]:
            total = total + other
        return total


class ConcatJoin(nn.Module):
    """Maps of equal size, channel after channel in the order of the sources."""

    def forward(self, *maps: Tensor) -> Tensor:
        """(B, C_i, H, W) each -> (B, sum of C_i, H, W)"""
        return torch.cat(maps, dim=1)
