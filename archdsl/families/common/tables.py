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

    def size_of(self, table: Tensor) -> tuple[int, int] | None:
        """The grid of a table of this kind; square where its shape does not tell; None if it is none."""

    def resized(self, table: Tensor, size: tuple[int, int]) -> Tensor:
        """A table on a grid of that size -> one of this module's shape."""


def square(count: int) -> tuple[int, int] | None:
    """The sides of a square grid of so many cells, if there is one."""
    side = isqrt(count)
    return (side, side) if side and side * side == count else None


def resize(grid: Tensor, size: tuple[int, int], mode: str = "bicubic") -> Tensor:
    """(C, H, W) -> (C, *size), in float32 at least; cell borders keep their place (align_corners false)."""
    exact = grid.to(torch.promote_types(grid.dtype, torch.float32))
    return F.interpolate(exact[None], size=size, mode=mode, align_corners=False)[0]


def move_parameters(source: nn.Module, target: nn.Module) -> None:
    """Give a network the parameters of the same one for another image size, with its tables resized.

    Modules are matched by name; those that `source` does not have are left alone. Parameters are shared, but for tables
    of another shape. Both are then in the same mode, with the same stages recomputed in the backward pass.
    """
    modules = dict(source.named_modules())
    for name, module in target.named_modules():
        if (old := modules.get(name)) is None:
            continue
        module.training = old.training
        if isinstance(enable := getattr(old, "grad_checkpointing", None), bool):
            module.grad_checkpointing = enable
        module._parameters.update(old._parameters)
        kept = old._buffers.keys() - old._non_persistent_buffers_set
        module._buffers.update({key: old._buffers[key] for key in kept})
        if isinstance(old, Table) and isinstance(module, Table) and module.size != old.size:
            table = _resized(module, old.table, old.size)
            module.table = nn.Parameter(table, requires_grad=old.table.requires_grad)


def _resized(module: Table, table: Tensor, size: tuple[int, int]) -> Tensor:
    with torch.no_grad():
        return module.resized(table, size).to(table.dtype).contiguous()


class RelativeBias(nn.Module):
    """A learned bias by whole displacement between the positions of a map or a window, a table a head.

    At another map size than the one it was built for the table is resized bicubically, as the published
    dense-prediction backbones do.
    """

    undecayed = ("table",)

    def __init__(self, height: int, width: int, heads: int, std: float) -> None:
        super().__init__()
        self.size = (2 * height - 1, 2 * width - 1)
        self.table = nn.Parameter(torch.zeros(self.size[0] * self.size[1], heads))
        nn.init.trunc_normal_(self.table, std=std)

    def forward(self, height: int, width: int) -> Tensor:
        """-> (heads, N, N), query by key, N = height * width"""
        table = self.table.t().reshape(-1, *self.size)  # (heads, 2H - 1, 2W - 1): displacement query - key
        size = (2 * height - 1, 2 * width - 1)
        if size != self.size:
            table = F.interpolate(table[None], size=size, mode="bicubic", align_corners=False)[0]
        pairs = table.unfold(1, height, 1).unfold(2, width, 1)  # (heads, yi, xi, H - 1 - yj, W - 1 - xj)
        return pairs.flip(3, 4).reshape(-1, height * width, height * width)

    def size_of(self, table: Tensor) -> tuple[int, int] | None:
        """The grid of another map's table, ((2H - 1)(2W - 1), heads): square, since its rows do not tell H from W."""
        if table.dim() != 2 or table.shape[1] != self.table.shape[1]:
            return None
        size = square(table.shape[0])
        return size if size and size[0] % 2 else None

    def resized(self, table: Tensor, size: tuple[int, int]) -> Tensor:
        """A table on a grid of that size -> one of this module's shape, bicubically."""
        return resize(table.t().reshape(-1, *size), self.size).flatten(1).t()
