"""A teacher: a trained network whose answers are learnt beside the labels (arXiv:1503.02531)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.data.image_sets import ImageSets
from archdsl.data.labelled import listed
from archdsl.errors import TrainingError
from archdsl.training.loop import Batch
from archdsl.training.normalising import Normalise, of_data, of_file

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from archdsl.compile import Backbone


@dataclass(frozen=True)
class Teacher:
    """A network of the same classes; it may read another image size, and have constants of its own."""

    model: Backbone
    order: tuple[int, ...]
    """The teacher's number of each class of the data."""
    student: Normalise
    own: Normalise

    def __call__(self, images: Tensor) -> Tensor:
        """Images as the student reads them, (B, C, H, W) -> logits (B, classes) in the order of the data's classes."""
        import torch
        from torch.nn.functional import interpolate

        with torch.no_grad():
            mine = (images * self.student.std + self.student.mean - self.own.mean) / self.own.std
            size = self.model.spec.image_size
            if tuple(mine.shape[-2:]) != size:
                mine = interpolate(mine, size, mode="bilinear", antialias=True)
            logits: Tensor = self.model(mine)
            return logits.float()[:, list(self.order)]


def load_teacher(file: Path, data: ImageSets, student: Normalise, device: torch.device) -> Teacher:
    """The teacher in a file of ours.

    Raises:
        WrongUse: there is no such file.
        WeightsError: it is none of ours.
        TrainingError: its classes or channels are not the data's.
    """
    from archdsl.weights import load_model, read_facts

    facts, model = read_facts(file), load_model(file, device)
    names = facts.classes
    if not names or model.features_only:
        raise TrainingError(f"the teacher {file} names no classes; give the file of a classifier that archdsl trained")
    missing = [name for name in data.class_names if name not in names]
    more = [name for name in names if name not in data.class_names]
    if missing or more:
        parts = [f"it lacks {listed(missing)}"] * bool(missing) + [f"the data lacks {listed(more)}"] * bool(more)
        raise TrainingError(f"the teacher {file} must have the data's classes: {' and '.join(parts)}")
    if model.spec.channels != data.channels:
        rule = f"the teacher {file} reads {model.spec.channels} channels; {data.name} has {data.channels}"
        raise TrainingError(f"{rule}; give a teacher for as many channels")
    order = tuple(names.index(name) for name in data.class_names)
    own = of_file(data, facts.preprocessing) or of_data(data)
    return Teacher(model, order, student.to(device), own.to(device))


@dataclass(frozen=True)
class Loss:
    """Cross-entropy with smoothed labels; with a teacher, a share of it is the distance from the teacher's answers."""

    smoothing: float
    teacher: Teacher | None = None
    share: float = 0.5
    temperature: float = 2.0

    def __call__(self, logits: Tensor, batch: Batch) -> Tensor:
        """Logits (B, classes) in float32 -> the mean over the batch."""
        from torch.nn.functional import cross_entropy, kl_div, log_softmax

        loss = cross_entropy(logits, batch.targets, label_smoothing=self.smoothing)
        if self.teacher is None:
            return loss
        T = self.temperature
        wanted, own = (log_softmax(some / T, 1) for some in (self.teacher(batch.images), logits))
        apart = kl_div(own, wanted, reduction="batchmean", log_target=True) * T**2
        return (1 - self.share) * loss + self.share * apart
