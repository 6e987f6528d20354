"""A `.npz` of arrays as data: `images` and `labels`, perhaps those with `val_` and `test_` before them."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archdsl.errors import SearchError
from archdsl.search.data.labelled import Labelled

UNREADABLE = (OSError, ValueError, TypeError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise for a file that is broken, truncated, encrypted, pickled, or a bare `.npy`."""


FURTHER = ("val_", "test_")
"""What stands before the names of the arrays to validate with and to hold out."""


def read_npz(path: Path) -> list[Labelled | None]:
    """The images and, where the file holds them, those to validate with and to hold out; no pickle is ever loaded.

    Raises:
        SearchError: the file cannot be read, or its arrays are not images and labels.
    """
    arrays = _arrays(path)
    first = _labelled(path, arrays, "images", "labels")
    return [first, *(_further(path, arrays, prefix, first) for prefix in FURTHER)]


def _further(path: Path, arrays: dict[str, NDArray[Any]], prefix: str, first: Labelled) -> Labelled | None:
    """Another set of the file, which must be of the first one's kind; None if it holds none."""
    images, labels = f"{prefix}images", f"{prefix}labels"
    if images not in arrays and labels not in arrays:
        return None
    second = _labelled(path, arrays, images, labels)
    if first.images.shape[1] != second.images.shape[1] or first.labels.dtype.kind != second.labels.dtype.kind:
        rule = f"{images} and {labels} must be of the kind of images and labels"
        got = (f"{part.images.shape[1]} channels and {part.labels.dtype} labels" for part in (first, second))
        raise SearchError(f"{path}: {rule}; got {' and '.join(got)}")
    return second


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    wanted = [f"{prefix}{name}" for prefix in ("", *FURTHER) for name in ("images", "labels")]
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {name: file[name] for name in wanted if name in file.files}
    except UNREADABLE as error:
        raise SearchError(f"{path}: no readable .npz of plain arrays; {' '.join(str(error).split())}") from error


def _labelled(path: Path, arrays: dict[str, NDArray[Any]], images: str, labels: str) -> Labelled:
    for name in (images, labels):
        if name not in arrays:
            raise SearchError(f"{path}: array '{name}' is missing; got {', '.join(arrays) or 'none that is known'}")
    names = arrays[labels]
    if names.ndim != 1 or names.dtype.kind not in "iuUS":
        raise SearchError(f"{path}: {labels} must be (N,) integers or strings; got {_described(names)}")
    pictures = _pictures(path, images, arrays[images])
    if len(pictures) != len(names) or not len(names):
        rule = f"{images} and {labels} must be equally many, and at least one"
        raise SearchError(f"{path}: {rule}; got {len(pictures)} and {len(names)}")
    return Labelled(pictures, names.astype(np.str_) if names.dtype.kind == "S" else names)


def _pictures(path: Path, name: str, images: NDArray[Any]) -> NDArray[Any]:
    """Any accepted layout -> (N, C, H, W), uint8 or float32."""
    placed = _channels_first(images)
    if placed is None or images.dtype.kind not in "biuf" or 0 in images.shape[1:]:
        rule = f"{name} must be numbers, (N, H, W), (N, C, H, W), or (N, H, W, C) with at most 4 channels"
        raise SearchError(f"{path}: {rule}; got {_described(images)}")
    if images.dtype == np.uint8:
        return np.ascontiguousarray(placed)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused below
        floats = np.ascontiguousarray(placed, dtype=np.float32)
    if not np.isfinite(floats).all():
        raise SearchError(f"{path}: {name} must be finite; got NaN or infinite values")
    return floats


def _channels_first(images: NDArray[Any]) -> NDArray[Any] | None:
    """The axis with fewer than five entries is the channels, the last one if both could be; None if nothing fits."""
    if images.ndim == 3:
        return images[:, None]
    if images.ndim != 4:
        return None
    if images.shape[3] <= 4:
        return images.transpose(0, 3, 1, 2)
    return images if images.shape[1] < min(images.shape[2:]) else None


def _described(array: NDArray[Any]) -> str:
    """`(10, 3) float64`."""
    return f"{array.shape} {array.dtype}"
