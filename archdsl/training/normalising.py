"""How pictures become what a network reads: by the constants of its weights' file, else by those of the data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archdsl.data.image_sets import ImageSets
from archdsl.training.saving import BYTE

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from archdsl.data.dataset import Data
    from archdsl.weights.facts import Preprocessing

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of the values from 0 to 1, with which every published checkpoint was trained."""


@dataclass(frozen=True)
class Normalise:
    """(B, C, H, W) of the data's values -> (B, C, H, W) in float32."""

    mean: Tensor
    """Per channel, (C, 1, 1), in the data's values."""
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """(x - mean) / std"""
        return (images.float() - self.mean) / self.std

    def to(self, device: torch.device) -> Normalise:
        """The same on a device."""
        return Normalise(self.mean.to(device), self.std.to(device))


def normalise_of(data: ImageSets, mean: tuple[float, ...], std: tuple[float, ...]) -> Normalise:
    """By constants for values from 0 to 1, which bytes are divided by 255 for."""
    import torch

    scale = 1.0 if data.sample.is_floating_point() else BYTE
    constants = (torch.tensor(values, dtype=torch.float64) * scale for values in (mean, std))
    return Normalise(*(values.float()[:, None, None] for values in constants))


def of_data(data: ImageSets) -> Normalise:
    """By the mean and the deviation of its own training pictures."""
    return Normalise(data.mean, data.std)


def of_file(data: ImageSets, facts: Preprocessing | None) -> Normalise | None:
    """By what a file says that its network reads; None where it says nothing that fits the data."""
    if facts is None or len(facts.mean) != data.channels:
        return None
    return normalise_of(data, facts.mean, facts.std)


def normalised_as(data: Data, facts: Preprocessing | None) -> Data:
    """The data with the constants that a file says its network reads; as it is where they do not fit its channels."""
    import torch

    if facts is None or len(facts.mean) != data.channels:
        return data
    scale = 1.0 if data.train_images.is_floating_point() else BYTE
    mean, std = (torch.tensor(each, dtype=torch.float64) * scale for each in (facts.mean, facts.std))
    return replace(data, mean=mean.float()[:, None, None], std=std.float()[:, None, None], _on={})
