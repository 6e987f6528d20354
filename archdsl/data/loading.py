"""Data to rank backbones with: built in, or the user's own folder, `.npz` or dataset; small enough for memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from archdsl.data import hugging_face
from archdsl.data.dataset import Data as Data
from archdsl.data.labelled import Division, Labelled, Sizes, Split, split
from archdsl.data.pictures import Sides, two_sides
from archdsl.errors import NotFound, SearchError, nearest

if TYPE_CHECKING:
    from torch import Tensor

BUILT_IN = ("digits", "shapetex")
DEFAULT = "shapetex"
_ARRAYS = (".npz", ".npy")
TRAIN = 2000
"""Training images of a built-in set, where no number is asked for."""
VALIDATION = 1000
"""At most how many images networks are chosen by, and how many are held out of all choices."""


def load(
    name_or_path: str | None,
    image: Sides,
    seed: int,
    train: int | None = 2000,
    validation: int = VALIDATION,
    held_out: int | None = None,
    division: Division | None = None,
) -> Data:
    """A built-in set by name, a folder, a `.npz`, or a Hugging Face dataset; `shapetex` if nothing is named.

    A folder has one folder a class, or was written by a dataset's `save_to_disk`; `hf:NAME` is fetched from the hub.

    At most `train`, `validation` and `held_out` images (as many as `validation` by default), drawn by the seed in the
    classes' proportions, `image` pixels high and wide (a side, or height and width). With `train` None all images that
    are not needed to validate and to hold out are trained with; of the built-in sets 2,000. With a `division`,
    validation and held-out images are those of an earlier training, and `train` bounds what is used of the others.

    Raises:
        NotFound: there is no such data set, file or folder.
        SearchError: a package is missing, or the files hold no usable data.
    """
    if min(*two_sides(image), 1 if train is None else train, validation) < 1:
        rule = "image, train and validation must be at least 1"
        raise SearchError(f"{rule}; got image {image}, train {train}, validation {validation}")
    sizes = Sizes(train, validation, validation if held_out is None else held_out, division)
    name = name_or_path or DEFAULT
    with named(name):
        return _loaded(name, Path(name).expanduser(), image, seed, sizes)


def is_folder_of_images(name: str) -> bool:
    """Whether a name of data is a folder with one folder a class, and no built-in set or saved dataset."""
    path = Path(name).expanduser()
    return name not in BUILT_IN and path.is_dir() and not hugging_face.is_saved(path)


def require_data(name: str) -> None:
    """Refuse a name of data under which nothing can be read, before anything is begun.

    Raises:
        NotFound: it is neither built in nor `hf:NAME`, and there is no such file or folder.
        SearchError: it is a file of another kind than `.npz`, or a folder in which no images of classes lie.
    """
    path = Path(name).expanduser()
    if name in BUILT_IN or name.startswith(hugging_face.PREFIX):
        return
    if not path.exists():
        raise NotFound(_unknown(name, path))
    if path.is_dir() and not hugging_face.is_saved(path):
        from archdsl.data.folder import refuse_without_images

        refuse_without_images(path)
    elif not path.is_dir() and path.suffix.lower() not in _ARRAYS:
        raise SearchError(_unknown(name, path))


def _loaded(name: str, path: Path, image: Sides, seed: int, sizes: Sizes) -> Data:
    if name in BUILT_IN and sizes.train is None:
        sizes = sizes._replace(train=TRAIN)
    if name == "shapetex":
        return _shapetex(image, seed, sizes)
    if name == "digits":
        return _as_data(name, split([_digits(), None, None], seed, sizes), image)
    if name.startswith(hugging_face.PREFIX) or (path.is_dir() and hugging_face.is_saved(path)):
        parts, skipped = hugging_face.read_dataset(name if not path.is_dir() else str(path), image, seed, sizes)
        return _as_data(path.name, parts, image, skipped=skipped, scaled_by="pillow")
    if path.is_dir():
        from archdsl.data.folder import list_folder, read_folder

        parts, skipped = read_folder(list_folder(path, seed, sizes), path, image)
        return _as_data(path.resolve().name, parts, image, skipped=skipped, scaled_by="pillow")
    if path.suffix.lower() in _ARRAYS and path.is_file():
        from archdsl.data.npz import read_npz

        return _as_data(path.name, read_npz(path, seed, sizes), image)
    require_data(name)
    raise SearchError(_unknown(name, path))


@contextmanager
def named(name: str) -> Iterator[None]:
    """What is wrong with data is said with its name, where it is not yet."""
    try:
        yield
    except SearchError as error:
        text = str(error)
        raise type(error)(text if name in text else f"{name}: {text}") from error.__cause__


def _unknown(name: str, path: Path) -> str:
    """Why nothing could be loaded under this name."""
    accepted = f"{', '.join(BUILT_IN)}, a folder with one folder per class, a .npz file, or hf:NAME of Hugging Face"
    if path.exists():
        return f"{name}: data of this kind is not read; give one of: {accepted}"
    if os.sep in name or "/" in name or path.suffix:
        return f"{name}: no such file or folder; known: {accepted}"
    hint = nearest(name, BUILT_IN)
    return f"no data set '{name}'; {hint + ' ' if hint.startswith('did') else ''}known: {accepted}"


def _shapetex(image: Sides, seed: int, sizes: Sizes) -> Data:
    """One draw: its chunks hold every class alike, so its parts do too. A rectangle is a larger square, squeezed."""
    from archdsl.data import shapetex

    first = sizes.divided_for or TRAIN
    second = first + sizes.validation
    count, side = second + sizes.held_out, max(two_sides(image))
    pictures, labels = shapetex.images(count, side, seed)
    every = Labelled(np.round(pictures * 255).astype(np.uint8), labels)
    parts = Split(every[: min(first, sizes.train or TRAIN)], every[first:second], every[second:], shapetex.CLASSES)
    made_of = f"shapetex {shapetex.VERSION}: {count} images of {side} pixels, seed {seed}"
    return _as_data("shapetex", parts, image, flips=True, made_of=made_of)


def _digits() -> Labelled:
    """scikit-learn's 1,797 handwritten digits, 8 x 8, 0 to 16."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise SearchError("the data set digits needs scikit-learn; pip install 'archdsl[digits]'") from error
    digits = load_digits()
    return Labelled(np.round(digits.images[:, None] * (255 / 16)).astype(np.uint8), digits.target)


def _as_data(
    name: str,
    parts: Split,
    image: Sides,
    flips: bool = False,
    skipped: int = 0,
    scaled_by: Literal["torch", "pillow"] = "torch",
    made_of: str = "",
) -> Data:
    """Tensors of the size asked for, and the constants that normalise them; `made_of` as in `Data`."""
    import torch

    if not made_of and parts.train.images.shape[-2:] != two_sides(image):
        made_of = _hash_of(parts)
    train, val, held = (
        (_resized(torch.from_numpy(part.images), image), torch.from_numpy(part.labels.astype(np.int64)))
        for part in (parts.train, parts.val, parts.held)
    )
    mean, std = moments(train[0])
    said = parts.notes, parts.warnings
    return Data(name, *train, *val, *held, parts.class_names, mean, std, flips, skipped, scaled_by, *said, made_of)


def _hash_of(parts: Split) -> str:
    """Of images before they are resized, which processors round differently."""
    digest = hashlib.sha256()
    for part in (parts.train, parts.val, parts.held):
        digest.update(np.ascontiguousarray(part.images).tobytes())
    return digest.hexdigest()


def _resized(images: Tensor, image: Sides) -> Tensor:
    """Bilinear, smoothed where it shrinks: (N, C, h, w) -> (N, C, H, W), of the same type."""
    import torch
    from torch.nn.functional import interpolate

    sides = two_sides(image)
    if tuple(images.shape[-2:]) == sides:
        return images
    sized = torch.empty((*images.shape[:2], *sides), dtype=images.dtype)
    for start in range(0, len(images), 256):  # in pieces, since floats take four times the room
        some = interpolate(images[start : start + 256].float(), sides, mode="bilinear", antialias=True)
        sized[start : start + 256] = some if images.is_floating_point() else some.round().clamp(0, 255)
    return sized


def moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, both (C, 1, 1); 1 stands in for a constant channel's deviation."""
    some = images[:512].double()
    mean, std = some.mean((0, 2, 3)), some.std((0, 2, 3), correction=0)
    std[std < 1e-6 * (1 + mean.abs())] = 1
    return mean.float()[:, None, None], std.float()[:, None, None]
