"""One tensor from the parent's: slices of its dimensions, kernels of another side, tables of another grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.deriving.axes import Axis
from archdsl.deriving.report import State
from archdsl.families.common.stage_modules import PositionEmbedding
from archdsl.families.common.tables import Table, resize
from archdsl.families.datpp.displacement import FixedBias

Convolution = nn.Conv1d | nn.Conv2d


class Made(NamedTuple):
    """A tensor's new values, and how they came about: `copied`, `cropped`, `resized`, `widened` or `new`."""

    value: Tensor
    state: State
    note: str = ""


def sliced(theirs: Tensor, ours: Tensor, axes: Sequence[Axis], is_resized: bool = False) -> Made:
    """The parent's tensor with the entries that the axes name.

    The first dimension writes, and the others read; an entry that nothing gives keeps its value of `ours` where it
    writes, and is 0 where it reads.

    Args:
        theirs: the parent's tensor, its kernel brought to our side already.
        ours: our tensor as it is.
        axes: one for each of the first dimensions; further ones are taken as they are.
        is_resized: whether the kernel or the grid was made from one of another size.
    """
    value = theirs.to(ours)
    for place, axis in enumerate(axes):
        value = value.index_select(place, axis.index.clamp(min=0).to(value.device))
        gain = axis.gain if place == 0 else axis.shares(len(value))
        if gain is not None and not bool((gain == 1).all()):
            value = value * gain.to(value).reshape(*gain.shape, *[1] * (value.dim() - place - 1))
    value = _with_rows_of(ours, value, axes[0]) if axes else value
    return Made(value, _state(theirs, ours, axes, is_resized), next((axis.label for axis in axes if axis.label), ""))


def _with_rows_of(ours: Tensor, value: Tensor, axis: Axis) -> Tensor:
    """Rows that the parent has not: as they are in `ours`, or 0."""
    missing = axis.index < 0
    if not bool(missing.any()):
        return value
    start = ours.clone()
    if axis.zero is not None:
        start[axis.zero.to(ours.device)] = 0
    return torch.where(missing.to(ours.device).reshape(-1, *[1] * (ours.dim() - 1)), start, value)


def _state(theirs: Tensor, ours: Tensor, axes: Sequence[Axis], is_resized: bool) -> State:
    if any(bool((axis.index < 0).all()) for axis in axes):
        return "new"
    if is_resized:
        return "resized"
    pairs = list(zip(ours.shape, theirs.shape, strict=True))
    if any(n > of for n, of in pairs) or any(bool((axis.index < 0).any()) for axis in axes):
        return "widened"
    return "cropped" if any(n < of for n, of in pairs) else "copied"


def kernel(theirs: Tensor, child: Convolution, parent: Convolution) -> tuple[Tensor, bool]:
    """The parent's kernel at our side, and whether it was resized.

    Taps keep their place on the map: a larger kernel has zeros around them, a smaller one leaves the outer ones out.
    Where the strides differ, as those of patches do, it is resized bilinearly instead, times the ratio of the areas.
    """
    if child.stride != parent.stride:
        return _resized_kernel(theirs, child), True
    for place, side in enumerate(child.kernel_size, start=2):
        taps = torch.arange(side) - int(child.padding[place - 2]) + int(parent.padding[place - 2])
        inside = (taps >= 0) & (taps < theirs.shape[place])
        theirs = theirs.index_select(place, taps.clamp(0, theirs.shape[place] - 1).to(theirs.device))
        if not bool(inside.all()):
            theirs = theirs * inside.to(theirs).reshape(-1, *[1] * (theirs.dim() - place - 1))
    return theirs, False


def _resized_kernel(theirs: Tensor, child: Convolution) -> Tensor:
    mode = "bilinear" if theirs.dim() == 4 else "linear"
    exact = theirs.to(torch.promote_types(theirs.dtype, torch.float32))
    made = F.interpolate(exact, size=tuple(child.kernel_size), mode=mode, align_corners=False)
    return made * (theirs[0, 0].numel() / made[0, 0].numel())


def table(child: Table, parent: Table, channels: Axis) -> Made:
    """A table of positions or displacements for our channels or heads, on our grid."""
    theirs, ours = parent.table.detach(), child.table.detach()
    if isinstance(child, PositionEmbedding) and isinstance(parent, PositionEmbedding):
        theirs = _with_first_rows(child, parent)
    place = 2 if isinstance(child, PositionEmbedding) else 0 if ours.dim() == 3 else 1
    value = theirs.to(ours).index_select(place, channels.index.clamp(min=0).to(ours.device))
    is_resized = child.size != parent.size
    if is_resized:
        value = child.resized(value, parent.size).to(ours)
    missing = (channels.index < 0).to(ours.device)
    rest = [1] * ours.dim()
    rest[place] = -1
    value = torch.where(missing.reshape(rest), ours, value)
    if bool((channels.index < 0).all()):
        return Made(value, "new")
    count, of = channels.sizes
    other: State = "copied" if count == of else "cropped" if count < of else "widened"
    grids = f"{parent.size[0]}x{parent.size[1]} -> {child.size[0]}x{child.size[1]}"
    return Made(value, "resized" if is_resized else other, grids if is_resized else channels.label)


def _with_first_rows(child: PositionEmbedding, parent: PositionEmbedding) -> Tensor:
    """The parent's table with as many rows in front of its grid as ours has."""
    grid = parent.table.detach()[:, parent.first :]
    first = parent.table.detach()[:, : parent.first]
    if child.first != parent.first:
        first = grid.new_zeros(1, child.first, grid.shape[2])
    return torch.cat([first, grid], dim=1)


def grid_table(theirs: Tensor, ours: Tensor, heads: Axis) -> Made:
    """A table (heads, rows, columns), resized bicubically to our rows and columns."""
    grid = theirs.to(ours)
    is_resized = grid.shape[1:] != ours.shape[1:]
    if is_resized:
        grid = resize(grid, (ours.shape[1], ours.shape[2])).to(ours)
    made = sliced(grid, ours, [heads], is_resized)
    sides = f"{theirs.shape[1]}x{theirs.shape[2]} -> {ours.shape[1]}x{ours.shape[2]}"
    return made._replace(note=sides) if is_resized else made


def pair_table(child: FixedBias, parent: FixedBias, heads: Axis) -> Made:
    """A table by head, query and key, resized bicubically over the keys and over the queries."""
    theirs, ours = parent.table.detach().to(child.table), child.table.detach()
    is_resized = (child.queries, child.keys) != (parent.queries, parent.keys)
    if is_resized:
        theirs = resize(theirs.unflatten(2, parent.keys).flatten(0, 1), child.keys).flatten(1)
        theirs = theirs.unflatten(0, (len(parent.table), -1)).transpose(1, 2).flatten(0, 1)
        theirs = resize(theirs.unflatten(1, parent.queries), child.queries).flatten(1)
        theirs = theirs.unflatten(0, (len(parent.table), -1)).transpose(1, 2).to(ours)
    return sliced(theirs, ours, [heads], is_resized)


def square_rows(theirs: Tensor, ours: Tensor, sides: tuple[int, int], channels: Axis) -> Made:
    """Rows of a square grid, (side * side, C) of the sides (ours, the parent's), resized bicubically."""
    mine, old = sides
    rows = theirs.to(ours)
    if mine != old:
        rows = resize(rows.t().reshape(-1, old, old), (mine, mine)).flatten(1).t().to(ours)
    value = rows.index_select(1, channels.index.clamp(min=0).to(ours.device))
    count, of = channels.sizes
    state: State = "resized" if mine != old else "copied" if count == of else "cropped" if count < of else "widened"
    return Made(value, state, f"{old}x{old} -> {mine}x{mine}" if mine != old else "")


def started(ours: Tensor, value: float) -> Made:
    """A new tensor whose start keeps the function."""
    return Made(torch.full_like(ours, value), "new", f"starts at {value:g}")
