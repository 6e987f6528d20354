"""What `acme.blocks` builds."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Pool(nn.Module):
    """Average pooling that keeps the size, less its input."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        first = x.permute(0, 3, 1, 2)
        averages = F.avg_pool2d(first, self.window, 1, self.window // 2, count_include_pad=False)
        return averages.permute(0, 2, 3, 1) - x
