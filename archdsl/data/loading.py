"""Data to rank backbones with: built in, or the user's own folder, `.npz` or dataset; small enough for memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from archdsl.data import hugging_face
from archdsl.data.labelled import Labelled, Sizes, Split, listed, split
from archdsl.errors import SearchError, nearest

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[Any]
BUILT_IN = ("digits", "shapetex")
DEFAULT = "shapetex"
VALIDATION = 1000
"""At most how many images networks are chosen by, and how many are held out of all choices."""
_TENSORS = ("train_images", "train_labels", "val_images", "val_labels", "held_images", "held_labels")


@dataclass(frozen=True, eq=False)
class Data:
    """Images (N, C, H, W) and labels (N,) from 0 to `classes` - 1, in three sets that share no image.

    Networks are chosen by the validation images; those held out have no say in any choice. Images are kept as they
    came, uint8 or float32, to be light in memory; `normalise` makes them what a net reads.
    The training set is ordered so that every beginning of it holds the classes in their proportions.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    val_images: Tensor
    val_labels: Tensor
    held_images: Tensor
    held_labels: Tensor
    class_names: tuple[str, ...]
    mean: Tensor
    """Per channel, of the training images, (C, 1, 1)."""
    std: Tensor
    flips: bool = False
    """Whether a mirrored image keeps its label."""
    skipped: int = 0
    """Files that could not be read."""
    scaled_by: Literal["torch", "pillow"] = "torch"
    """Bilinear of the whole picture, or bicubic of its middle square; both smoothed where it shrinks."""
    notes: tuple[str, ...] = ()
    """What is to be said of how the data was read."""
    _on: dict[str, Data] = field(default_factory=dict, repr=False)

    @property
    def classes(self) -> int:
        """How many."""
        return len(self.class_names)

    @property
    def channels(self) -> int:
        """Of an image; a spec's `channels` must agree."""
        return int(self.train_images.shape[1])

    @property
    def image(self) -> int:
        """Height and width in pixels."""
        return int(self.train_images.shape[-1])

    @property
    def chance(self) -> float:
        """Accuracy of always naming the most frequent class, on the images that accuracy is told on: those held out,
        where there are any, else the validation images.
        """
        labels = self.held_labels if len(self.held_labels) else self.val_labels
        return share_of_largest_class(labels)

    def normalise(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W), float32 with mean 0 and deviation 1 a channel over the training set."""
        return (images.float() - self.mean) / self.std

    def to(self, device: Any) -> Data:
        """The same data on a device; copied there once, however often it is asked for."""
        place = str(device)
        if str(self.train_images.device) == place:
            return self
        if place not in self._on:
            moved = {name: getattr(self, name).to(device) for name in (*_TENSORS, "mean", "std")}
            copied = ("name", "class_names", "flips", "skipped", "scaled_by", "notes")
            rest = {name: getattr(self, name) for name in copied}
            self._on[place] = Data(**moved, **rest)
        return self._on[place]

    def fingerprint(self) -> str:
        """16 hex digits of what is in it: a figure measured on one data set is not taken for another's."""
        digest = hashlib.sha256(repr((self.train_images.shape, self.class_names, self.flips)).encode())
        for name in _TENSORS:
            digest.update(getattr(self, name).cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def describe(self) -> str:
        """`shapetex: 2,000 images to train, 1,000 to validate, 1,000 held out, 3x64x64, 20 classes (chance 5.0%)`."""
        counts = f"{len(self.train_labels):,} images to train, {len(self.val_labels):,} to validate"
        counts += f", {len(self.held_labels):,} held out"
        shape = "x".join(str(side) for side in self.train_images.shape[1:])
        skipped = [f"{self.skipped:,} unreadable file{'s' * (self.skipped != 1)} skipped"] if self.skipped else []
        facts = f"{self.name}: {counts}, {shape}, {self.classes} classes (chance {self.chance:.1%})"
        return "; ".join([facts, *self._classes_not_judged(), *self.notes, *skipped])

    def _classes_not_judged(self) -> list[str]:
        """What is said of classes that a set beside the training set has no image of."""
        notes = []
        for labels, what in ((self.val_labels, "validation"), (self.held_labels, "held-out")):
            missing = [self.class_names[number] for number in sorted({*range(self.classes)} - {*labels.tolist()})]
            if missing and len(labels):
                notes.append(f"no {what} image of {listed(missing)}")
        return notes


def share_of_largest_class(labels: Tensor) -> float:
    """The accuracy of always naming the most frequent class: what a network must be better than."""
    return float(labels.bincount().max()) / len(labels)


def load(
    name_or_path: str | None,
    image: int,
    seed: int,
    train: int = 2000,
    validation: int = VALIDATION,
    held_out: int | None = None,
) -> Data:
    """A built-in set by name, a folder, a `.npz`, or a Hugging Face dataset; `shapetex` if nothing is named.

    A folder has one folder a class, or was written by a dataset's `save_to_disk`; `hf:NAME` is fetched from the hub.

    At most `train`, `validation` and `held_out` images (as many as `validation` by default), drawn by the seed in the
    classes' proportions, at `image` x `image` pixels.

    Raises:
        SearchError: the name is unknown, a package is missing, or the files hold no usable data.
    """
    if min(image, train, validation) < 1:
        rule = "image, train and validation must be at least 1"
        raise SearchError(f"{rule}; got image {image}, train {train}, validation {validation}")
    sizes = Sizes(train, validation, validation if held_out is None else held_out)
    name = name_or_path or DEFAULT
    with _named(name):
        return _loaded(name, Path(name).expanduser(), image, seed, sizes)


def _loaded(name: str, path: Path, image: int, seed: int, sizes: Sizes) -> Data:
    if name == "shapetex":
        return _shapetex(image, seed, sizes)
    if name == "digits":
        return _as_data(name, split([_digits(), None, None], seed, sizes), image)
    if name.startswith(hugging_face.PREFIX) or (path.is_dir() and hugging_face.is_saved(path)):
        found, skipped = hugging_face.read_dataset(name if not path.is_dir() else str(path), image, seed, sizes)
        return _as_data(path.name, found, image, skipped=skipped, scaled_by="pillow")
    if path.is_dir():
        from archdsl.data.folder import read_folder

        found, skipped = read_folder(path, image, seed, sizes)
        return _as_data(path.resolve().name, found, image, skipped=skipped, scaled_by="pillow")
    if path.suffix.lower() in (".npz", ".npy") and path.is_file():
        from archdsl.data.npz import read_npz

        return _as_data(path.name, read_npz(path, seed, sizes), image)
    raise SearchError(_unknown(name, path))


@contextmanager
def _named(name: str) -> Iterator[None]:
    """What is wrong with data is said with its name, where it is not yet."""
    try:
        yield
    except SearchError as error:
        text = str(error)
        raise SearchError(text if name in text else f"{name}: {text}") from error.__cause__


def _unknown(name: str, path: Path) -> str:
    """Why nothing could be loaded under this name."""
    known = f"{', '.join(BUILT_IN)}, a folder with one folder a class, a .npz file, or hf:NAME of Hugging Face"
    if path.exists():
        return f"{name}: data must be a folder or a .npz file; known: {known}"
    if os.sep in name or "/" in name or path.suffix:
        return f"{name}: no such file or folder; known: {known}"
    hint = nearest(name, BUILT_IN)
    return f"no data set '{name}'; {hint + ' ' if hint.startswith('did') else ''}known: {known}"


def _shapetex(image: int, seed: int, sizes: Sizes) -> Data:
    """One draw: its chunks hold every class alike, so its parts do too."""
    from archdsl.data import shapetex

    pictures, labels = shapetex.images(sum(sizes), image, seed)
    every = Labelled(np.round(pictures * 255).astype(np.uint8), labels)
    first, second = sizes.train, sizes.train + sizes.validation
    parts = Split(every[:first], every[first:second], every[second:], shapetex.CLASSES)
    return _as_data("shapetex", parts, image, flips=True)


def _digits() -> Labelled:
    """scikit-learn's 1,797 handwritten digits, 8 x 8, 0 to 16."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise SearchError("the data set digits needs scikit-learn; pip install 'archdsl[digits]'") from error
    found = load_digits()
    return Labelled(np.round(found.images[:, None] * (255 / 16)).astype(np.uint8), found.target)


def _as_data(
    name: str,
    parts: Split,
    image: int,
    flips: bool = False,
    skipped: int = 0,
    scaled_by: Literal["torch", "pillow"] = "torch",
) -> Data:
    """Tensors of the size asked for, and the constants that normalise them."""
    import torch

    train, val, held = (
        (_resized(torch.from_numpy(part.images), image), torch.from_numpy(part.labels.astype(np.int64)))
        for part in (parts.train, parts.val, parts.held)
    )
    mean, std = _moments(train[0])
    return Data(name, *train, *val, *held, parts.class_names, mean, std, flips, skipped, scaled_by, parts.notes)


def _resized(images: Tensor, image: int) -> Tensor:
    """Bilinear, smoothed where it shrinks: (N, C, H, W) -> (N, C, image, image), of the same type."""
    import torch
    from torch.nn.functional import interpolate

    if tuple(images.shape[-2:]) == (image, image):
        return images
    sized = torch.empty((*images.shape[:2], image, image), dtype=images.dtype)
    for start in range(0, len(images), 256):  # in pieces, since floats take four times the room
        some = interpolate(images[start : start + 256].float(), (image, image), mode="bilinear", antialias=True)
        sized[start : start + 256] = some if images.is_floating_point() else some.round().clamp(0, 255)
    return sized


def _moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, both (C, 1, 1); 1 stands in for a constant channel's deviation."""
    some = images[:512].double()
    mean, std = some.mean((0, 2, 3)), some.std((0, 2, 3), correction=0)
    std[std < 1e-6 * (1 + mean.abs())] = 1
    return mean.float()[:, None, None], std.float()[:, None, None]
