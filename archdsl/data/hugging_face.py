"""A Hugging Face dataset as data: one that `save_to_disk` wrote, or a name that `load_dataset` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archdsl.data.dataset_columns import SETS, Dataset, columns_of, labelled_sets, labels_of
from archdsl.data.folder import refuse_empty, skipped_text, unreadable
from archdsl.data.labelled import (
    Drawn,
    Labelled,
    Labels,
    Numbers,
    Sizes,
    Split,
    class_names,
    drawn_apart,
    listed,
    three,
)
from archdsl.data.pictures import GreyScales, Sides, fitted, need_pillow, read_alike, two_sides
from archdsl.data.set_names import SetName, set_of, spellings
from archdsl.errors import SearchError, one_line

PREFIX = "hf:"
"""Before a name of the hub, perhaps with a configuration after a second colon: `hf:mnist`, `hf:user/birds:small`."""
_SAVED = ("dataset_dict.json", "dataset_info.json")


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote a folder."""
    return any((folder / name).is_file() for name in _SAVED)


def read_dataset(name: str, image: Sides, seed: int, sizes: Sizes) -> tuple[Split, int]:
    """At most so many images of the sides `image`, RGB, and how many could not be read; only those drawn are decoded.

    `name` is a folder, or `hf:NAME` or `hf:NAME:CONFIGURATION`.

    Raises:
        SearchError: the package is missing, the dataset cannot be loaded, or it holds no labelled images.
    """
    sets, notes = _sets(name, _loaded(name))
    first = sets[0]
    assert first is not None
    pictures, label = columns_of(name, first)
    labels = [None if part is None else labels_of(name, part, pictures, label) for part in sets]
    kept, hidden = labelled_sets(name, labels)
    train_labels = kept[0]
    assert train_labels is not None
    names = class_names(train_labels)
    drawn = three(kept, names, seed, sizes)
    (parts, lost), scales = read_alike(lambda scales: _parts(sets, kept, pictures, drawn, names, image, scales))
    train, val, held = parts
    refuse_empty(name, train, val, names, lost)
    without = sorted(set(getattr(first.features[label], "names", None) or ()) - {*names.tolist()})
    notes += [
        *hidden,
        *([f"no training image of {listed(without)}: these are not counted as classes"] if without else []),
    ]
    every = (*notes, *scales, *drawn_apart(kept), *skipped_text(lost))
    return Split(train, val, held, tuple(str(kind) for kind in names), every, unreadable(lost)), len(lost)


def _parts(
    sets: Sequence[Dataset | None],
    labels: Sequence[Labels | None],
    column: str,
    drawn: Sequence[Drawn],
    names: Labels,
    image: Sides,
    scales: GreyScales,
) -> tuple[list[Labelled], list[str]]:
    """The readable images of each set that is drawn, and of each other one why it is not."""
    parts, lost = list[Labelled](), list[str]()
    for source, rows in drawn:
        dataset, kinds = sets[source], labels[source]
        assert dataset is not None
        assert kinds is not None
        part, missed = _read(dataset, column, rows, np.searchsorted(names, kinds[rows]), image, scales)
        parts.append(part)
        lost += missed
    return parts, lost


def _loaded(name: str) -> Dataset | Mapping[str, Dataset]:
    """A Dataset, or a DatasetDict of them."""
    loaded: Dataset | Mapping[str, Dataset]
    try:
        import datasets
    except ImportError as error:
        raise SearchError(f"{name}: a Hugging Face dataset needs a package; pip install 'archdsl[hf]'") from error
    need_pillow()
    try:
        if not name.startswith(PREFIX):
            loaded = datasets.load_from_disk(name)
            return loaded
        path, _, configuration = name.removeprefix(PREFIX).partition(":")
        loaded = datasets.load_dataset(path, configuration or None)
        return loaded
    except Exception as error:  # of the hub, of pyarrow, of the file system: whatever they raise
        said = " ".join(str(error).split())[:300]
        raise SearchError(f"{name}: the dataset cannot be loaded; {type(error).__name__}: {said}") from error


def _sets(name: str, loaded: Dataset | Mapping[str, Dataset]) -> tuple[list[Dataset | None], list[str]]:
    """The sets to train, to validate and to hold out, the latter None where there is none; and what is not read.

    Raises:
        SearchError: there is none to train with, or two splits are the same set.
    """
    if not isinstance(loaded, Mapping):
        return [loaded, None, None], []
    chosen = [_split_of(name, [str(split) for split in loaded], *pair) for pair in SETS]
    if chosen[0] is None and len(loaded) == 1:
        return [next(iter(loaded.values())), None, None], []
    if chosen[0] is None:
        got = f"got {', '.join(map(str, loaded))}"
        raise SearchError(f"{name}: a dataset must have a split 'train'; {got}; known: {spellings()}")
    rest = [str(split) for split in loaded if split not in chosen]
    sets = [None if split is None else loaded[split] for split in chosen]
    return sets, [f"splits ignored: {listed(rest)}"] if rest else []


def _split_of(name: str, splits: list[str], wanted: SetName, usual: str) -> str | None:
    """The split that is a set: the one of the usual name, else the one whose name means it."""
    meant = [split for split in splits if set_of(split) == wanted]
    if usual in meant or not meant:
        return usual if meant else None
    if len(meant) > 1:
        raise SearchError(f"{name}: two splits are named like the set '{wanted}': {', '.join(meant)}; keep one of them")
    return meant[0]


def _read(
    dataset: Dataset, column: str, rows: NDArray[np.intp], numbers: Numbers, image: Sides, scales: GreyScales
) -> tuple[Labelled, list[str]]:
    """The readable ones of the rows, and of each other one why it is not."""
    pictures, kept, lost = np.empty((len(rows), 3, *two_sides(image)), np.uint8), list[int](), list[str]()
    for place, row in enumerate(rows.tolist()):
        try:
            pictures[len(kept)] = fitted(dataset[row][column], image, scales)
        except Exception as error:  # as of a folder's files: whatever a broken image makes its decoder raise
            lost.append(f"row {row}: {one_line(error, 200)}")
        else:
            kept.append(place)
    return Labelled(pictures[: len(kept)], numbers[kept]), lost
