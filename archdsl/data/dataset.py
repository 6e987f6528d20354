"""Data to rank backbones with: images and labels in three sets, as tensors, and how they are normalised."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from archdsl.data.labelled import listed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_TENSORS = ("train_images", "train_labels", "val_images", "val_labels", "held_images", "held_labels")
_LABELS = tuple(name for name in _TENSORS if name.endswith("labels"))


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
    warnings: tuple[str, ...] = ()
    """What a command says once, in full: `describe` has it in brief."""
    made_of: str = ""
    """What the images were computed from, where the values that come out differ a little between processors."""
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

    def to(self, device: str | torch.device) -> Data:
        """The same data on a device; copied there once, however often it is asked for."""
        place = str(device)
        if str(self.train_images.device) == place:
            return self
        if place not in self._on:
            moved = {name: getattr(self, name).to(device) for name in (*_TENSORS, "mean", "std")}
            copied = ("name", "class_names", "flips", "skipped", "scaled_by", "notes", "warnings", "made_of")
            rest = {name: getattr(self, name) for name in copied}
            self._on[place] = Data(**moved, **rest)
        return self._on[place]

    def fingerprint(self) -> str:
        """16 hex digits of what is in it: a figure measured on one data set is not taken for another's.

        Equal on every processor: of images that were computed or resized here, it is that of what they were made of.
        """
        facts = (self.train_images.shape, self.class_names, self.flips, *([self.made_of] if self.made_of else []))
        digest = hashlib.sha256(repr(facts).encode())
        for name in _LABELS if self.made_of else _TENSORS:
            digest.update(getattr(self, name).cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def describe(self) -> str:
        """`shapetex: 2,000 images to train, 1,000 to validate, 1,000 held out, 3x64x64, 20 classes (chance 5.0%)`."""
        counts = f"{len(self.train_labels):,} images to train, {len(self.val_labels):,} to validate"
        counts += f", {len(self.held_labels):,} held out"
        shape = "x".join(str(side) for side in self.train_images.shape[1:])
        facts = f"{self.name}: {counts}, {shape}, {self.classes} classes (chance {self.chance:.1%})"
        return "; ".join([facts, *self._classes_not_judged(), *self.notes])

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
