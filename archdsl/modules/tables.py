"""Learned tables whose shape follows the size that a network is built for, and how they are made for another one.

A module that owns such a table calls the parameter `table` and is a `Table`: weights that come from another image size
are then resized as it says. No other tensor ever is.
"""

from __future__ import annotations

from math import isqrt
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@runtime_checkable
class Table(Protocol):
    """What the owner of a parameter `table` offers, so that it loads weights of another image size.

    size: (rows, columns) of its own grid, of positions or of displacements.
    """

    table: nn.Parameter
    size: tuple[int, int]

    def size_of(self, given: Tensor) -> tuple[int, int] | None:
        """The grid of a table of this kind; square where its shape does not tell; None if it is none."""

    def resized(self, given: Tensor, size: tuple[int, int]) -> Tensor:
        """A table on a grid of that size -> one of this module's shape."""


def square(count: int) -> tuple[int, int] | None:
    """The sides of a square grid of so many cells, if there is one."""
    side = isqrt(count)
    return (side, side) if side and side * side == count else None


def resize(grid: Tensor, size: tuple[int, int], mode: str = "bicubic") -> Tensor:
    """(C, H, W) -> (C, *size), in float32 at least; cell borders keep their place (align_corners false)."""
    exact = grid.to(torch.promote_types(grid.dtype, torch.float32))
    return F.interpolate(exact[None], size=size, mode=mode, align_corners=False)[0]
