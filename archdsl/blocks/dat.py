"""DAT: Vision Transformer with Deformable Attention (arXiv:2201.00520)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from archdsl.blocks.base import Merge
from archdsl.blocks.fields import Flag, Integer, Kernel, Knob, LayerNorm, Norm, Width
from archdsl.blocks.rules import check_norm
from archdsl.errors import ShapeError
from archdsl.shape import Cost, Map

if TYPE_CHECKING:
    from torch import nn


class ConvMerge(Merge):
    """A strided convolution, then a norm (DAT, DAT++, Dual-ViT, FCViT)."""

    type: Literal["conv_merge"]
    width: Width
    kernel: Annotated[Kernel, Knob((2, 3))] = 3
    stride: Annotated[Integer, Field(ge=1, le=16, description="input positions per output position")] = 2
    bias: Annotated[Flag, Field(description="the convolution has one")] = True
    norm: Norm = LayerNorm(type="layer")

    def out(self, x: Map) -> Map:
        """(H + 2p - k) // stride + 1 with p = (k - 1) // 2: kernel 2 rounds an odd map down, kernel 3 up."""
        pad = 2 * ((self.kernel - 1) // 2) - self.kernel
        if min(x.height, x.width) + pad < 0:
            values = f"kernel {self.kernel} on {x.height}x{x.width}"
            raise ShapeError("the padded map must hold the kernel", values, "use a smaller kernel", "kernel")
        check_norm(self.width, self.norm)
        height, width = (x.height + pad) // self.stride + 1, (x.width + pad) // self.stride + 1
        return Map(self.width, height, width, x.stride * self.stride)

    def cost(self, x: Map) -> Cost:
        """One convolution and a norm; alive at most beside the map: two of the smaller ones."""
        out, taps = self.out(x), x.channels * self.kernel**2
        params = taps * self.width + (self.bias + 2) * self.width
        return Cost(params, out.positions * taps * self.width, x.elements + 2 * out.elements)

    def build(self, x: Map) -> nn.Module:
        """(B, C, H, W) -> (B, width, H', W')"""
        from archdsl.modules import dat, layers

        norm = layers.norm(self.norm, self.width)
        return dat.ConvMerge(x.channels, self.width, self.kernel, self.stride, self.bias, norm)
