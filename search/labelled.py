"""Labelled images, and how they part into a training and a validation set that share none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from archdsl.errors import SearchError

Indices = NDArray[np.intp]


class Labelled:
    """Images (N, C, H, W), uint8 or float32, and what each shows: names or numbers, (N,)."""

    def __init__(self, images: NDArray[Any], labels: NDArray[Any]) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: slice | Indices) -> Labelled:
        return Labelled(self.images[which], self.labels[which])


class Split(NamedTuple):
    """Two sets whose labels index `class_names`."""

    train: Labelled
    val: Labelled
    class_names: tuple[str, ...]


def split(both: Labelled, val: Labelled | None, seed: int, train: int, validation: int) -> Split:
    """At most `train` and `validation` images; both from the first set if there is no second one.

    Raises:
        SearchError: too few classes or images, or a class that only validation knows.
    """
    names = class_names(both.labels)
    numbers = np.searchsorted(names, both.labels)
    if val is None:
        first, second = parted(numbers, seed, train, validation, [str(name) for name in names])
        kept, held = both[first], both[second]
    else:
        refuse_new(names, val.labels)
        kept = both[balanced(numbers, seed)[: max(train, len(names))]]
        held = val[balanced(np.searchsorted(names, val.labels), seed + 1)[:validation]]
    train_set, val_set = (Labelled(part.images, np.searchsorted(names, part.labels)) for part in (kept, held))
    return Split(train_set, val_set, tuple(str(name) for name in names))


def class_names(labels: NDArray[Any]) -> NDArray[Any]:
    """The labels that occur, sorted; a class's place here is its number."""
    names = np.unique(labels)
    if len(names) < 2:
        shown = ", ".join(str(name) for name in names) or "none"
        raise SearchError(f"data must have at least 2 classes; got {len(names)} ({shown})")
    return names


def refuse_new(names: NDArray[Any], labels: NDArray[Any]) -> None:
    """Validation must know no class that training does not."""
    new = np.setdiff1d(labels, names)
    if len(new):
        raise SearchError(f"validation has a class that training has not: '{new[0]}'; known: {_listed(names)}")


def parted(
    numbers: NDArray[Any], seed: int, train: int, validation: int, names: Sequence[str]
) -> tuple[Indices, Indices]:
    """Indices of the training and of the validation images; where there are too few, both shrink alike.

    Validation is drawn first, so that a class of two images has one in each.
    """
    counts = np.bincount(numbers)
    total, wanted, classes = len(numbers), train + validation, len(counts)
    if counts.min() < 2:
        rule = "each class needs at least 2 images, one to train and one to validate"
        raise SearchError(f"{rule}; class '{names[int(counts.argmin())]}' has {counts.min()}")
    if total < wanted:
        validation = min(max(round(total * validation / wanted), classes), total - classes)
        train = total - validation
    order = balanced(numbers, seed)
    held, rest = order[:validation], order[validation:]
    kept = rest[balanced(numbers[rest], seed + 1)][:train]
    if len(np.unique(numbers[kept])) < classes:
        rule = "each class needs an image to train with"
        raise SearchError(f"{rule}; got {classes} classes, {train} images to train and {validation} to validate")
    return kept, held


def balanced(numbers: NDArray[Any], seed: int) -> Indices:
    """A random order of which every beginning holds the classes in their proportions, each first image first."""
    rng = np.random.default_rng(seed)
    place = np.empty(len(numbers))
    for number in np.unique(numbers):
        rows = np.flatnonzero(numbers == number)
        place[rows] = rng.permutation(len(rows)) / len(rows)
    return np.lexsort((rng.random(len(numbers)), place))


def _listed(names: NDArray[Any], limit: int = 12) -> str:
    shown = [str(name) for name in names[:limit]]
    return ", ".join(shown) + (f" and {len(names) - limit} more" if len(names) > limit else "")
