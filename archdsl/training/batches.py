"""Batches to train with: which pictures, how they are augmented and mixed, all told by the seed and the step alone.

Nothing of it depends on what happened before, so a training that goes on after a kill reads what it would have read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archdsl.data.image_sets import ImageSets, Pictures
from archdsl.errors import TrainingError, one_line
from archdsl.training.augmentation import Augment
from archdsl.training.loop import Batch
from archdsl.training.mixing import erased, mixed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from archdsl.training.normalising import Normalise

_ORDER, _PICTURE, _STEP = 0, 1, 2
"""What a seed is for."""
_TRIES = 100
"""Files in a row that may be unreadable."""


def seed_of(*numbers: int) -> int:
    """A seed for a purpose, an epoch, a picture: different for each, the same in every process."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


class Item(NamedTuple):
    """A picture to be read for a step."""

    epoch: int
    row: int
    repeat: int
    """0 for the first time that an epoch reads it."""


@dataclass(frozen=True)
class Course:
    """Which pictures each step reads."""

    images: int
    batch: int
    """Images of a step in all processes together."""
    steps: int
    seed: int
    repeats: int = 1
    rank: int = 0
    processes: int = 1

    @property
    def steps_of_epoch(self) -> int:
        """Full batches; what is left over is another part of the images in each epoch."""
        return self.images // self.batch

    def from_step(self, done: int) -> Iterator[list[Item]]:
        """The items of this process for each step after `done` ones."""
        epoch, items = -1, list[Item]()
        for step in range(done, self.steps):
            if step // self.steps_of_epoch != epoch:
                epoch = step // self.steps_of_epoch
                items = self._epoch(epoch)
            first = step % self.steps_of_epoch * self.batch
            yield items[first + self.rank : first + self.batch : self.processes]

    def _epoch(self, epoch: int) -> list[Item]:
        import torch

        generator = torch.Generator().manual_seed(seed_of(self.seed, _ORDER, epoch) % 2**63)
        rows = torch.randperm(self.images, generator=generator).tolist()
        every = [Item(epoch, row, repeat) for row in rows for repeat in range(self.repeats)]
        return every[: self.images]


class TrainingPictures:
    """Augmented pictures by item, as torch's DataLoader takes a set of data."""

    def __init__(self, pictures: Pictures, augment: Augment, is_cropped: bool, seed: int) -> None:
        self._pictures, self._augment, self._is_cropped, self._seed = pictures, augment, is_cropped, seed

    def __len__(self) -> int:
        return len(self._pictures.labels)

    def __getitem__(self, item: Item) -> tuple[Tensor, int] | str:
        """The picture (C, H, W) and its label; for a file that cannot be read those of the next one that can.

        Of a hundred files in a row that cannot be read, what is wrong: an error would lose its kind between processes.
        """
        import torch

        torch.manual_seed(seed_of(self._seed, _PICTURE, *item))
        read = self._pictures.whole if self._is_cropped else self._pictures.fitted
        said = ""
        for place in range(item.row, item.row + min(_TRIES, len(self))):
            row = place % len(self)
            try:
                picture = read(row)
            except Exception as error:  # whatever a broken file makes Pillow raise
                said = said or one_line(error, 200)
                continue
            return self._augment(picture), int(self._pictures.labels[row])
        return f"{min(_TRIES, len(self))} training images in a row cannot be read, the first: {said}"


class Mixing(NamedTuple):
    """What is done to a batch on its device."""

    classes: int
    mixup: float
    cutmix: float
    erasing: float


def training_batches(
    pictures: TrainingPictures,
    course: Course,
    done: int,
    workers: int,
    device: torch.device,
    normalise: Normalise,
    mixing: Mixing,
) -> Iterator[Batch]:
    """The batches after `done` steps; each leaves torch's random state as the step's own seed sets it.

    Raises:
        TrainingError: images cannot be read.
    """
    import torch
    from torch.utils.data import DataLoader

    loader: DataLoader[tuple[Tensor, int] | str] = DataLoader(
        pictures,  # type: ignore[arg-type]  # DataLoader reads items of any kind that the sampler gives
        batch_sampler=course.from_step(done),
        num_workers=workers,
        collate_fn=_stacked_or_wrong,
        pin_memory=device.type == "cuda",
    )
    for step, read in enumerate(loader, done):
        if isinstance(read, str):
            raise TrainingError(read)
        images, labels = read
        torch.manual_seed(seed_of(course.seed, _STEP, step, course.rank))
        on_device = normalise(images.to(device, non_blocking=True))
        batch = Batch(erased(on_device, mixing.erasing), labels.to(device, non_blocking=True))
        yield mixed(batch, mixing.classes, mixing.mixup, mixing.cutmix)


def _stacked(items: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    import torch

    return torch.stack([picture for picture, _ in items]), torch.tensor([label for _, label in items])


def _stacked_or_wrong(items: list[tuple[Tensor, int] | str]) -> tuple[Tensor, Tensor] | str:
    wrong = next((item for item in items if isinstance(item, str)), None)
    return wrong or _stacked([item for item in items if not isinstance(item, str)])


class EvaluationPictures:
    """Pictures by row as they are evaluated; None for one that cannot be read."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self._pictures.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, int] | None:
        try:
            return self._pictures.fitted(row), int(self._pictures.labels[row])
        except Exception:  # whatever a broken file makes Pillow raise
            return None


def evaluation_batches(
    pictures: Pictures, batch: int, workers: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """All readable pictures in order, (B, C, H, W), and their labels (B,)."""
    from torch.utils.data import DataLoader

    if not len(pictures.labels):
        return
    loader: DataLoader[tuple[Tensor, int]] = DataLoader(
        EvaluationPictures(pictures),  # type: ignore[arg-type]  # as above
        batch_size=batch,
        num_workers=workers,
        collate_fn=_readable,
    )
    for items in loader:
        if items:
            images, labels = _stacked(items)
            yield images.to(device), labels.to(device)


def _readable(items: list[tuple[Tensor, int] | None]) -> list[tuple[Tensor, int]]:
    return [item for item in items if item is not None]


def check_batch(data: ImageSets, batch: int) -> None:
    """A step needs a full batch.

    Raises:
        TrainingError: there are too few training images.
    """
    images = len(data.train.labels)
    if images < batch:
        rule = f"a batch of {batch:,} needs at least as many training images; {data.name} has {images:,}"
        raise TrainingError(f"{rule}; use --batch {max(1, images // 4)}")
