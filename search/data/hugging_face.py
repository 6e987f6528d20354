"""A Hugging Face dataset as data: one that `save_to_disk` wrote, or a name that `load_dataset` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archdsl.errors import SearchError
from archdsl.search.data.folder import fitted, need_pillow, refuse_empty
from archdsl.search.data.labelled import Labelled, Sizes, Split, class_names, three

PREFIX = "hf:"
"""Before a name of the hub, perhaps with a configuration after a second colon: `hf:mnist`, `hf:user/birds:small`."""
_SAVED = ("dataset_dict.json", "dataset_info.json")
_SPLITS = (("train",), ("validation", "val", "valid", "dev"), ("test",))
"""How splits to train, to validate and to hold out may be called."""
_LABELS = ("label", "labels", "class")


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote a folder."""
    return any((folder / name).is_file() for name in _SAVED)


def read_dataset(name: str, image: int, seed: int, sizes: Sizes) -> tuple[Split, int]:
    """At most so many images at `image` x `image`, RGB, and how many could not be read; only those drawn are decoded.

    `name` is a folder, or `hf:NAME` or `hf:NAME:CONFIGURATION`.

    Raises:
        SearchError: the package is missing, the dataset cannot be loaded, or it holds no labelled images.
    """
    sets = _sets(name, _loaded(name))
    first = next(found for found in sets if found is not None)
    pictures, label = _columns(name, first)
    labels = [None if found is None else _labels(found, label) for found in sets]
    labels = [found if row == 0 else _if_labelled(found) for row, found in enumerate(labels)]
    names = class_names(labels[0] if labels[0] is not None else np.empty(0))
    parts, lost = list[Labelled](), 0
    for source, rows in three(labels, names, seed, sizes):
        kinds = labels[source]
        numbers = np.searchsorted(names, kinds[rows]) if kinds is not None else np.empty(0, np.intp)
        found, missed = _read(sets[source], pictures, rows, numbers, image)
        parts.append(found)
        lost += missed
    train, val, held = parts
    refuse_empty(name, train, val, names, lost)
    return Split(train, val, held, tuple(str(kind) for kind in names)), lost


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


def _sets(name: str, loaded: Any) -> list[Any]:
    """The sets to train, to validate and to hold out, the latter None where there is none."""
    if not isinstance(loaded, Mapping):
        return [loaded, None, None]
    found = [next((loaded[split] for split in names if split in loaded), None) for names in _SPLITS]
    if found[0] is None and len(loaded) == 1:
        return [next(iter(loaded.values())), None, None]
    if found[0] is None:
        raise SearchError(f"{name}: a dataset must have a split 'train'; got {', '.join(map(str, loaded))}")
    return found


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


def _labels(dataset: Any, column: str) -> NDArray[Any]:
    """(N,): names where the dataset has them, else what stands there; a label that is kept back is -1 or empty."""
    values: Sequence[Any] = dataset.select_columns([column])[:][column]
    names = getattr(dataset.features[column], "names", None)
    if names is None:
        return np.array(values)
    return np.array([names[value] if value is not None and value >= 0 else "" for value in values], dtype=np.str_)


def _if_labelled(labels: NDArray[Any] | None) -> NDArray[Any] | None:
    """None for a set whose labels are kept back, as those of a competition's test set."""
    if labels is None or not len(labels):
        return None
    hidden = labels == "" if labels.dtype.kind == "U" else labels == -1
    return None if hidden.any() else labels


def _read(
    dataset: Any, column: str, rows: NDArray[np.intp], numbers: NDArray[np.intp], image: int
) -> tuple[Labelled, int]:
    """The readable ones of the rows, and how many were not."""
    pictures, kept = np.empty((len(rows), 3, image, image), np.uint8), list[int]()
    for place, row in enumerate(rows.tolist()):
        try:
            picture = fitted(dataset[row][column], image)
        except Exception:  # as of a folder's files: whatever a broken image makes its decoder raise
            picture = None
        if picture is not None:
            pictures[len(kept)] = picture
            kept.append(place)
    return Labelled(pictures[: len(kept)], numbers[kept]), len(rows) - len(kept)
