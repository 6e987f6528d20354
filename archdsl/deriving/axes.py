"""Where the entries of a tensor's dimension come from, when it is made from a tensor of another size.

A dimension is narrowed by even slices (entry i from floor(i N / n); arXiv:2311.18823), which keep the pattern inside
equal groups, so that whatever reads or writes a channel keeps the same ones. A wider stream of channels repeats them,
and what reads the copies of a channel takes unequal shares of them, which add up to one; a wider inside of a block
keeps the old units and has new ones that nothing reads yet. Both keep the function.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """The entries of one dimension, n of them, each with its place in the parent's.

    index: (n,) places in the parent's, -1 where there is none. of: the parent's size. gain: (n,) factors of entries
    where they are written. zero: (n,) which of the entries without a place start at 0 where they are written; others
    keep their initial values. label: which ones were taken, for a person.
    """

    index: Tensor
    of: int
    gain: Tensor | None = None
    zero: Tensor | None = None
    label: str = ""

    @property
    def sizes(self) -> tuple[int, int]:
        """(n, N)"""
        return len(self.index), self.of

    @property
    def is_same(self) -> bool:
        """Whether every entry is the parent's at the same place."""
        return self.gain is None and len(self.index) == self.of and bool((self.index == torch.arange(self.of)).all())

    def shares(self, rows: int) -> Tensor:
        """(rows, n): what each of the rows that read the entries takes of them; 0 of one without a place.

        The shares of copies add up to 1 and differ, by a fixed seed, so that copies learn different things.
        """
        there = (self.index >= 0).double()
        source = torch.Generator().manual_seed(0)
        drawn = (0.5 + torch.rand(rows, len(self.index), generator=source, dtype=torch.float64)) * there
        places = self.index.clamp(min=0)
        sums = torch.zeros(rows, self.of, dtype=torch.float64).index_add_(1, places, drawn)
        return torch.where(there > 0, drawn / sums[:, places].clamp(min=1e-9), 0.0)

    @property
    def reading_gain(self) -> Tensor:
        """(n,): the factors of what reads the entries: one over the copies of an entry, 0 for one without a place."""
        copies = torch.bincount(self.index.clamp(min=0), weights=(self.index >= 0).double(), minlength=self.of)
        return torch.where(self.index >= 0, 1 / copies[self.index.clamp(min=0)].clamp(min=1), 0.0)


def same(size: int) -> Axis:
    """Every entry as it is."""
    return Axis(torch.arange(size), size)


def even(count: int, of: int) -> Axis:
    """`count` entries from `of`, evenly: some are left out, or each is repeated."""
    return Axis(torch.arange(count) * of // count, of)


def padded(count: int, of: int) -> Axis:
    """Entries from `of`, evenly where there are fewer; of more, those behind the parent's have no place in it."""
    if count <= of:
        return even(count, of)
    index = torch.arange(count)
    return Axis(torch.where(index < of, index, -1), of)


def absent(count: int, of: int, zero: bool = False) -> Axis:
    """Entries without a place in the parent's."""
    index = torch.full((count,), -1)
    return Axis(index, of, zero=torch.ones(count, dtype=torch.bool) if zero else None)


def combined(outer: Axis, inner: Axis) -> Axis:
    """A dimension of two factors, such as heads and the channels of a head: entry (i, j) from the places of both."""
    pairs = outer.index[:, None] * inner.of + inner.index
    there = (outer.index[:, None] >= 0) & (inner.index >= 0)
    index = torch.where(there, pairs, -1).flatten()
    return Axis(index, outer.of * inner.of, label=outer.label or inner.label)


def joined(*axes: Axis) -> Axis:
    """One dimension after another, such as q, k and v."""
    index, of = [], 0
    for axis in axes:
        index.append(torch.where(axis.index >= 0, axis.index + of, -1))
        of += axis.of
    gain = zero = None
    if any(axis.gain is not None for axis in axes):
        gain = torch.cat(
            [torch.ones(len(axis.index), dtype=torch.float64) if axis.gain is None else axis.gain for axis in axes]
        )
    if any(axis.zero is not None for axis in axes):
        none = [torch.zeros(len(axis.index), dtype=torch.bool) for axis in axes]
        zero = torch.cat([empty if axis.zero is None else axis.zero for axis, empty in zip(axes, none, strict=True)])
    return Axis(torch.cat(index), of, gain, zero, next((axis.label for axis in axes if axis.label), ""))


def part(axis: Axis, start: int, stop: int, parent_start: int, parent_stop: int) -> Axis:
    """The entries from `start` to `stop` as those of the parent's part; one from outside of that starts at 0."""
    index = axis.index[start:stop]
    inside = (index >= parent_start) & (index < parent_stop)
    return Axis(torch.where(inside, index - parent_start, -1), parent_stop - parent_start, zero=~inside)


def chosen(axis: Axis, what: str) -> Axis:
    """The same with a label that lists the places, where not all of the parent's are taken."""
    taken = sorted({int(place) for place in axis.index if place >= 0})
    if len(taken) == axis.of:
        return axis
    listed = ", ".join(map(str, taken[:8])) + ", ..." * (len(taken) > 8)
    return Axis(axis.index, axis.of, axis.gain, axis.zero, f"{what} {listed}")
