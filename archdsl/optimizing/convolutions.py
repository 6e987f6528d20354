"""Fused forms of what has a depthwise convolution: with its bias, residual and GELU it is one pass."""

from __future__ import annotations

from torch import Tensor, nn

from archdsl.families.common.fused import Float32Tables, adopted
from archdsl.families.common.layers import ConvMlp, Depthwise, ResidualConvMlp
from archdsl.kernels.depthwise import depthwise, taps_of


class FusedDepthwise(Depthwise):
    """A depthwise convolution in channels-last memory, without GELU."""

    tables: Float32Tables

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        taps, bias = self.tables.on(x)
        return depthwise(x.contiguous(), taps, bias, "none")


class FusedConvMlp(ConvMlp):
    """Linear, then depthwise convolution, residual and GELU in one pass, then Linear."""

    tables: Float32Tables

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        taps, bias = self.tables.on(x)
        hidden = self.fc1(x).contiguous()
        return self.fc2(depthwise(hidden, taps, bias, "gelu"))


def fused_depthwise(module: Depthwise) -> FusedDepthwise:
    """The fused form of a depthwise convolution."""
    form = adopted(module, FusedDepthwise)
    form.tables = _tables(module, is_residual=False)
    return form


def fused_conv_mlp(module: ConvMlp) -> FusedConvMlp:
    """The fused form of an MLP with a depthwise convolution, which may be added to its input."""
    form = adopted(module, FusedConvMlp)
    form.tables = _tables(module.dwconv, is_residual=isinstance(module, ResidualConvMlp))
    return form


def _tables(convolution: nn.Conv2d, *, is_residual: bool) -> Float32Tables:
    taps, bias = taps_of(convolution, is_residual=is_residual)
    return Float32Tables(taps=taps, bias=bias)
