"""A Hugging Face dataset as data: one that `save_to_disk` wrote, or a name that `load_dataset` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from archdsl.data.folder import brief, refuse_empty
from archdsl.data.labelled import Labelled, Sizes, Split, class_names, drawn_apart, listed, three
from archdsl.data.pictures import fitted, need_pillow
from archdsl.data.set_names import SetName, set_of, spellings
from archdsl.errors import SearchError

PREFIX = "hf:"
"""Before a name of the hub, perhaps with a configuration after a second colon: `hf:mnist`, `hf:user/birds:small`."""
_SAVED = ("dataset_dict.json", "dataset_info.json")
_SETS: tuple[tuple[SetName, str], ...] = (("train", "train"), ("val", "validation"), ("test", "test"))
"""The sets in the order in which data comes in, and how the package calls them."""
_LABELS = ("label", "labels", "class")


class Column(NamedTuple):
    """The labels of a set: what stands for each image, and which images have none."""

    values: NDArray[Any]
    missing: NDArray[np.bool_]


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote a folder."""
    return any((folder / name).is_file() for name in _SAVED)


def read_dataset(name: str, image: int, seed: int, sizes: Sizes) -> tuple[Split, int]:
    """At most so many images at `image` x `image`, RGB, and how many could not be read; only those drawn are decoded.

    `name` is a folder, or `hf:NAME` or `hf:NAME:CONFIGURATION`.

    Raises:
        SearchError: the package is missing, the dataset cannot be loaded, or it holds no labelled images.
    """
    sets, notes = _sets(name, _loaded(name))
    first = sets[0]
    pictures, label = _columns(name, first)
    labels = [None if part is None else _labels(name, part, pictures, label) for part in sets]
    kept, hidden = _labelled_sets(name, labels)
    train_labels = kept[0]
    assert train_labels is not None
    names = class_names(train_labels)
    parts, lost = list[Labelled](), list[str]()
    for source, rows in three(kept, names, seed, sizes):
        kinds = kept[source]
        assert kinds is not None
        part, missed = _read(sets[source], pictures, rows, np.searchsorted(names, kinds[rows]), image)
        parts.append(part)
        lost += missed
    train, val, held = parts
    refuse_empty(name, train, val, names, lost)
    without = sorted(set(getattr(first.features[label], "names", None) or ()) - {*names.tolist()})
    notes += [*hidden, *([f"no training image of {listed(without)}: no class here"] if without else [])]
    every = (*notes, *drawn_apart(kept))
    return Split(train, val, held, tuple(str(kind) for kind in names), every), len(lost)


def _loaded(name: str) -> Any:
    """A Dataset, or a DatasetDict of them."""
    try:
        import datasets
    except ImportError as error:
        raise SearchError(f"{name}: a Hugging Face dataset needs a package; pip install 'archdsl[hf]'") from error
    need_pillow()
    try:
        if not name.startswith(PREFIX):
            return datasets.load_from_disk(name)
        path, _, configuration = name.removeprefix(PREFIX).partition(":")
        return datasets.load_dataset(path, configuration or None)
    except Exception as error:  # of the hub, of pyarrow, of the file system: whatever they raise
        told = " ".join(str(error).split())[:300]
        raise SearchError(f"{name}: the dataset cannot be loaded; {type(error).__name__}: {told}") from error


def _sets(name: str, loaded: Any) -> tuple[list[Any], list[str]]:
    """The sets to train, to validate and to hold out, the latter None where there is none; and what is not read.

    Raises:
        SearchError: there is none to train with, or two splits are the same set.
    """
    if not isinstance(loaded, Mapping):
        return [loaded, None, None], []
    chosen = [_split_of(name, [str(split) for split in loaded], *pair) for pair in _SETS]
    if chosen[0] is None and len(loaded) == 1:
        return [next(iter(loaded.values())), None, None], []
    if chosen[0] is None:
        got = f"got {', '.join(map(str, loaded))}"
        raise SearchError(f"{name}: a dataset must have a split 'train'; {got}; known: {spellings()}")
    rest = [str(split) for split in loaded if split not in chosen]
    sets = [None if split is None else loaded[split] for split in chosen]
    return sets, [f"splits not read: {listed(rest)}"] if rest else []


def _split_of(name: str, splits: list[str], wanted: SetName, usual: str) -> str | None:
    """The split that is a set: the one of the usual name, else the one whose name means it."""
    meant = [split for split in splits if set_of(split) == wanted]
    if usual in meant or not meant:
        return usual if meant else None
    if len(meant) > 1:
        raise SearchError(f"{name}: two splits are the set '{wanted}': {', '.join(meant)}; keep one of them")
    return meant[0]


def _columns(name: str, dataset: Any) -> tuple[str, str]:
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


def _labels(name: str, dataset: Any, pictures: str, column: str) -> Column:
    """(N,): names where the dataset has them, else the numbers or names that stand there.

    Raises:
        SearchError: a column is missing, or the labels are of no kind that is read.
    """
    for wanted in (pictures, column):
        if wanted not in dataset.features:
            rule = f"each split must have the columns '{pictures}' and '{column}'"
            raise SearchError(f"{name}: {rule}; one lacks '{wanted}'")
    values: Sequence[Any] = dataset.select_columns([column])[:][column]
    names = getattr(dataset.features[column], "names", None)
    missing = np.array([value is None or (names is not None and value == -1) for value in values], dtype=np.bool_)
    kinds = {str if isinstance(value, str) else type(value) for value in values if value is not None}
    if len(kinds) > 1 or not kinds <= {int, bool, str}:
        got = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise SearchError(f"{name}: labels in '{column}' must be integers or strings, one for an image; got {got}")
    if names is None or kinds == {str}:
        filled = ["" if value is None and kinds == {str} else value or 0 for value in values]
        return Column(np.array(filled), missing)
    wrong = [value for value in values if value is not None and not -1 <= value < len(names)]
    if wrong:
        rule = f"labels in '{column}' must be below {len(names)}, the number of its names"
        raise SearchError(f"{name}: {rule}; got {wrong[0]}")
    named = ["" if gone else names[value] for gone, value in zip(missing, values, strict=True)]
    return Column(np.array(named, dtype=np.str_), missing)


def _labelled_sets(name: str, columns: list[Column | None]) -> tuple[list[NDArray[Any] | None], list[str]]:
    """The labels of each set; None for one whose labels are kept back, as those of a competition's test set.

    Raises:
        SearchError: images to train with have no label.
    """
    first, *further = columns
    assert first is not None
    if first.missing.any():
        rule = "every training image must have a label"
        raise SearchError(f"{name}: {rule}; {int(first.missing.sum()):,} of {len(first.missing):,} have none")
    kept, notes = list[NDArray[Any] | None]((first.values,)), list[str]()
    for (_, usual), column in zip(_SETS[1:], further, strict=True):
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


def _is_minus_one(labels: NDArray[Any]) -> NDArray[np.bool_]:
    return labels == -1 if labels.dtype.kind == "i" else np.zeros(len(labels), np.bool_)


def _read(
    dataset: Any, column: str, rows: NDArray[np.intp], numbers: NDArray[np.intp], image: int
) -> tuple[Labelled, list[str]]:
    """The readable ones of the rows, and of each other one why it is not."""
    pictures, kept, lost = np.empty((len(rows), 3, image, image), np.uint8), list[int](), list[str]()
    for place, row in enumerate(rows.tolist()):
        try:
            pictures[len(kept)] = fitted(dataset[row][column], image)
        except Exception as error:  # as of a folder's files: whatever a broken image makes its decoder raise
            lost.append(f"row {row}: {brief(error)}")
        else:
            kept.append(place)
    return Labelled(pictures[: len(kept)], numbers[kept]), lost
