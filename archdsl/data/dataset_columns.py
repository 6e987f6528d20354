"""Which columns of a Hugging Face dataset hold the images and their labels, and the labels of each of its sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from archdsl.data.labelled import Labels
from archdsl.data.set_names import SetName
from archdsl.errors import SearchError

if TYPE_CHECKING:
    from PIL.Image import Image

SETS: tuple[tuple[SetName, str], ...] = (("train", "train"), ("val", "validation"), ("test", "test"))
"""The sets in the order in which data comes in, and how the package calls them."""
_LABELS = ("label", "labels", "class")


_Label: TypeAlias = int | str | bool | None


class _Feature(Protocol):
    """What a column holds; class labels may have names."""

    names: Sequence[str] | None


class Dataset(Protocol):
    """What is used of a set of the package."""

    @property
    def features(self) -> Mapping[str, _Feature]:
        """The columns."""

    def select_columns(self, names: list[str], /) -> Dataset:
        """The set with these columns alone."""

    @overload
    def __getitem__(self, row: int, /) -> Mapping[str, Image]: ...
    @overload
    def __getitem__(self, rows: slice, /) -> Mapping[str, Sequence[_Label]]: ...


class Column(NamedTuple):
    """The labels of a set: what stands for each image, and which images have none."""

    values: Labels
    missing: NDArray[np.bool_]


def columns_of(name: str, dataset: Dataset) -> tuple[str, str]:
    """The columns of the images and of their labels, by their features' types, else by usual names."""
    kinds = {column: type(feature).__name__ for column, feature in dataset.features.items()}
    pictures = [column for column, kind in kinds.items() if kind == "Image"]
    classes = [column for column, kind in kinds.items() if kind == "ClassLabel"]
    named = [column for column in _LABELS if column in kinds]
    labels = [column for column in named if column in classes] or classes or named
    if not pictures or not labels:
        columns = ", ".join(f"{column} ({kind})" for column, kind in kinds.items())
        rule = "a dataset must have a column of images and one of class labels"
        raise SearchError(f"{name}: {rule}; got {columns or 'no column'}")
    return pictures[0], labels[0]


def labels_of(name: str, dataset: Dataset, pictures: str, column: str) -> Column:
    """(N,): names where the dataset has them, else the numbers or names that stand there.

    Raises:
        SearchError: a column is missing, or the labels are of no kind that is read.
    """
    for wanted in (pictures, column):
        if wanted not in dataset.features:
            rule = f"each split must have the columns '{pictures}' and '{column}'"
            raise SearchError(f"{name}: {rule}; one split lacks '{wanted}'")
    values = dataset.select_columns([column])[:][column]
    names = getattr(dataset.features[column], "names", None)
    missing = np.array([value is None or (names is not None and value == -1) for value in values], dtype=np.bool_)
    kinds = {str if isinstance(value, str) else type(value) for value in values if value is not None}
    if len(kinds) > 1 or not kinds <= {int, bool, str}:
        got = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise SearchError(f"{name}: labels in '{column}' must be integers or strings, one per image; got {got}")
    if names is None or kinds == {str}:
        filled = ["" if value is None and kinds == {str} else value or 0 for value in values]
        return Column(np.array(filled), missing)
    wrong = [value for value in values if isinstance(value, int) and not -1 <= value < len(names)]
    if wrong:
        rule = f"labels in '{column}' must be below {len(names)}, the number of its names"
        raise SearchError(f"{name}: {rule}; got {wrong[0]}")
    named = ["" if gone else names[value] for gone, value in zip(missing, values, strict=True)]
    return Column(np.array(named, dtype=np.str_), missing)


def labelled_sets(name: str, columns: list[Column | None]) -> tuple[list[Labels | None], list[str]]:
    """The labels of each set; None for one whose labels are kept back, as those of a competition's test set.

    Raises:
        SearchError: images to train with have no label.
    """
    first, *further = columns
    assert first is not None
    if first.missing.any():
        rule = "every training image must have a label"
        raise SearchError(f"{name}: {rule}; {int(first.missing.sum()):,} of {len(first.missing):,} have none")
    kept, notes = list[Labels | None]((first.values,)), list[str]()
    for (_, usual), column in zip(SETS[1:], further, strict=True):
        if column is None or not len(column.values):
            kept.append(None)
            continue
        hidden = column.missing | (_is_minus_one(column.values) & ~_is_minus_one(first.values).any())
        if hidden.any():
            notes.append(f"the split '{usual}' is not read: {int(hidden.sum()):,} of its labels are kept back")
        elif column.values.dtype.kind != first.values.dtype.kind:
            got = f"{first.values.dtype} and {column.values.dtype}"
            raise SearchError(f"{name}: labels must be of one kind in all splits; got {got}")
        kept.append(None if hidden.any() else column.values)
    return kept, notes


def _is_minus_one(labels: Labels) -> NDArray[np.bool_]:
    return labels == -1 if labels.dtype.kind == "i" else np.zeros(len(labels), np.bool_)
