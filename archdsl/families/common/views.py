"""What a module shows of itself to `archdsl look`: where it reads, what it attends to, how strong its output is.

A module takes part by a method `views(*inputs, query)`, where `inputs` are those of its `forward`, for one image, and
`query` is a position (row, column) of the map that it reads. It returns numbers and places, and leaves its state alone;
how they are drawn is not its concern.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

Position = tuple[int, int]
"""Row and column of a map, from 0."""
Kind = Literal["share", "amount", "signed"]


class Heat(NamedTuple):
    """A number at each position of a map, or at each square of `cell` x `cell` positions.

    title: what is drawn, e.g. "attention of the query".
    values: (heads, rows, columns); one head where nothing is told apart by heads.
    kind: "share" for parts of a whole, 0 to 1; "amount" for numbers from 0; "signed" for numbers around 0.
    beside: parts of the same whole that fall on what is no position of the map, such as a class token, (heads,) each.
    query: whether the numbers are of the query, which is then marked.
    """

    title: str
    values: Tensor
    kind: Kind = "share"
    cell: int = 1
    beside: Mapping[str, Tensor] = {}
    query: bool = True


class Points(NamedTuple):
    """Places between the positions of a map, each with a weight.

    places: (groups, points, yx) in positions: 0 is the centre of the first row or column.
    weights: (heads, points), 0 to 1: a point has the same weight in all groups.
    """

    title: str
    places: Tensor
    weights: Tensor
    query: bool = True


class Arrows(NamedTuple):
    """Where each tap of a grid would read without its offset, and where it reads: (rows, columns, yx) in positions."""

    title: str
    starts: Tensor
    ends: Tensor


View = Heat | Points | Arrows


@runtime_checkable
class Viewable(Protocol):
    """A module that shows something of itself."""

    def views(self, *inputs: Tensor, query: Position) -> Sequence[View]:
        """What there is to be drawn for the inputs of one forward pass of one image, and for one query."""


def attention_weights(q: Tensor, k: Tensor, bias: Tensor | None = None) -> Tensor:
    """(..., N, d), (..., P, d), bias (..., N, P) -> (..., N, P): softmax(q k' / sqrt(d) + bias), in float32 at least"""
    exact = torch.promote_types(q.dtype, torch.float32)
    scores = q.to(exact) @ k.to(exact).transpose(-2, -1) * q.shape[-1] ** -0.5
    return (scores if bias is None else scores + bias.to(exact)).softmax(-1)


def on_a_map(weights: Tensor, rows: Tensor, columns: Tensor, size: tuple[int, int]) -> Tensor:
    """Weights of some rows and columns, (heads, len(rows), len(columns)) -> (heads, H, W), 0 elsewhere"""
    placed = weights.new_zeros(weights.shape[0], *size)
    placed[:, rows[:, None], columns] = weights
    return placed


def cut_to(weights: Tensor, size: tuple[int, int], title: str) -> Heat:
    """Attention over a map that was padded right and below: what falls on the padding is told beside the map."""
    inside = weights[:, : size[0], : size[1]]
    outside = weights.sum((1, 2)) - inside.sum((1, 2))
    is_padded = weights.shape[1:] != inside.shape[1:]
    return Heat(title, inside, beside={"padding": outside.clamp(min=0)} if is_padded else {})
