"""A `.npz` of arrays as data: `images` and `labels`, perhaps those with `val_` and `test_` before them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from archdsl.data.array_names import CLASS_NAMES, SetArrays, sets_in
from archdsl.data.labelled import Labelled, Pixels, Sizes, Split, listed, split
from archdsl.data.scales import on_one_scale, values_of
from archdsl.errors import SearchError, one_line

_MOST_GAPS = 10_000
_HOW = "np.savez(FILE, images=..., labels=...) writes a readable file"


AnyArray: TypeAlias = NDArray[np.generic]
"""An array of a file, of whatever kind it is."""
Names: TypeAlias = NDArray[np.str_]


class _Opened(Protocol):
    """What is used of an open `.npz`."""

    files: list[str]

    def __getitem__(self, name: str, /) -> AnyArray: ...


class _Arrays(NamedTuple):
    """The arrays of a file that are read, the sets that they are, and the names of all."""

    values: dict[str, AnyArray]
    sets: list[SetArrays | None]
    class_names: Names | None
    unread: list[str]


def read_npz(path: Path, seed: int, sizes: Sizes) -> Split:
    """At most so many of the images and, where the file holds them, of those to validate with and to hold out.

    No pickle is ever loaded.

    Raises:
        SearchError: the file cannot be read, its arrays are not images and labels, its sets are of different kinds, or
            there are too few classes or images.
    """
    try:
        arrays = _arrays(path)
        sets = [None if names is None else _labelled(arrays, names) for names in arrays.sets]
        _refuse_other_kinds(arrays, sets)
        named = _named(sets, arrays.class_names)
        parts = split(named, seed, sizes)
    except SearchError as error:
        raise SearchError(f"{path}: {error}") from error.__cause__
    notes = [f"arrays ignored: {listed(arrays.unread)}"] if arrays.unread else []
    notes += _classes_without_images(sets[0], parts, arrays.class_names)
    return parts._replace(notes=(*notes, *parts.notes))


def _arrays(path: Path) -> _Arrays:
    """What a file holds; only what is read of it is loaded."""
    if not path.stat().st_size:
        raise SearchError(f"not a readable .npz of plain arrays; the file is empty; {_HOW}")
    try:
        with path.open("rb") as raw:
            file = np.load(raw, allow_pickle=False)
            if isinstance(file, np.ndarray):
                rule = "it holds a single array without a name, like a .npy file"
                raise SearchError(f"not a readable .npz of plain arrays; {rule}: {_described(file)}; {_HOW}")
            with file:
                return _chosen(file)
    except SearchError:
        raise
    except Exception as error:  # broken, truncated, encrypted or pickled files make numpy and zipfile raise many kinds
        said = one_line(error, 200)
        if "unsafely" in said:  # numpy's advice for what is no zip archive; a pickle runs whatever code it holds
            said = "it is not a zip archive, but perhaps a pickle, which is never loaded"
        elif "pickle" in said:
            said += "; pickled objects are never loaded: save arrays of numbers or strings"
        raise SearchError(f"not a readable .npz of plain arrays; {said}; {_HOW}") from error


def _chosen(file: _Opened) -> _Arrays:
    """The arrays of an open file that are images, labels or names of classes."""
    sets = sets_in(file.files)
    wanted = [name for names in sets if names is not None for name in names]
    named = {name: titles for name in CLASS_NAMES if name in file.files and (titles := _titles(file, name)) is not None}
    title = next(iter(named), None)
    unread = [name for name in file.files if name not in wanted and name != title]
    return _Arrays({name: file[name] for name in wanted}, sets, named[title] if title else None, unread)


def _titles(file: _Opened, name: str) -> Names | None:
    """The names of classes in an array; None where it holds none, or pickled objects, which are not loaded."""
    try:
        titles = file[name]
    except ValueError:
        return None
    return titles.astype(np.str_) if titles.ndim == 1 and titles.dtype.kind in "US" else None


def _labelled(arrays: _Arrays, names: SetArrays) -> Labelled:
    """The images and labels of a set, of any accepted layout."""
    labels = arrays.values[names.labels]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iuUS":
        remedy = ""
        if labels.ndim == 2:
            remedy = "; for one-hot labels save labels.argmax(1)"
        elif labels.ndim == 1 and labels.dtype.kind == "f" and np.array_equal(labels, np.trunc(labels)):
            remedy = "; save labels.astype(int)"
        raise SearchError(f"{names.labels} must be (N,) integers or strings; got {_described(labels)}{remedy}")
    pictures = _pictures(names.images, arrays.values[names.images])
    if len(pictures) != len(labels) or not len(labels):
        rule = f"{names.images} and {names.labels} must have the same length, at least 1"
        raise SearchError(f"{rule}; got {len(pictures)} and {len(labels)}")
    return Labelled(pictures, labels.astype(np.str_ if labels.dtype.kind in "US" else np.int64))


def _pictures(name: str, images: AnyArray) -> Pixels:
    """Any accepted layout -> (N, C, H, W), uint8 or float32."""
    placed = _channels_first(images)
    if placed is None or images.dtype.kind not in "biuf" or 0 in images.shape[1:]:
        rule = f"{name} must be numbers, (N, H, W), (N, C, H, W), or (N, H, W, C) with at most 4 channels"
        raise SearchError(f"{rule}; got {_described(images)}")
    if images.dtype == np.uint8:
        return np.ascontiguousarray(placed)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused below
        floats = np.ascontiguousarray(placed, dtype=np.float32)
    finite = np.isfinite(floats).all((1, 2, 3))
    if not finite.all():
        got = f"got NaN or infinite values in {int((~finite).sum()):,} of {len(floats):,}, first {int(finite.argmin())}"
        raise SearchError(f"{name} must be finite; {got}")
    return floats


def _channels_first(images: AnyArray) -> AnyArray | None:
    """The axis with fewer than five entries is the channels, the last one if both could be; None if nothing fits."""
    if images.ndim == 3:
        return images[:, None]
    if images.ndim != 4:
        return None
    if images.shape[3] <= 4:
        return images.transpose(0, 3, 1, 2)
    return images if images.shape[1] < min(images.shape[2:]) else None


def _refuse_other_kinds(arrays: _Arrays, sets: Sequence[Labelled | None]) -> None:
    """All sets must be of the first one's kind: channels, labels and the scale of the values.

    Raises:
        SearchError: one is not.
    """
    first, names = sets[0], arrays.sets[0]
    assert first is not None
    assert names is not None
    values = None
    for other, others in zip(sets[1:], arrays.sets[1:], strict=True):
        if other is None or others is None:
            continue
        if first.images.shape[1] != other.images.shape[1] or first.labels.dtype.kind != other.labels.dtype.kind:
            rule = f"{others.images} and {others.labels} must match {names.images} and {names.labels}"
            got = [f"{part.images.shape[1]} channels and {part.labels.dtype} labels" for part in (first, other)]
            raise SearchError(f"{rule}; got {' and '.join(got)}")
        values = values or values_of(first.images, str(arrays.values[names.images].dtype))
        theirs = values_of(other.images, str(arrays.values[others.images].dtype))
        if not on_one_scale(values, theirs):
            rule = f"{names.images} and {others.images} must use one scale of values, such as 0 to 255"
            raise SearchError(f"{rule}; got {values} and {theirs}; multiply or divide one of them")


def _named(sets: Sequence[Labelled | None], titles: Names | None) -> list[Labelled | None]:
    """The sets with the names of the classes for labels, where the file has some.

    Raises:
        SearchError: two classes have one name, or a label has none.
    """
    if titles is None:
        return list(sets)
    if len(np.unique(titles)) < len(titles):
        raise SearchError(f"class names must differ; got {listed(titles)}")
    named = list[Labelled | None]()
    for part in sets:
        if part is None:
            named.append(None)
            continue
        allowed = titles if part.labels.dtype.kind == "U" else np.arange(len(titles))
        if len(wrong := np.setdiff1d(part.labels, allowed)):
            rule = f"each label must be one of the {len(titles)} classes that the file names ({listed(titles)})"
            raise SearchError(f"{rule}; got {wrong[0]}")
        is_name = part.labels.dtype.kind == "U"
        named.append(Labelled(part.images, part.labels if is_name else titles[part.labels]))
    return named


def _classes_without_images(first: Labelled | None, parts: Split, titles: Names | None) -> list[str]:
    """What is said of classes that the file's names or its numbers lead one to expect."""
    assert first is not None
    if titles is not None:
        expected = {*titles.tolist()} - {*parts.class_names}
    elif first.labels.dtype.kind == "i" and int(first.labels.max()) - int(first.labels.min()) < _MOST_GAPS:
        whole = np.arange(first.labels.min(), first.labels.max() + 1)
        expected = {*np.setdiff1d(whole, first.labels).tolist()}
    else:
        expected = set()
    return (
        [f"no training image of class {listed(sorted(expected))}: these are not counted as classes"] if expected else []
    )


def _described(array: AnyArray) -> str:
    """`(10, 3) float64`."""
    return f"{array.shape} {array.dtype}"
