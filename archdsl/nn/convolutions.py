"""Mixing by convolutions: FCViT's context and token mixer, and MLPs with a depthwise convolution."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

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
            **_context(heads, reduction, compete),
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
            **_context(heads, reduction, compete),
            squeeze=squeeze,
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
        super().__init__(channels, _hidden_width(self, "dwconv", channels, ratio, kernel), kernel)
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
        super().__init__(channels, _hidden_width(self, "dwconv_residual", channels, ratio, kernel), kernel)
        self.take_maps(channels, channels_last)


def _context(heads: int | None, reduction: int, compete: bool) -> dict[str, JsonInput]:
    """The arguments of a context as fields of a declaration."""
    weighted = heads is not None
    return {"heads": heads if weighted else 1, "weighted": weighted, "reduction": reduction, "compete": compete}


def _hidden_width(module: nn.Module, kind: str, channels: int, ratio: float, kernel: int) -> int:
    """Of an MLP with a depthwise convolution.

    Raises:
        WrongUse: a value is out of its bounds, or the kernel is even.
    """
    mlp: JsonInput = {"type": kind, "ratio": ratio, "kernel": kernel}
    return layers.hidden_width(declared(module, lit_spec.MlpBlock, map_of(module, channels), mlp=mlp).mlp, channels)
