"""A folder of images as data: one folder a class, perhaps under `train/`, `val/` and `test/`."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archdsl.errors import SearchError
from archdsl.search.data.labelled import Labelled, Sizes, Split, class_names, three

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))
FURTHER = (("val", "valid", "validation"), ("test",))
"""How folders of images to validate with and to hold out may be called."""
MAX_PIXELS = 64_000_000
"""A file that claims more is skipped unread: a few kilobytes can unpack to all of memory."""


def read_folder(root: Path, image: int, seed: int, sizes: Sizes) -> tuple[Split, int]:
    """At most so many images at `image` x `image`, RGB, and how many files could not be read.

    Only the images drawn are opened, so a folder of millions is as quick as a small one.

    Raises:
        SearchError: Pillow is missing, or there are too few classes or readable images.
    """
    need_pillow()
    listed = [None if place is None else _listing(place, root) for place in _places(root)]
    labels = [None if found is None else found[1] for found in listed]
    assert labels[0] is not None
    names = class_names(labels[0])
    sets, lost = list[Labelled](), 0
    for source, rows in three(labels, names, seed, sizes):
        files, kinds = listed[source] or ([], np.empty(0))
        found, missed = _read([files[row] for row in rows], np.searchsorted(names, kinds[rows]), image)
        sets.append(found)
        lost += missed
    train, val, held = sets
    refuse_empty(root, train, val, names, lost)
    return Split(train, val, held, tuple(str(name) for name in names)), lost


def _places(root: Path) -> list[Path | None]:
    """The folders of the classes: all in one, or to train, to validate and to hold out."""
    if not _classes(root / "train"):
        return [root, None, None]
    return [
        root / "train",
        *(next((root / name for name in names if _classes(root / name)), None) for names in FURTHER),
    ]


def need_pillow() -> None:
    """Images need a decoder.

    Raises:
        SearchError: there is none.
    """
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
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                opened.draft("RGB", (2 * image, 2 * image))  # a JPEG is decoded no larger than needed
                return fitted(opened, image)
    except (
        Exception
    ):  # Pillow's decoders raise whatever a broken file makes them: OSError, SyntaxError, struct.error...
        return None


def fitted(opened: Image, image: int) -> NDArray[np.uint8] | None:
    """The middle square of an opened image, upright and scaled, (3, image, image); None if it is absurdly large."""
    from PIL import Image, ImageOps

    if opened.width * opened.height > MAX_PIXELS:
        return None
    upright = ImageOps.exif_transpose(opened)
    scaled = ImageOps.fit(_rgb(upright), (image, image), Image.Resampling.BICUBIC)
    return np.asarray(scaled, np.uint8).transpose(2, 0, 1)


def _rgb(picture: Image) -> Image:
    """Three channels of 8 bits; 16-bit greys are scaled, which Pillow's own conversion would cut off at 255."""
    from PIL import Image

    if not picture.mode.startswith("I"):
        return picture.convert("RGB")
    return Image.fromarray((np.asarray(picture, np.float32) / 257).clip(0, 255).astype(np.uint8)).convert("RGB")


def refuse_empty(root: Path | str, train: Labelled, val: Labelled, names: NDArray[Any], lost: int) -> None:
    """Each class must be trained, and something must be validated."""
    missing = np.setdiff1d(np.arange(len(names)), train.labels)
    if len(missing) or not len(val):
        what = (
            f"class '{names[missing[0]]}' has none to train with" if len(missing) else "there is none to validate with"
        )
        raise SearchError(f"{root}: too few readable images; {what} ({lost} unreadable)")
