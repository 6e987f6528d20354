"""How the modules take their map: (B, C, H, W), or (B, H, W, C) with `channels_last`, whichever they have inside."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archdsl.errors import ShapeError
from archdsl.families.common.layers import to_first, to_last
from archdsl.families.common.views import Position, View


class MapModule(nn.Module):
    """What the modules share: the layout of their map, and the check of it."""

    channels: int
    channels_last: bool

    def take_maps(self, channels: int, channels_last: bool) -> None:
        """Say which maps it takes; called by the constructors."""
        self.channels, self.channels_last = channels, channels_last

    def check_map(self, x: Tensor) -> None:
        """Raises `ShapeError` for anything but a map of the module's channels with one position at least."""
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]  # torch exports it untyped
            return  # a trace is of the size that it is made with
        axis, other = (3, 1) if self.channels_last else (1, 3)
        if x.dim() == 4 and x.shape[axis] == self.channels and min(x.shape[1:]) > 0:
            return
        wanted = f"(B, H, W, {self.channels})" if self.channels_last else f"(B, {self.channels}, H, W)"
        rule = f"{type(self).__name__} takes a map {wanted} of one position at least"
        remedy = None
        if x.dim() == 4 and x.shape[other] == self.channels:
            remedy = f"build it with channels_last={not self.channels_last}"
        elif x.dim() == 3:
            remedy = "reshape tokens (B, N, C) to their map"
        raise ShapeError(rule, str(tuple(x.shape)), remedy)

    def check_tokens(self, tokens: Tensor) -> None:
        """Raises `ShapeError` for anything but tokens (B, M, C) of the module's channels."""
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]  # torch exports it untyped
            return
        if tokens.dim() != 3 or tokens.shape[2] != self.channels or tokens.shape[1] < 1:
            rule = f"{type(self).__name__} takes tokens (B, M, {self.channels}), one at least"
            raise ShapeError(rule, str(tuple(tokens.shape)))

    def map_last(self, x: Tensor) -> Tensor:
        """A map as it is given -> (B, H, W, C)"""
        return x if self.channels_last else to_last(x)

    def map_given(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the layout in which maps are given"""
        return x if self.channels_last else to_first(x)


class LastInside(MapModule):
    """A module whose arithmetic is of channels-last maps: stands before the family's module among the bases."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W), or channels last"""
        self.check_map(x)
        return self.map_given(super().forward(self.map_last(x)))


class LastInsideShown(LastInside):
    """As `LastInside`, for a module that shows something of itself (`archdsl.families.common.views`)."""

    def views(self, x: Tensor, *, query: Position) -> list[View]:
        """What there is to be drawn for one map, as `forward` takes it, and for a query (row, column)."""
        self.check_map(x)
        shown: list[View] = super().views(self.map_last(x), query=query)  # type: ignore[misc]  # the next base's
        return shown


class SamplingShown(LastInsideShown):
    """As `LastInsideShown`, for a module that samples its map at places of its own."""

    def sampling_positions(self, x: Tensor) -> Tensor:
        """Where the map is sampled, to be drawn: a map as `forward` takes it -> (B, groups, Hk, Wk, yx).

        In positions of the map: 0 is the centre of the first row or column, H - 1 or W - 1 that of the last.
        """
        self.check_map(x)
        positions: Tensor = super().sampling_positions(self.map_last(x))  # type: ignore[misc]  # the next base's
        return positions


class PathsInside(MapModule):
    """A module of a channels-last map and semantic tokens beside it: stands before the family's module."""

    def forward(self, x: Tensor, semantics: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W), or channels last, and (B, M, C) -> the same"""
        self.check_map(x)
        self.check_tokens(semantics)
        x, semantics = super().forward(self.map_last(x), semantics)
        return self.map_given(x), semantics

    def views(self, x: Tensor, semantics: Tensor, *, query: Position) -> list[View]:
        """What there is to be drawn for one map and its semantics, as `forward` takes them, and for a query."""
        self.check_map(x)
        self.check_tokens(semantics)
        last = self.map_last(x)
        shown: list[View] = super().views(last, semantics, query=query)  # type: ignore[misc]  # the next base's
        return shown


class FirstInside(MapModule):
    """A module whose arithmetic is of channels-first maps: stands before the family's module among the bases."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, width, H', W'), or channels last"""
        self.check_map(x)
        if not self.channels_last:
            result: Tensor = super().forward(x)
            return result
        return to_last(super().forward(to_first(x)))
