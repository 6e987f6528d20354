"""Layers that families share.

Inside a stage a map is channels last, (B, H, W, C), so that norms and linear layers need no copies; ports between nodes
are (B, C, H, W) in the same memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.errors import ShapeError

if TYPE_CHECKING:
    from archdsl.families.common import fields


def to_last(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C), contiguous; no copy where the memory is channels last already."""
    return x.permute(0, 2, 3, 1).contiguous()


def check_holds(height: int, width: int, side: int, what: str) -> None:
    """Raises `ShapeError` where a map, at whatever size an image has, is too small for what is done with it."""
    if min(height, width) < side:
        raise too_small(height, width, what)


def too_small(height: int, width: int, what: str) -> ShapeError:
    """That a map does not hold what a module needs of it."""
    return ShapeError(f"the map must hold {what}", f"{height}x{width} positions", "use a larger image")


def to_first(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, C, H, W), a view."""
    return x.permute(0, 3, 1, 2)


def norm(spec: fields.LayerNorm | fields.BatchNorm | fields.GroupNorm, channels: int) -> nn.Module:
    """The norm that a field asks for, for `normed`.

    torch's own classes, none derived from them: tools that replace batch norms (SyncBatchNorm, frozen ones) know these.
    """
    if spec.type == "layer":
        return nn.LayerNorm(channels, eps=spec.eps)
    if spec.type == "batch":
        return nn.BatchNorm2d(channels, eps=spec.eps)
    return nn.GroupNorm(spec.groups, channels, eps=spec.eps)


def normed(norm: nn.Module, x: Tensor) -> Tensor:
    """A channels-last map through its norm, (B, H, W, C) -> (B, H, W, C).

    Layer norms read channels last, all others, and whatever a tool puts in their place, channels first.
    """
    if isinstance(norm, nn.LayerNorm):
        return norm(x)
    return norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def exact_side(side: int) -> int:
    """A map's side for arithmetic in Python's precision.

    While torch.jit.trace runs, a tensor stands for it, whose quotients are of float32.
    """
    return int(side) if isinstance(side, Tensor) else side


class DropPath(nn.Module):
    """Stochastic depth (arXiv:1603.09382): in training drops a sample's residual branch at `rate`, scales the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B, ...)"""
        if not self.training or self.rate == 0.0:
            return x
        keep = x.new_empty(x.shape[0], *[1] * (x.dim() - 1)).bernoulli_(1 - self.rate)
        return x * keep.div_(1 - self.rate)

    def extra_repr(self) -> str:
        """What `print` shows of it."""
        return f"rate={self.rate:g}"


class LayerScale(nn.Module):
    """A learned factor a channel on a residual branch (arXiv:2103.17239, section 2)."""

    def __init__(self, channels: int, initial: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), float(initial)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, ..., C) -> (B, ..., C)"""
        return x * self.gamma


class Depthwise(nn.Conv2d):
    """A depthwise convolution of a channels-last map, its size kept by zero padding."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(channels, channels, kernel, padding=kernel // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Mlp(nn.Module):
    """Linear, GELU, Linear on each position."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, ..., C) -> (B, ..., C)"""
        x = self.fc1(x)
        x = F.gelu(x)
        return self.fc2(x)


class ConvMlp(nn.Module):
    """Linear, depthwise convolution, GELU, Linear (LITv2, arXiv:2205.13213, section 4)."""

    def __init__(self, channels: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.dwconv = Depthwise(hidden, kernel)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        x = self.fc1(x)
        x = self.dwconv(x)
        x = F.gelu(x)
        return self.fc2(x)


class ResidualConvMlp(ConvMlp):
    """As `ConvMlp`, the convolution added to its input (DAT++, arXiv:2309.01430)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        x = self.fc1(x)
        x = x + self.dwconv(x)
        x = F.gelu(x)
        return self.fc2(x)


def hidden_width(spec: fields.PlainMlp | fields.ConvMlp | fields.ResidualConvMlp, channels: int) -> int:
    """Channels inside the MLP that a field asks for."""
    return int(spec.ratio * channels)


def mlp(spec: fields.PlainMlp | fields.ConvMlp | fields.ResidualConvMlp, channels: int) -> nn.Module:
    """The MLP that a field asks for."""
    hidden = hidden_width(spec, channels)
    if spec.type == "plain":
        return Mlp(channels, hidden)
    kind = ConvMlp if spec.type == "dwconv" else ResidualConvMlp
    return kind(channels, hidden, spec.kernel)


class ResidualBlock(nn.Module):
    """Pre-norm residual block: local perception, mixer and MLP, each added to its input; what is absent is None.

    `norm1` and `mixer` are absent together.
    """

    def __init__(
        self,
        channels: int,
        norm1: nn.Module | None,
        mixer: nn.Module | None,
        norm2: nn.Module,
        mlp: nn.Module,
        layer_scale: float | None = None,
        local_perception: bool = False,
    ) -> None:
        super().__init__()

        def scale() -> nn.Module:
            return nn.Identity() if layer_scale is None else LayerScale(channels, layer_scale)

        self.local = Depthwise(channels, 3) if local_perception else None
        self.norm1 = norm1
        self.mixer = mixer
        self.scale1 = scale() if mixer is not None else None
        self.norm2 = norm2
        self.mlp = mlp
        self.scale2 = scale()
        self.drop_path = DropPath()

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        if self.local is not None:
            x = x + self.local(x)
        if self.mixer is not None and self.norm1 is not None and self.scale1 is not None:
            x = x + self.drop_path(self.scale1(self.mixer(normed(self.norm1, x))))
        return x + self.drop_path(self.scale2(self.mlp(normed(self.norm2, x))))
