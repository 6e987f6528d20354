"""Mixing by convolutions: FCViT's context and token mixer, and MLPs with a depthwise convolution."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.families.common import layers
from archdsl.families.fcvit import modules as fcvit
from archdsl.families.fcvit import spec as fcvit_spec
from archdsl.families.lit import spec as lit_spec
from archdsl.json_types import JsonInput
from archdsl.nn.arguments import declared, map_of
from archdsl.nn.maps import LastInside, LastInsideShown


class ContextMixer(LastInsideShown, fcvit.Context):
    """The map and its global context, weighted by how alike they are (FCViT, arXiv:2212.12552, section 4).

    (B, C, H, W) -> (B, C, H, W), for any H and W. The mean over all positions goes through a bottleneck; what comes out
    is added at every position, weighted for each head by the standardised product of the position and the mean.

    Args:
        channels: of the map; a multiple of `heads`.
        heads: 1 to 256; None adds the same at every position.
        reduction: channels over the bottleneck's hidden width, 1 to 256 and at most `channels`.
        compete: hidden units are the maxima of two values, instead of GELUs of one.
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, or `heads` does not divide `channels`.
        ShapeError: when called, the map does not have these channels, or has no position.
    """

    def __init__(
        self,
        channels: int,
        heads: int | None = 8,
        reduction: int = 8,
        compete: bool = True,
        *,
        channels_last: bool = False,
    ) -> None:
        spec = declared(
            self,
            fcvit_spec.FcvitConv,
            map_of(self, channels),
            heads=1 if heads is None else heads,
            weighted=heads is not None,
            reduction=reduction,
            compete=compete,
        )
        super().__init__(channels, heads, spec.context_hidden(channels), spec.compete)
        self.take_maps(channels, channels_last)


class DepthwiseTokenMixer(LastInside, fcvit.TokenMixer):
    """FCViT's token mixer: a context, a large depthwise convolution and a bottleneck, once a kernel (arXiv:2212.12552).

    (B, C, H, W) -> (B, C, H, W), for any H and W, zero-padded. Each step is a `ContextMixer`, a depthwise convolution,
    a bottleneck and a GELU; there is no norm and no residual inside. The defaults are those of the published networks.

    Args:
        channels: of the map; a multiple of `heads`.
        kernels: sides of the depthwise convolutions, one or two odd numbers, 1 to 31.
        heads: of the contexts, 1 to 256; None adds the same context at every position.
        reduction: channels over the context's hidden width, 1 to 256 and at most `channels`.
        squeeze: channels over the hidden width of the bottleneck after the convolution, which is at least 16; at 1
            there is a single Linear.
        compete: hidden units of the context are the maxima of two values, instead of GELUs of one.
        spatial_attention: gate every position and channel after the steps.
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, a kernel is even, or `heads` does not divide `channels`.
        ShapeError: when called, the map does not have these channels, or has no position.
    """

    def __init__(
        self,
        channels: int,
        kernels: Sequence[int] = (11, 11),
        heads: int | None = 8,
        reduction: int = 8,
        squeeze: int = 8,
        compete: bool = True,
        spatial_attention: bool = False,
        *,
        channels_last: bool = False,
    ) -> None:
        spec = declared(
            self,
            fcvit_spec.FcvitConv,
            map_of(self, channels),
            kernels=kernels,
            heads=1 if heads is None else heads,
            weighted=heads is not None,
            reduction=reduction,
            squeeze=squeeze,
            compete=compete,
            spatial_attention=spatial_attention,
        )
        super().__init__(spec.step_modules(channels), spec.gate_module(channels))
        self.take_maps(channels, channels_last)


class ConvMlp(LastInside, layers.ConvMlp):
    """Linear, depthwise convolution, GELU, Linear (LITv2, arXiv:2205.13213, section 4; Dual-ViT and FCViT too).

    (B, C, H, W) -> (B, C, H, W), for any H and W, zero-padded.

    Args:
        channels: of the map.
        ratio: hidden width over channels, 0.25 to 16; the product is rounded down.
        kernel: side of the convolution, odd, 1 to 31.
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, or the kernel is even.
        ShapeError: when called, the map does not have these channels, or has no position.
    """

    def __init__(self, channels: int, ratio: float = 4, kernel: int = 3, *, channels_last: bool = False) -> None:
        mlp: JsonInput = {"type": "dwconv", "ratio": ratio, "kernel": kernel}
        spec = declared(self, lit_spec.MlpBlock, map_of(self, channels), mlp=mlp).mlp
        super().__init__(channels, layers.hidden_width(spec, channels), kernel)
        self.take_maps(channels, channels_last)


class ResidualConvMlp(LastInside, layers.ResidualConvMlp):
    """As `ConvMlp`, the convolution added to its input (DAT++, arXiv:2309.01430).

    (B, C, H, W) -> (B, C, H, W), for any H and W, zero-padded.

    Args:
        channels: of the map.
        ratio: hidden width over channels, 0.25 to 16; the product is rounded down.
        kernel: side of the convolution, odd, 1 to 31.
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, or the kernel is even.
        ShapeError: when called, the map does not have these channels, or has no position.
    """

    def __init__(self, channels: int, ratio: float = 4, kernel: int = 3, *, channels_last: bool = False) -> None:
        mlp: JsonInput = {"type": "dwconv_residual", "ratio": ratio, "kernel": kernel}
        spec = declared(self, lit_spec.MlpBlock, map_of(self, channels), mlp=mlp).mlp
        super().__init__(channels, layers.hidden_width(spec, channels), kernel)
        self.take_maps(channels, channels_last)
