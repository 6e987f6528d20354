"""Depthwise convolution of a channels-last map in one pass: convolution, bias and, where asked for, GELU.

cuDNN runs a depthwise convolution of 11x11 in channels-last memory as an implicit matrix product, many times slower
than its arithmetic needs, and leaves bias and GELU to passes of their own. Here a lane owns channels and a tile of
outputs, so that every value that it loads meets all taps that reach it in registers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archdsl.errors import WrongUse
from archdsl.kernels.references import depthwise_reference
from archdsl.kernels.support import for_inference_only, runs_kernels

ACTIVATIONS = ("none", "gelu")


@torch.library.custom_op("archdsl::depthwise", mutates_args=())
def depthwise(x: Tensor, taps: Tensor, bias: Tensor, activation: str) -> Tensor:
    """(B, H, W, C), taps float32 (K, K, C), bias float32 (C) -> (B, H, W, C); stride 1, size kept by zero padding.

    Sums are in float32. `activation` is "none" or "gelu", the exact one.

    Raises:
        WrongUse: the taps do not fit the map, or the activation is another.
    """
    check(x, taps, bias, activation)
    if runs_kernels(x):
        from archdsl.kernels.depthwise_kernel import launched

        return launched(x.contiguous(), taps, bias, activation)
    return depthwise_reference(x, taps, bias, activation)


@depthwise.register_fake
def _(x: Tensor, taps: Tensor, bias: Tensor, activation: str) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


for_inference_only(depthwise, "depthwise")


def check(x: Tensor, taps: Tensor, bias: Tensor, activation: str) -> None:
    """Raises `WrongUse` for arguments that do not belong together."""
    channels, kernel = x.shape[-1], len(taps)
    if x.dim() != 4 or taps.shape != (kernel, kernel, channels) or kernel % 2 == 0 or bias.shape != (channels,):
        shapes = f"{tuple(x.shape)}, {tuple(taps.shape)} and {tuple(bias.shape)}"
        raise WrongUse(f"depthwise takes (B, H, W, C), taps (K, K, C) with an odd K, and bias (C,); got {shapes}")
    if activation not in ACTIVATIONS:
        raise WrongUse(f"activation must be one of {', '.join(ACTIVATIONS)}; got '{activation}'")


def taps_of(convolution: nn.Conv2d, *, is_residual: bool = False) -> tuple[Tensor, Tensor]:
    """A depthwise convolution's weight as taps (K, K, C) and its bias (C,), both float32.

    With `is_residual` the convolution's input is added to its output: one more on the middle tap.
    """
    weight = convolution.weight.detach().float()  # (C, 1, K, K)
    taps = weight[:, 0].permute(1, 2, 0).contiguous()
    if is_residual:
        middle = len(taps) // 2
        taps[middle, middle] += 1
    bias = convolution.bias
    return taps, torch.zeros_like(taps[0, 0]) if bias is None else bias.detach().float()
