"""A network judged in one pass over a few images: batch norm measured again, and the loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.compile import Backbone
from archdsl.deriving.fitting import batch_statistics
from archdsl.errors import WrongUse
from archdsl.language.arguments import wrong_model

_LEAST = 64
_LEAST_A_CLASS = 4
_BATCH = 128
AT_CHANCE = 0.95
"""Of ln(classes): from there on nothing of the parent is left."""


@dataclass(frozen=True)
class Score:
    """What one pass says of a network. loss: the mean cross entropy, in nats, with its standard error."""

    loss: float
    error: float
    accuracy: float
    images: int
    classes: int

    @property
    def is_at_chance(self) -> bool:
        """Whether the network is hardly better than one that knows nothing: a loss of 0.95 ln(classes) or more."""
        return not self.loss < AT_CHANCE * math.log(self.classes)


def least_images(classes: int) -> int:
    """How many images a score of so many classes needs: 64, and 4 a class."""
    return max(_LEAST, _LEAST_A_CLASS * classes)


def score(model: Backbone, images: Tensor, labels: Tensor, batch: int = _BATCH) -> Score:
    """Measure batch norm on images and compute the loss on them in the same pass.

    Batch norms read the statistics of each batch of `batch` images, and keep the average of them. The model keeps its
    mode; other weights than batch norm's statistics are unchanged.

    Args:
        model: a classifier.
        images: (N, channels, H, W), normalised as the network reads them; 256 tell networks apart.
        labels: (N,) whole numbers from 0.
        batch: images at a time.

    Raises:
        WrongUse: fewer images than `least_images` says, labels that do not belong to them, or no classifier.
        TypeError: the model is something else.
    """
    if not isinstance(model, Backbone):
        raise wrong_model("score", model)
    _check(model, images, labels)
    device = next(model.parameters()).device
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad(), batch_statistics(norms, cumulative=True):
            logits = torch.cat([model(some.to(device)).float() for some in torch.split(images, batch)])
    finally:
        for module, training in modes:
            module.training = training
    labels = labels.to(device)
    losses = F.cross_entropy(logits, labels, reduction="none")
    accuracy = float((logits.argmax(1) == labels).float().mean())
    error = float(losses.std()) / math.sqrt(len(losses))
    return Score(float(losses.mean()), error, accuracy, len(labels), model.num_classes)


def _check(model: Backbone, images: Tensor, labels: Tensor) -> None:
    if model.num_classes < 2:
        raise WrongUse("score needs a classifier of two classes or more")
    if images.dim() != 4 or images.shape[1] != model.spec.channels or not images.is_floating_point():
        shape = f"(N, {model.spec.channels}, H, W)"
        raise WrongUse(f"score takes images {shape} of floats; got {tuple(images.shape)} of {images.dtype}")
    if labels.shape != images.shape[:1] or labels.is_floating_point():
        raise WrongUse(f"score takes a label for each of {len(images)} images; got {tuple(labels.shape)}")
    if len(images) < (least := least_images(model.num_classes)):
        raise WrongUse(f"score needs at least {least} images for {model.num_classes} classes; got {len(images)}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= model.num_classes:
        raise WrongUse(f"labels must be from 0 to {model.num_classes - 1}; got {low} to {high}")
