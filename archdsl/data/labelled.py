"""Labelled images, and how they part into sets that share none: to train, to validate, and held out of all choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from archdsl.errors import SearchError

Indices: TypeAlias = NDArray[np.intp]
Numbers: TypeAlias = NDArray[np.integer]
"""The class of each image, from 0."""
Pixels: TypeAlias = NDArray[np.uint8 | np.float32]
"""(N, C, H, W)"""
Labels: TypeAlias = NDArray[np.integer | np.str_ | np.bool_]
"""What each image shows, (N,): names or numbers."""


class Labelled:
    """Images (N, C, H, W), uint8 or float32, and what each shows: names or numbers, (N,)."""

    def __init__(self, images: Pixels, labels: Labels) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: slice | Indices) -> Labelled:
        return Labelled(self.images[which], self.labels[which])


class Division(NamedTuple):
    """How an earlier training divided the data, which keeps its validation and held-out images apart from training."""

    images: int | None
    """The training images that it asked for, as in `Sizes`."""


class Sizes(NamedTuple):
    """At most how many images to train with, to choose by, and to hold out of all choices."""

    train: int | None
    """None: all, but for a tenth of them each to choose by and to hold out, where these do not come apart."""
    validation: int
    held_out: int
    division: Division | None = None
    """The data is divided as there, and what is left to train with is used up to `train`."""

    @property
    def divided_for(self) -> int | None:
        """The training images that the data is divided for."""
        return self.train if self.division is None else self.division.images


class Split(NamedTuple):
    """Three sets whose labels index `class_names`."""

    train: Labelled
    val: Labelled
    held: Labelled
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What is to be said of how the data was read."""
    warnings: tuple[str, ...] = ()
    """What is to be said once, in full: the notes have it in brief."""


class Drawn(NamedTuple):
    """Rows of one of the sets that data comes in: 0 for the first, 1 to validate with, 2 to hold out."""

    source: int
    rows: Indices


def split(sets: Sequence[Labelled | None], seed: int, sizes: Sizes) -> Split:
    """At most so many images of the sets that data comes in, drawn as by `three`.

    Raises:
        SearchError: too few classes or images, or a class that only a later set knows.
    """
    first = next(part for part in sets if part is not None)
    names = class_names(first.labels)
    drawn = three([None if part is None else part.labels for part in sets], names, seed, sizes)
    parts = (sets[source] for source, _ in drawn)
    kept = [part[rows] for part, (_, rows) in zip(parts, drawn, strict=True) if part is not None]
    train, val, held = (Labelled(part.images, np.searchsorted(names, part.labels)) for part in kept)
    notes = drawn_apart([None if part is None else part.labels for part in sets])
    return Split(train, val, held, tuple(str(name) for name in names), tuple(notes))


def drawn_apart(labels: Sequence[Labels | None]) -> list[str]:
    """What is said where validation and held-out images do not come apart from the others, as `three` draws them."""
    _, val, held = labels
    if val is None and held is None:
        return ["validation and held-out images are drawn from the training set"]
    if val is None:
        return ["validation images are drawn from the training set"]
    return ["held-out images are drawn from the validation set"] if held is None else []


def three(labels: Sequence[Labels | None], names: Labels, seed: int, sizes: Sizes) -> tuple[Drawn, Drawn, Drawn]:
    """What to train with, to validate with and to hold out, from the labels of the one to three sets of the data.

    What does not come apart is drawn: validation from the first set, what is held out from where validation is.

    Raises:
        SearchError: as `split`.
    """
    for later, what in zip(labels[1:], ("validation", "held-out"), strict=True):
        if later is not None:
            refuse_new(names, later, what)
    first, val, held = (None if some is None else np.searchsorted(names, some) for some in labels)
    assert first is not None
    wanted = sizes.validation + (sizes.held_out if held is None else 0)
    if val is None:
        kept, rest = parted(first, seed, sizes.divided_for, wanted, [str(name) for name in names])
        if sizes.division is not None:
            kept = _left(first, rest, seed)[: None if sizes.train is None else max(sizes.train, len(names))]
    else:
        kept, rest = (
            balanced(first, seed)[: None if sizes.train is None else max(sizes.train, len(names))],
            balanced(val, seed + 1)[:wanted],
        )
    source = 0 if val is None else 1
    if held is not None:
        return Drawn(0, kept), Drawn(source, rest), Drawn(2, balanced(held, seed + 2)[: sizes.held_out])
    cut = -(-len(rest) * sizes.validation // wanted)
    return Drawn(0, kept), Drawn(source, rest[:cut]), Drawn(source, rest[cut:])


def class_names(labels: Labels) -> Labels:
    """The labels that occur, sorted; a class's place here is its number."""
    names = np.unique(labels)
    if len(names) < 2:
        shown = ", ".join(str(name) for name in names) or "none"
        raise SearchError(f"data must have at least 2 classes; got {len(names)} ({shown})")
    return names


def refuse_new(names: Labels, labels: Labels, what: str) -> None:
    """No set may know a class that training does not."""
    new = np.setdiff1d(labels, names)
    if len(new):
        raise SearchError(f"the {what} set has a class that the training set lacks: '{new[0]}'; known: {listed(names)}")


def parted(
    numbers: Numbers, seed: int, train: int | None, validation: int, names: Sequence[str]
) -> tuple[Indices, Indices]:
    """Indices of the training and of the validation images; where there are too few, both shrink alike.

    Training keeps what was asked for as long as that is at most half of all; where all were asked for, validation takes
    at most a fifth. Validation is drawn first, so that a class of two images has one in each.
    """
    counts = np.bincount(numbers)
    total, classes = len(numbers), len(counts)
    if counts.min() < 2:
        rule = "each class needs at least 2 images, one to train and one to validate"
        raise SearchError(f"{rule}; class '{names[int(counts.argmin())]}' has {counts.min()}")
    if train is None:
        validation = min(validation, max(total // 5, classes))
        train = total - validation
    if total < (wanted := train + validation):
        shared = max(round(total * validation / wanted), classes)
        if total - shared < min(train, total // 2):
            shared = max(total - min(train, total // 2), classes)
        validation = min(shared, total - classes)
        train = total - validation
    order = balanced(numbers, seed)
    held, rest = order[:validation], order[validation:]
    kept = rest[balanced(numbers[rest], seed + 1)][:train]
    if len(np.unique(numbers[kept])) < classes:
        rule = "each class needs an image to train with"
        raise SearchError(f"{rule}; got {classes} classes, {train} images to train and {validation} to validate")
    return kept, held


def _left(numbers: Numbers, held: Indices, seed: int) -> Indices:
    """All images but those held, those that `parted` trains with first."""
    validated = balanced(numbers, seed)
    rest = validated[len(held) :]
    return rest[balanced(numbers[rest], seed + 1)]


def balanced(numbers: Numbers, seed: int) -> Indices:
    """A random order of which every beginning holds the classes in their proportions, each first image first."""
    rng = np.random.default_rng(seed)
    place = np.empty(len(numbers))
    for number in np.unique(numbers):
        rows = np.flatnonzero(numbers == number)
        place[rows] = rng.permutation(len(rows)) / len(rows)
    return np.lexsort((rng.random(len(numbers)), place))


def listed(names: Sequence[str | int] | Labels, limit: int = 12) -> str:
    """The first names, and how many more there are."""
    shown = [str(name) for name in names[:limit]]
    return ", ".join(shown) + (f" and {len(names) - limit} more" if len(names) > limit else "")
