"""Modules of DAT (arXiv:2201.00520)."""

from __future__ import annotations

from torch import Tensor, nn

from archdsl.modules.layers import to_first, to_last


class ConvMerge(nn.Module):
    """A strided convolution, zero-padded by (kernel - 1) // 2, then a norm."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int, bias: bool, norm: nn.Module) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel, stride, (kernel - 1) // 2, bias=bias)
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, width, H', W')"""
        return to_first(self.norm(to_last(self.proj(x))))
