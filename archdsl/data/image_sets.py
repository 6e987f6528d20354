"""Data to train with: three sets of pictures, in memory, or in files that are read anew whenever they are needed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from archdsl.data.dataset import Data
from archdsl.data.folder import DrawnFiles, ListedFolder, list_folder
from archdsl.data.labelled import Division, Sizes
from archdsl.data.loading import DEFAULT, VALIDATION, is_folder_of_images, load, moments, named
from archdsl.data.pictures import GreyScales, read_picture, read_whole_picture
from archdsl.errors import SearchError, one_line

if TYPE_CHECKING:
    from torch import Tensor

_SAMPLED, _LEAST_SAMPLED = 512, 8
"""Pictures of which mean and standard deviation are taken, as many as memory holds in float64, with some room."""


class Pictures(Protocol):
    """A set of pictures with labels."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,), from 0."""

    def fitted(self, row: int) -> Tensor:
        """A picture at the size of the network, (C, H, W).

        Raises:
            Exception: it cannot be read.
        """

    def whole(self, row: int) -> Tensor:
        """A picture to cut a part from, (C, h, w).

        Raises:
            Exception: it cannot be read.
        """


class PicturesInMemory:
    """Pictures that are read already, all at the size of the network."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = images
        self.labels: NDArray[np.int64] = labels.numpy()

    def fitted(self, row: int) -> Tensor:
        """(C, H, W)"""
        return self.images[row]

    def whole(self, row: int) -> Tensor:
        """(C, H, W): nothing more was kept."""
        return self.images[row]


class PictureFiles:
    """Pictures that are read when they are asked for."""

    def __init__(self, drawn: DrawnFiles, size: tuple[int, int], scales: GreyScales) -> None:
        self.files, self.size, self.scales = drawn.files, size, scales
        self.labels: NDArray[np.int64] = drawn.numbers.astype(np.int64)

    def fitted(self, row: int) -> Tensor:
        """(3, H, W), as `read_picture` has it."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(read_picture(self.files[row], self.size, self.scales)))

    def whole(self, row: int) -> Tensor:
        """(3, h, w), as `read_whole_picture` has it."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(read_whole_picture(self.files[row], self.size, self.scales)))


class Sampled(NamedTuple):
    """Some training pictures of files, and what is said of reading them."""

    images: Tensor
    notes: list[str]
    warnings: tuple[str, ...] = ()
    """As of `ImageSets`."""


@dataclass(frozen=True)
class ImageSets:
    """Three sets that share no picture; those held out have no say in any choice."""

    name: str
    class_names: tuple[str, ...]
    train: Pictures
    validation: Pictures
    held_out: Pictures
    sample: Tensor
    """Training pictures at the size of the network, (N, C, H, W): all, or some of those that are in files."""
    mean: Tensor
    """Per channel, of the training pictures, (C, 1, 1)."""
    std: Tensor
    flips: bool
    """Whether a mirrored picture keeps its label."""
    scaled_by: Literal["torch", "pillow"]
    fingerprint: str
    """Of pictures in memory the hash of their values, of files that of their names and sizes."""
    description: str
    is_streamed: bool
    warnings: tuple[str, ...] = ()
    """What is said once, in full: the description has it in brief."""

    @property
    def channels(self) -> int:
        """Of a picture."""
        return int(self.sample.shape[1])


def load_image_sets(
    name: str | None,
    size: tuple[int, int],
    seed: int,
    images: int | None,
    memory_bytes: float,
    division: Division | None = None,
) -> ImageSets:
    """Data by the names that `load` takes, at `size` (height and width).

    A folder whose pictures would take more than `memory_bytes` stays in files. `division` is as for `load`.

    Raises:
        SearchError: as `load`.
    """
    name = name or DEFAULT
    if is_folder_of_images(name):
        root = Path(name).expanduser()
        with named(name):
            listed = list_folder(root, seed, Sizes(images, VALIDATION, VALIDATION, division))
            count = sum(len(part.files) for part in listed.sets)
            room = memory_bytes / (3 * size[0] * size[1])
            if count > room:
                return _in_files(root, listed, size, max(_LEAST_SAMPLED, min(_SAMPLED, int(room / 10))))
    return _in_memory(load(name, size, seed, train=images, division=division))


def _in_memory(data: Data) -> ImageSets:
    parts = ((data.train_images, data.train_labels), (data.val_images, data.val_labels))
    train, validation = (PicturesInMemory(*part) for part in parts)
    held_out = PicturesInMemory(data.held_images, data.held_labels)
    return ImageSets(
        name=data.name,
        class_names=data.class_names,
        train=train,
        validation=validation,
        held_out=held_out,
        sample=data.train_images,
        mean=data.mean,
        std=data.std,
        flips=data.flips,
        scaled_by=data.scaled_by,
        fingerprint=data.fingerprint(),
        description=data.describe(),
        is_streamed=False,
        warnings=data.warnings,
    )


def _in_files(root: Path, listed: ListedFolder, size: tuple[int, int], sampled_images: int) -> ImageSets:
    scales = GreyScales()
    train, validation, held_out = (PictureFiles(part, size, scales) for part in listed.sets)
    sampled = _sample(root, train, sampled_images)
    mean, std = moments(sampled.images)
    names = tuple(str(name) for name in listed.class_names)
    counts = f"{len(train.labels):,} images to train, {len(validation.labels):,} to validate"
    facts = f"{root.resolve().name}: {counts}, {len(held_out.labels):,} held out, 3x{size[0]}x{size[1]}"
    notes = (f"{facts}, {len(names)} classes", "read from files in each epoch", *listed.notes, *sampled.notes)
    return ImageSets(
        name=root.resolve().name,
        class_names=names,
        train=train,
        validation=validation,
        held_out=held_out,
        sample=sampled.images,
        mean=mean,
        std=std,
        flips=False,
        scaled_by="pillow",
        fingerprint=_fingerprint(root, listed, size),
        description="; ".join((*notes, *listed.drawn_apart)),
        is_streamed=True,
        warnings=sampled.warnings,
    )


def _sample(root: Path, train: PictureFiles, count: int) -> Sampled:
    """The readable ones of the first training pictures, which hold the classes in their proportions.

    Raises:
        SearchError: none of them can be read.
    """
    import torch

    images: list[Tensor] = []
    lost: list[str] = []
    for row, path in enumerate(train.files[:count]):
        try:
            images.append(train.fitted(row))
        except Exception as error:  # whatever a broken file makes Pillow raise
            lost.append(f"{path.parent.name}/{path.name}: {one_line(error, 200)}")
    if not images:
        raise SearchError(f"{root}: none of the first {len(lost)} training images can be read, the first {lost[0]}")
    of = f"of the first {len(images) + len(lost)} training images"
    notes = [f"{len(lost):,} {of} cannot be read"] if lost else []
    warnings = tuple(f"{note}, the first {lost[0]}" for note in notes)
    return Sampled(torch.stack(images), [*notes, *train.scales.notes()], warnings)


def _fingerprint(root: Path, listed: ListedFolder, size: tuple[int, int]) -> str:
    """16 hex digits of what the sets hold, by the names and sizes of their files."""
    digest = hashlib.sha256(repr((size, [str(name) for name in listed.class_names])).encode())
    for part in listed.sets:
        for path, number in zip(part.files, part.numbers.tolist(), strict=True):
            digest.update(f"{path.relative_to(root)}:{path.stat().st_size}:{number}\n".encode())
    return digest.hexdigest()[:16]
