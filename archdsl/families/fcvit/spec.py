"""FCViT: A Close Look at Spatial Modeling: From Attention to Convolution (arXiv:2212.12552).

Blocks whose mixer is a large depthwise convolution beside a global context, the mean of the map, that every position
takes from as it is like it. Differs from the published code in that its options are fields of the block: there a first
network changes the options of all that come after it. Published parameters are counted in units of 2^20. The authors'
dense-prediction networks start from a layer scale of 1e-6 (`--set stage1.layer_scale=1e-6`), their classifiers of 1e-5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from archdsl.errors import ShapeError
from archdsl.families.common.base import Stem
from archdsl.families.common.block import Block
from archdsl.families.common.fields import (
    BatchNorm,
    ConvMlp,
    Flag,
    GroupNorm,
    Heads,
    Integer,
    Kernel,
    Knob,
    Mlp,
    Norm,
    Scale,
    Width,
)
from archdsl.families.common.rules import check_heads, check_norm
from archdsl.families.fcvit import names
from archdsl.json_types import JsonObject
from archdsl.shape import Cost, Map

if TYPE_CHECKING:
    from torch import nn

    from archdsl.families.fcvit.modules import SpatialAttention, Step

NARROWEST = 16
"""The least hidden width of the bottleneck that follows a convolution."""
GATE_REDUCTION = 8
"""Width over hidden width of the spatial attention's gate."""


class OverlapStem(Stem):
    """A strided convolution whose windows overlap, then a norm."""

    type: Literal["overlap_stem"]
    width: Width
    kernel: Annotated[Kernel, Knob((3, 4, 7))] = 7
    stride: Annotated[Integer, Field(ge=1, le=16, description="image pixels per position"), Knob((2, 4))] = 4
    norm: Norm = BatchNorm(type="batch")

    def out(self, image: Map) -> Map:
        """(H + 2p - k) // stride + 1 with p = (k - 1) // 2: H / stride rounded up where the kernel is odd."""
        pad = 2 * ((self.kernel - 1) // 2) - self.kernel
        if min(image.height, image.width) + pad < 0:
            values = f"kernel {self.kernel} on {image.height}x{image.width}"
            raise ShapeError("the padded image must hold the kernel", values, "use a smaller kernel", "kernel")
        check_norm(self.width, self.norm)
        height, width = (image.height + pad) // self.stride + 1, (image.width + pad) // self.stride + 1
        return Map(self.width, height, width, image.stride * self.stride)

    def cost(self, image: Map) -> Cost:
        """One convolution and a norm; alive at most beside the image: two maps."""
        out, taps = self.out(image), image.channels * self.kernel**2
        return Cost(
            taps * self.width + 3 * self.width, out.positions * taps * self.width, image.elements + 2 * out.elements
        )

    def build(self, image: Map) -> nn.Module:
        """(B, channels, H, W) -> (B, width, H', W')"""
        from archdsl.families.common import layers
        from archdsl.families.fcvit import modules as fcvit

        norm = layers.norm(self.norm, self.width)
        return fcvit.OverlapStem(image.channels, self.width, self.kernel, self.stride, norm)


class FcvitConv(Block):
    """One step per kernel: add a global context, depthwise convolution, bottleneck, GELU (section 4).

    `compete` and `weighted` are the published networks' context; spatial and channel attention, a single step and
    `squeeze` 1 are options of the published code that none of its networks uses.
    """

    type: Literal["fcvit_conv"]
    kernels: Annotated[
        tuple[Annotated[Kernel, Field(json_schema_extra={"not": {"multipleOf": 2}})], ...],
        Field(min_length=1, max_length=2, description="side of the depthwise convolution of each step"),
        Knob(((11, 11), (7, 7), (11,))),
    ] = (11, 11)
    heads: Annotated[Heads, Field(description="heads of the context; must divide the width")] = 8
    reduction: Annotated[
        Integer, Field(ge=1, le=256, description="width / hidden width of the context"), Knob((4, 8))
    ] = 8
    squeeze: Annotated[
        Integer,
        Field(
            ge=1, le=256, description="width / hidden width of the bottleneck, which is at least 16; 1: a single Linear"
        ),
        Knob((1, 4, 8)),
    ] = 8
    compete: Annotated[
        Flag, Field(description="the hidden units of the context are maxima of two values, not GELUs")
    ] = True
    weighted: Annotated[
        Flag, Field(description="weight the context of a position by its similarity to the position")
    ] = True
    spatial_attention: Annotated[Flag, Field(description="gate each position and channel after the steps")] = False
    channel_attention: Annotated[Flag, Field(description="add a computed value to each channel after the MLP")] = False
    norm: Norm = GroupNorm(type="group")
    mlp: Mlp = ConvMlp(type="dwconv")
    layer_scale: Annotated[
        Scale | None, Field(description="initial value of the learned scale of each branch, or null for no scale")
    ] = 1e-5

    convolutions = names.CONVOLUTIONS

    @property
    def published(self) -> Mapping[str, str]:  # type: ignore[override]  # depends on the options
        """The published code names layers by the options that they come of."""
        return names.block(self.channel_attention, self.compete, is_squeezed=self.squeeze > 1)

    def effective(self) -> JsonObject:
        """Equal networks: heads matter where positions are weighed."""
        return {} if self.weighted else {"heads": 0}

    def mixer_out(self, x: Map) -> None:
        """Heads divide the width, kernels are odd, no hidden width is 0."""
        if self.weighted:
            check_heads(x.channels, self.heads)
        for place, kernel in enumerate(self.kernels):
            if kernel % 2 == 0:
                wrong = ShapeError("the kernel must be odd", f"kernel {kernel}", f"use {kernel + 1}")
                raise wrong.inside(("kernels", place))
        if x.channels < self.reduction:
            rule, use = f"reduction must be at most the width {x.channels}", f"use {x.channels} or less"
            raise ShapeError(rule, f"reduction {self.reduction}", use, "reduction")
        if self.spatial_attention and x.channels < GATE_REDUCTION:
            rule = f"spatial_attention needs a width of {GATE_REDUCTION} or more"
            raise ShapeError(rule, f"width {x.channels}", "set it false", "spatial_attention")

    def mixer_cost(self, x: Map, tokens: int = 0) -> Cost:
        """The steps, one after another, each beside the map that it reads; spatial attention beside theirs."""
        C, N = x.channels, x.positions
        steps = [self._step_cost(C, N, kernel) for kernel in self.kernels]
        params, macs = (sum(getattr(step, what) for step in steps) for what in ("params", "macs"))
        alive = steps[0].activations + (len(steps) - 1) * N * C
        if self.spatial_attention:
            hidden = C // GATE_REDUCTION
            params += 10 * C + 2 * C * hidden + hidden + C
            macs += N * (9 * C + 2 * C * hidden)
            alive = max(alive, 3 * N * C)
        return Cost(params, macs, alive)

    def _step_cost(self, C: int, N: int, kernel: int) -> Cost:
        """Alive at most: the context's, two maps around a convolution or Linear, or around the bottleneck's GELU."""
        context, hidden = self._context_cost(C, N), self._hidden(C)
        params, macs = context.params + (kernel**2 + 1) * C, context.macs + N * kernel**2 * C
        if hidden is None:
            return Cost(params + C * C + C, macs + N * C * C, max(context.activations, 2 * N * C))
        params, macs = params + 2 * C * hidden + hidden + C, macs + 2 * N * C * hidden
        return Cost(params, macs, max(context.activations, 2 * N * max(C, hidden)))

    def _context_cost(self, C: int, N: int) -> Cost:
        """Alive beside the map: the mean with the bottleneck, with scores around their scaling, or with the result."""
        hidden, heads = self.context_hidden(C), self.heads
        params = C * hidden * (2 + self.compete) + hidden * (1 + self.compete) + C
        macs = (2 + self.compete) * C * hidden
        bottleneck = max((2 + self.compete) * hidden, hidden + C)
        if not self.weighted:
            return Cost(params, macs, C + max(bottleneck, C + N * C))
        scaling = 2 * heads * N + heads + 2  # the scale a head, mean and deviation
        alive = C + max(bottleneck, C + max(scaling, heads * N + N * C))
        return Cost(params + 2 * heads, macs + N * C, alive)

    def context_hidden(self, C: int) -> int:
        """Hidden width of the context's bottleneck."""
        return C // self.reduction

    def _hidden(self, C: int) -> int | None:
        """Hidden width of the bottleneck, None where there is none."""
        return None if self.squeeze == 1 else max(C // self.squeeze, NARROWEST)

    def step_modules(self, C: int) -> list[Step]:
        """The steps of the mixer in their order, each (B, H, W, C) -> (B, H, W, C)."""
        from archdsl.families.fcvit import modules as fcvit

        heads, hidden = self.heads if self.weighted else None, self.context_hidden(C)
        return [
            fcvit.Step(C, kernel, fcvit.Context(C, heads, hidden, self.compete), self._hidden(C))
            for kernel in self.kernels
        ]

    def gate_module(self, C: int) -> SpatialAttention | None:
        """What gates the map after the steps, if there is one."""
        from archdsl.families.fcvit import modules as fcvit

        return fcvit.SpatialAttention(C) if self.spatial_attention else None

    def mixer(self, x: Map) -> nn.Module:
        """(B, H, W, C) -> (B, H, W, C)"""
        from archdsl.families.fcvit import modules as fcvit

        return fcvit.TokenMixer(self.step_modules(x.channels), self.gate_module(x.channels))

    def _mlp_cost(self, C: int, N: int) -> Cost:
        """With the two convolutions of channel attention along the channels, beside the map and its GELU."""
        mlp = super()._mlp_cost(C, N)
        if not self.channel_attention:
            return mlp
        return Cost(mlp.params + 10, mlp.macs + 8 * C, max(mlp.activations, 2 * N * C + C))

    def build(self, x: Map) -> nn.Module:
        """The residual block, (B, H, W, C) -> (B, H, W, C)."""
        from archdsl.families.common import layers
        from archdsl.families.fcvit import modules as fcvit

        block = super().build(x)
        if self.channel_attention:
            assert isinstance(block, layers.ResidualBlock)
            block.mlp = fcvit.attended(block.mlp)
        for name, inside in block.named_modules():
            if f"{name}.weight".endswith(self.convolutions):
                inside.starts_as_convolution = True  # a flag that `initialise` reads
        return block
