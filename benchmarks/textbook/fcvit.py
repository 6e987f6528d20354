"""FCViT (arXiv:2212.12552): convolutions on maps (B, C, H, W), in channels-last memory, which is twice as fast here."""

# mypy: warn-return-any=False
from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .common import depthwise, merge


def forward(net: Any, x: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, classes)"""
    x = merge(net.stem, x.contiguous(memory_format=torch.channels_last))
    for number in range(1, 5):
        if number > 1:
            x = merge(getattr(net, f"merge{number - 1}"), x)
        for block in getattr(net, f"stage{number}").blocks:
            y = block.norm1(x)
            for step in block.mixer.steps:
                y = stepped(step, y)
            x = x + block.scale1.gamma[:, None, None] * y
            y = pointwise(block.mlp.fc1, block.norm2(x))
            y = pointwise(block.mlp.fc2, F.gelu(depthwise(block.mlp.dwconv, y)))
            x = x + block.scale2.gamma[:, None, None] * y
    return net.head.fc(net.head.norm(x).mean((2, 3)))


def pointwise(linear: Any, x: Tensor) -> Tensor:
    """A convolution 1x1."""
    return F.conv2d(x, linear.weight[:, :, None, None], linear.bias)


def stepped(step: Any, x: Tensor) -> Tensor:
    """Global context, a depthwise convolution 11x11, a bottleneck, GELU."""
    x = depthwise(step.conv, context(step.context, x))
    return F.gelu(pointwise(step.fc2, F.gelu(pointwise(step.fc1, x))))


def context(module: Any, x: Tensor) -> Tensor:
    """The map plus what its mean gives, weighed by how like it a position is, head by head."""
    B, _, H, W = x.shape
    mean = x.mean((2, 3))
    split = x.reshape(B, module.heads, -1, H * W)  # (B, heads, d, N)
    like = (split * mean.reshape(B, module.heads, -1, 1)).sum(2) * split.shape[2] ** -0.5
    like = (like - like.mean((1, 2), keepdim=True)) / (like.std((1, 2), keepdim=True) + 1e-5)
    like = like * module.rescale_weight[:, None] + module.rescale_bias[:, None]  # (B, heads, N)
    first, second = module.fc1(mean).chunk(2, -1)
    gates = module.fc2(torch.maximum(first, second)).reshape(B, module.heads, -1, 1)
    return x + (gates * like[:, :, None]).reshape(x.shape)
