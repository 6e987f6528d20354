"""A folder of images as data: one folder a class, perhaps under `train/` and `val/`."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archdsl.errors import SearchError
from archdsl.search.labelled import Labelled, Split, balanced, class_names, parted, refuse_new

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))
HELD = ("val", "valid", "validation")
MAX_PIXELS = 64_000_000
"""A file that claims more is skipped unread: a few kilobytes can unpack to all of memory."""


def read_folder(root: Path, image: int, seed: int, train: int, validation: int) -> tuple[Split, int]:
    """At most `train` and `validation` images at `image` x `image`, RGB, and how many files could not be read.

    Only the images drawn are opened, so a folder of millions is as quick as a small one.

    Raises:
        SearchError: Pillow is missing, or there are too few classes or readable images.
    """
    _need_pillow()
    held = next((root / name for name in HELD if _classes(root / name)), None)
    first = root / "train" if _classes(root / "train") else root
    files, labels = _listing(first, root)
    names = class_names(labels)
    numbers = np.searchsorted(names, labels)
    if held is not None and first != root:
        others, other_labels = _listing(held, root)
        refuse_new(names, other_labels)
        other_numbers = np.searchsorted(names, other_labels)
        kept, rest = balanced(numbers, seed)[: max(train, len(names))], balanced(other_numbers, seed + 1)[:validation]
    else:
        others, other_numbers = files, numbers
        kept, rest = parted(numbers, seed, train, validation, [str(name) for name in names])
    train_set, lost = _read([files[row] for row in kept], numbers[kept], image)
    val_set, also_lost = _read([others[row] for row in rest], other_numbers[rest], image)
    _refuse_empty(root, train_set, val_set, names, lost + also_lost)
    return Split(train_set, val_set, tuple(str(name) for name in names)), lost + also_lost


def _need_pillow() -> None:
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise SearchError("a folder of images needs Pillow; pip install 'archdsl[images]'") from error


def _classes(folder: Path) -> list[Path]:
    """The folders in a folder, hidden ones apart."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _listing(folder: Path, root: Path) -> tuple[list[Path], NDArray[Any]]:
    """All image files under the class folders and their classes; links to folders are not followed."""
    files: list[Path] = []
    labels: list[str] = []
    for one in _classes(folder):
        found = [Path(place, name) for place, _, names in os.walk(one) for name in names if not name.startswith(".")]
        files += sorted(path for path in found if path.suffix.lower() in SUFFIXES)
        labels += [one.name] * (len(files) - len(labels))
    if not files:
        raise SearchError(
            f"{root}: no images found; data is one folder a class, with {', '.join(sorted(SUFFIXES))} in it"
        )
    return files, np.array(labels)


def _read(files: list[Path], numbers: NDArray[Any], image: int) -> tuple[Labelled, int]:
    """The readable ones of the files, and how many were not."""
    pictures = np.empty((len(files), 3, image, image), np.uint8)
    kept: list[int] = []
    for row, path in enumerate(files):
        picture = _picture(path, image)
        if picture is not None:
            pictures[len(kept)] = picture
            kept.append(row)
    return Labelled(pictures[: len(kept)], numbers[kept]), len(files) - len(kept)


def _picture(path: Path, image: int) -> NDArray[np.uint8] | None:
    """One image, its middle square scaled, (3, image, image); None if it cannot be read or is absurdly large."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    return None
                opened.draft("RGB", (2 * image, 2 * image))  # a JPEG is decoded no larger than needed
                upright = ImageOps.exif_transpose(opened)
                fitted = ImageOps.fit(_rgb(upright), (image, image), Image.Resampling.BICUBIC)
    except (
        Exception
    ):  # Pillow's decoders raise whatever a broken file makes them: OSError, SyntaxError, struct.error...
        return None
    return np.asarray(fitted, np.uint8).transpose(2, 0, 1)


def _rgb(picture: Image) -> Image:
    """Three channels of 8 bits; 16-bit greys are scaled, which Pillow's own conversion would cut off at 255."""
    from PIL import Image

    if not picture.mode.startswith("I"):
        return picture.convert("RGB")
    return Image.fromarray((np.asarray(picture, np.float32) / 257).clip(0, 255).astype(np.uint8)).convert("RGB")


def _refuse_empty(root: Path, train: Labelled, val: Labelled, names: NDArray[Any], lost: int) -> None:
    """Each class must be trained, and something must be validated."""
    missing = np.setdiff1d(np.arange(len(names)), train.labels)
    if len(missing) or not len(val):
        what = (
            f"class '{names[missing[0]]}' has none to train with" if len(missing) else "there is none to validate with"
        )
        raise SearchError(f"{root}: too few readable images; {what} ({lost} unreadable)")
