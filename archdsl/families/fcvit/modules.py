"""Modules of FCViT: A Close Look at Spatial Modeling: From Attention to Convolution (arXiv:2212.12552).

The published 1x1 convolutions are linear layers here: on a channels-last map the same product, without a copy.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.common.layers import Depthwise, check_holds, exact_side, normed, to_first, to_last
from archdsl.families.common.views import Heat, Position, View


class OverlapStem(nn.Module):
    """A strided convolution whose windows overlap, zero-padded by (kernel - 1) // 2, then a norm."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int, norm: nn.Module) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel, stride, (kernel - 1) // 2)
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, width, H', W')"""
        kernel, padding = self.proj.kernel_size[0], int(self.proj.padding[0])
        check_holds(x.shape[2], x.shape[3], kernel - 2 * padding, f"a kernel of {kernel}x{kernel}")
        return to_first(normed(self.norm, to_last(self.proj(x))))


class Context(nn.Module):
    """The map and its global context: something for each channel from the mean of all positions, where one is like it.

    Channels come from the mean through a bottleneck of `hidden`: Linear, GELU, Linear; with `compete` the first Linear
    gives two halves, whose maximum stands for the GELU. Each head weighs them by the product of its channels at a
    position and in the mean, standardised over all heads and positions of a sample together, then rescaled. Without
    `heads` every position gets the same.
    """

    EPS = 1e-5
    """Added to the standard deviation, not to the variance."""

    def __init__(self, channels: int, heads: int | None, hidden: int, compete: bool) -> None:
        super().__init__()
        self.heads, self.compete = heads, compete
        if heads is not None:
            self.rescale_weight = nn.Parameter(torch.ones(heads))
            self.rescale_bias = nn.Parameter(torch.zeros(heads))
        self.fc1 = nn.Linear(channels, 2 * hidden if compete else hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        mean = x.mean(dim=(1, 2))
        gates = self.gates(mean)
        if self.heads is None:
            return x + gates[:, None, None]
        B, C = mean.shape
        split = x.reshape(B, x.shape[1] * x.shape[2], self.heads, C // self.heads)  # (B, N, heads, d)
        weights = self.weights(split, mean)
        gates = gates.reshape(B, 1, self.heads, C // self.heads)
        return torch.addcmul(split, weights, gates).reshape(x.shape)

    def views(self, x: Tensor, *, query: Position) -> list[View]:
        """(1, H, W, C) -> how much of the global context each head adds at a position; nothing without heads"""
        if self.heads is None:
            return []
        _, H, W, C = x.shape
        split = x.reshape(1, H * W, self.heads, C // self.heads)
        weights = self.weights(split, x.mean(dim=(1, 2)))  # (1, N, heads, 1)
        return [Heat("weight of the global context", weights[0, :, :, 0].t().reshape(-1, H, W), "signed", query=False)]

    def gates(self, mean: Tensor) -> Tensor:
        """(B, C) -> (B, C)"""
        x = self.fc1(mean)
        x = x.unflatten(1, (2, -1)).amax(dim=1) if self.compete else F.gelu(x)
        return self.fc2(x)

    def weights(self, x: Tensor, mean: Tensor) -> Tensor:
        """(B, N, heads, d), (B, C) -> (B, N, heads, 1)

        The deviation divides by one less than there are heads and positions, as published; of a single one, for which
        the published code gives no number, it is 0.
        """
        B, N, heads, d = x.shape
        like = x.transpose(1, 2) @ mean.reshape(B, heads, d, 1)  # (B, heads, N, 1)
        like = like * exact_side(d) ** -0.5
        if B == 0:
            return like.transpose(1, 2)  # nothing has a deviation, of which torch warns
        if heads == 1:  # equal positions have no deviation: EPS would enlarge how a runtime rounds their mean
            like = like - like[:, :, :1]
        std, middle = torch.std_mean(like, dim=(1, 2), keepdim=True, correction=min(1, heads * N - 1))
        like = like - middle
        scale = self.rescale_weight[:, None, None] / (std + self.EPS)
        return torch.addcmul(self.rescale_bias[:, None, None], like, scale).transpose(1, 2)


class Step(nn.Module):
    """Context, depthwise convolution, a bottleneck of `hidden` (without, a single Linear) and GELU, in turn."""

    def __init__(self, channels: int, kernel: int, context: Context, hidden: int | None) -> None:
        super().__init__()
        self.context = context
        self.conv = Depthwise(channels, kernel)
        self.fc1 = nn.Linear(channels, channels if hidden is None else hidden)
        self.fc2 = None if hidden is None else nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        x = self.context(x)
        x = self.conv(x)
        x = self.fc1(x)
        if self.fc2 is not None:
            x = F.gelu(x)
            x = self.fc2(x)
        return F.gelu(x)


class SpatialAttention(nn.Module):
    """The map times a gate a position and channel: depthwise 3x3, a bottleneck of C // 8, sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Depthwise(channels, 3)
        self.fc1 = nn.Linear(channels, channels // 8)
        self.fc2 = nn.Linear(channels // 8, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        return x * self.gate(x)

    def gate(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C), 0 to 1"""
        gate = self.conv(x)
        gate = self.fc1(gate)
        gate = F.gelu(gate)
        gate = self.fc2(gate)
        return torch.sigmoid(gate)

    def views(self, x: Tensor, *, query: Position) -> list[View]:
        """(1, H, W, C) -> the mean over the channels of what each position is multiplied by"""
        return [Heat("gate, mean of the channels", self.gate(x).mean(-1), "amount", query=False)]


class ChannelAttention(nn.Module):
    """The map plus an addend a channel: the mean of its GELU through two convolutions along the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, 1, 3, padding=1)
        self.conv2 = nn.Conv1d(1, 1, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        mean = F.gelu(x).mean(dim=(1, 2))[:, None]  # (B, 1, C)
        mean = self.conv1(mean)
        mean = F.gelu(mean)
        mean = self.conv2(mean)
        return x + mean[:, None]


class TokenMixer(nn.Module):
    """One or two steps, and spatial attention after them if there is one; no norm and no residual inside."""

    def __init__(self, steps: Sequence[Step], attention: SpatialAttention | None) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        for step in self.steps:
            x = step(x)
        return x if self.attention is None else self.attention(x)


def attended(mlp: nn.Module) -> nn.Module:
    """An MLP with channel attention after it."""
    both = nn.Sequential()
    both.add_module("mlp", mlp)
    both.add_module("attention", ChannelAttention())
    return both
