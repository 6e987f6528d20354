"""How long a network is trained: the epochs that were length for, or as many as make enough steps, and the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

BATCH = 16
"""Images of a step; on CUDA the smallest batch."""
MOST_BATCH = 256
LEAST_STEPS = 150
"""Of a training: after fewer, the accuracy of small data says nothing of a network."""


class Length(Protocol):
    """The length that was asked for; the settings of a search say it."""

    @property
    def epochs(self) -> float:
        """Passes over the training images."""
        ...

    @property
    def images(self) -> int:
        """Training images of an epoch at most."""
        ...

    @property
    def least_steps(self) -> int:
        """Steps to which the epochs are raised."""
        ...

    @property
    def device(self) -> str:
        """On CUDA the batch grows."""
        ...


class Fidelity(NamedTuple):
    """The budget that a proxy accuracy is named by."""

    epochs: float
    images: int
    batch: int = BATCH
    is_raised: bool = False
    """Whether the epochs are more than were length for, to make enough steps."""
    planned: float | None = None
    """Epochs that were planned, where the training was shortened to end in time."""

    @property
    def steps(self) -> int:
        """Optimiser steps; each reads a full batch."""
        return max(1, round(self.epochs * self.images / self.batch))

    def after(self, steps: int) -> Fidelity:
        """The same, shortened to so many steps if these are fewer."""
        if steps >= self.steps:
            return self
        return self._replace(epochs=steps * self.batch / self.images, planned=self.epochs)

    def __str__(self) -> str:
        """`10 epochs of 240 images (150 steps)`: the steps stand there where they or the batch are not the usual."""
        if self.planned is not None:
            steps = f"{self.steps:,} steps" + f" of {self.batch}" * (self.batch != BATCH)
            shortened = f"({steps}, shortened from {self.planned:g} epochs)"
            return f"{self.epochs:.1f} epochs of {self.images:,} images {shortened}"
        text = f"{self.epochs:g} epoch{'s' * (self.epochs != 1)} of {self.images:,} image{'s' * (self.images != 1)}"
        if self.batch != BATCH:
            return f"{text} ({self.steps:,} steps of {self.batch})"
        return f"{text} ({self.steps:,} steps)" if self.is_raised else text


def batch_on(device: str, epochs: float, images: int, least_steps: int = LEAST_STEPS) -> int:
    """On CUDA the largest power of two up to 256 with which `least_steps` remain; elsewhere 16."""
    batch = BATCH
    if device.partition(":")[0] != "cuda":
        return batch
    while batch < MOST_BATCH and Fidelity(epochs, images, 2 * batch).steps >= least_steps:
        batch *= 2
    return batch


def fidelity_of(
    length: Length,
    images: int,
    lengthen: float = 1.0,
    choose_batch: Callable[[str, float, int], int] = batch_on,
) -> Fidelity:
    """The length of a training on data of so many training images; `lengthen` times the epochs asked for.

    `least_steps` is how many steps there must be at least; 0 where the epochs were asked for.
    """
    images = min(length.images, images)
    enough = -(-10 * length.least_steps * BATCH // images) / 10  # epochs, rounded up to a tenth
    is_raised = Fidelity(length.epochs, images).steps < length.least_steps
    epochs = (enough if is_raised else length.epochs) * lengthen
    return Fidelity(epochs, images, choose_batch(length.device, epochs, images), is_raised)


def length_note(length: Length, images: int) -> str | None:
    """What a user should know of the length that was chosen; None where it is the one that was asked for and enough."""
    fidelity = fidelity_of(length, images)
    if fidelity.is_raised:
        usual = f"{length.epochs:g} epoch{'s' * (length.epochs != 1)}"
        return f"the data is small: a training takes {fidelity} instead of {usual}"
    if fidelity.steps < LEAST_STEPS:
        steps = f"{fidelity.steps:,} step{'s' * (fidelity.steps != 1)}"
        return (
            f"warning: {fidelity} is only {steps} of training, and below {LEAST_STEPS} steps an accuracy says little; "
            f"leave out --epochs, or give --epochs {-(-10 * LEAST_STEPS * BATCH // fidelity.images) / 10:g}"
        )
    return None
