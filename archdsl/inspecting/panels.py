"""What is drawn in one picture of a page: numbers and places in pixels of the image that the network reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from archdsl.errors import LookError
from archdsl.families.common.views import Arrows, Heat, Points, Position, View
from archdsl.json_types import Json, JsonObject

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]
PanelKind = Literal["share", "amount", "signed", "points", "offsets"]
"""Shares of a whole, numbers from 0, numbers around 0; weighted sampling points; offsets of a merge."""
_MOST_ARROWS = 20
"""Along a side."""


@dataclass(frozen=True)
class Place:
    """Where a module stands: its node, its block (from 1, of so many) inside a stage, and its name."""

    node: str
    type: str
    module: str
    block: int | None = None
    blocks: int | None = None
    inside: str = ""
    """Which part of the block it is, where that is not its mixer."""


@dataclass(frozen=True)
class MapGrid:
    """The map that a module reads: (height, width) in positions, of `stride` pixels a side, and the query on it."""

    size: tuple[int, int]
    stride: int
    query: Position


@dataclass(frozen=True)
class Panel:
    """One picture.

    values: (rows, columns) for the first three kinds, each of `cell` pixels a side; (points,) for points and (arrows,)
        lengths in positions for offsets. Their range is `low` to `high`.
    places: (points, yx) in pixels; for offsets where each tap reads.
    starts: for offsets, where each tap would read without.
    heads: how many there are; `head` is the one that is shown, from 1; None: their mean.
    outside: points that lie outside the map, where what is sampled counts 0.
    """

    place: Place
    grid: MapGrid
    kind: PanelKind
    title: str
    values: Floats
    cell: float = 0.0
    places: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    starts: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    groups: int = 1
    heads: int = 1
    head: int | None = None
    beside: tuple[tuple[str, float], ...] = ()
    outside: int = 0
    marks_query: bool = False

    @property
    def low(self) -> float:
        """The smallest number; the negative of the largest magnitude where numbers are around 0."""
        return -self.high if self.kind == "signed" else float(self.values.min())

    @property
    def high(self) -> float:
        """The largest number, or magnitude."""
        return float(np.abs(self.values).max() if self.kind == "signed" else self.values.max())

    @property
    def step(self) -> int:
        """Of how many taps along a side one is drawn, so that arrows can be told apart; odd, so that all four occur."""
        return -(-max(self._taps) // _MOST_ARROWS) // 2 * 2 + 1 if max(self._taps) > _MOST_ARROWS else 1

    @property
    def _taps(self) -> tuple[int, int]:
        columns = len(np.unique(self.starts[:, 1]))
        return len(self.starts) // columns, columns

    def shown_arrows(self) -> NDArray[np.intp]:
        """The taps that are drawn."""
        first = self.step // 2
        return np.arange(len(self.starts)).reshape(self._taps)[first :: self.step, first :: self.step].ravel()

    def as_json(self) -> JsonObject:
        """The facts for programs, without the numbers themselves."""
        beside: JsonObject = dict(self.beside)
        query: list[Json] | None = [*self.grid.query] if self.marks_query else None
        facts: JsonObject = {
            "node": self.place.node,
            "type": self.place.type,
            "block": self.place.block,
            "blocks": self.place.blocks,
            "module": self.place.module,
            "kind": self.kind,
            "title": self.title,
            "heads": self.heads,
            "head": self.head,
            "range": [float(self.values.min()), float(self.values.max())],
            "map": [*self.grid.size],
            "stride": self.grid.stride,
            "query": query,
        }
        if self.kind in ("points", "offsets"):
            return facts | {"points": len(self.places), "groups": self.groups, "outside": self.outside}
        return facts | {"grid": [*self.values.shape], "beside": beside}


def panel(place: Place, grid: MapGrid, view: View, head: int | None) -> Panel:
    """A view as it is drawn.

    Raises:
        LookError: its numbers are not finite.
    """
    if isinstance(view, Arrows):
        return _offsets(place, grid, view)
    if isinstance(view, Points):
        return _points(place, grid, view, head)
    return _heat(place, grid, view, head)


def _heat(place: Place, grid: MapGrid, view: Heat, head: int | None) -> Panel:
    heads, chosen = len(view.values), _chosen(len(view.values), head)
    beside = tuple((name, float(_of_head(share, chosen).item())) for name, share in view.beside.items())
    return Panel(
        place,
        grid,
        view.kind,
        view.title,
        _finite(_of_head(view.values, chosen), place),
        cell=float(view.cell * grid.stride),
        heads=heads,
        head=chosen,
        beside=beside,
        marks_query=view.query,
    )


def _points(place: Place, grid: MapGrid, view: Points, head: int | None) -> Panel:
    groups, heads, chosen = len(view.places), len(view.weights), _chosen(len(view.weights), head)
    weights = np.tile(_finite(_of_head(view.weights, chosen), place), groups)
    places = _finite(view.places.flatten(0, 1), place)
    return Panel(
        place,
        grid,
        "points",
        view.title,
        weights,
        places=_pixels(places, grid),
        groups=groups,
        heads=heads,
        head=chosen,
        outside=_outside(places, grid),
        marks_query=view.query,
    )


def _offsets(place: Place, grid: MapGrid, view: Arrows) -> Panel:
    ends, starts = (_finite(part.flatten(0, 1), place) for part in (view.ends, view.starts))
    return Panel(
        place,
        grid,
        "offsets",
        view.title,
        np.hypot(*(ends - starts).T),
        places=_pixels(ends, grid),
        starts=_pixels(starts, grid),
        outside=_outside(ends, grid),
    )


def _chosen(heads: int, head: int | None) -> int | None:
    """The head that is shown, where there are several."""
    return head if head is not None and 1 < heads >= head else None


def _of_head(values: Tensor, head: int | None) -> Tensor:
    return values.mean(0) if head is None else values[head - 1]


def _finite(values: Tensor, place: Place) -> Floats:
    array: Floats = values.detach().double().cpu().numpy()
    if not np.isfinite(array).all():
        raise LookError(f"{place.module}: gives NaN or infinities for this image; check its weights")
    return array


def _pixels(places: Floats, grid: MapGrid) -> Floats:
    """Positions as pixels: the middle of a pixel is at half of one."""
    return (places + 0.5) * grid.stride


def _outside(places: Floats, grid: MapGrid) -> int:
    last = np.array(grid.size) - 1
    return int(((places < -1e-3) | (places > last + 1e-3)).any(1).sum())
