"""A trained network in a file of ours, with what a user needs to feed it and to judge it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archdsl.data.loading import Data
from archdsl.files import installed_version
from archdsl.training.accuracy import Evaluation
from archdsl.training.fidelity import Fidelity
from archdsl.training.recipe import RECIPE, Outcome
from archdsl.weights.facts import (
    Accuracy,
    Crop,
    DataFacts,
    Measured,
    ModelFacts,
    Preprocessing,
    Provenance,
    Resize,
)

if TYPE_CHECKING:
    from torch import Tensor

    from archdsl.compile import Backbone

_CHANNELS = {1: "L", 3: "RGB"}
BYTE = 255.0


class Training(NamedTuple):
    """A training that finished."""

    data: Data
    fingerprint: str
    """Of the data."""
    fidelity: Fidelity
    seed: int
    device: str
    outcome: Outcome
    parent: str | None = None
    """The SHA-256 of the file that the network inherited from."""
    split_images: int | None = None
    """The training images that were asked for when the data was split."""


def save_trained(model: Backbone, path: Path, training: Training) -> None:
    """Write the network that a training left; the file is replaced as a whole.

    Raises:
        OSError: the file cannot be written.
    """
    from archdsl.weights.model_file import save_model

    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(model, path, facts=facts_of(training))


def facts_of(training: Training) -> ModelFacts:
    """What the file of a trained network says."""
    import torch

    data, fidelity, outcome = training.data, training.fidelity, training.outcome
    assert outcome.validation is not None
    return ModelFacts(
        classes=data.class_names,
        preprocessing=preprocessing_of(data),
        accuracy=Accuracy(
            validation=measured(outcome.validation),
            held_out=measured(outcome.held) if outcome.held is not None else None,
            data=DataFacts(name=data.name, fingerprint=training.fingerprint),
        ),
        provenance=Provenance(
            parent=training.parent,
            recipe=RECIPE,
            epochs=fidelity.epochs,
            images=fidelity.images,
            batch=fidelity.batch,
            steps=outcome.steps,
            seed=training.seed,
            split_images=training.split_images,
            device=training.device,
            autocast=outcome.autocast,
            threads=torch.get_num_threads(),
            torch=torch.__version__,
            archdsl=installed_version(),
        ),
    )


def preprocessing_of(data: Data) -> Preprocessing:
    """How a picture becomes what a network reads that was trained on this data."""
    return preprocessing(data.train_images, data.mean, data.std, data.scaled_by)


def preprocessing(images: Tensor, mean: Tensor, std: Tensor, scaled_by: str) -> Preprocessing:
    """How a picture becomes what a network reads, from training images (N, C, H, W) and constants in their values.

    Bytes are normalised as 0 to 255 (`Data.normalise`), and told for inputs from 0 to 1; of floats the range that the
    training images have is told where it is another one.
    """
    low, high, scale = 0.0, 1.0, BYTE
    if images.is_floating_point():
        scale, least, most = 1.0, float(images.min()), float(images.max())
        if least < 0 or most > 1:
            low, high = least, most
    by_pillow = scaled_by == "pillow"
    return Preprocessing(
        size=(int(images.shape[-2]), int(images.shape[-1])),
        channels=_CHANNELS.get(int(images.shape[1]), str(images.shape[1])),
        range=(low, high),
        mean=tuple((mean.double().flatten() / scale).tolist()),
        std=tuple((std.double().flatten() / scale).tolist()),
        resize=Resize(filter="bicubic" if by_pillow else "bilinear", antialias=True),
        crop=Crop(centre=1.0) if by_pillow else None,
    )


def measured(evaluation: Evaluation) -> Measured:
    """An evaluation as a file states it."""
    return Measured(
        accuracy=evaluation.accuracy,
        images=evaluation.images,
        standard_error=evaluation.error,
        per_class=evaluation.per_class,
        answers=evaluation.answers,
    )
