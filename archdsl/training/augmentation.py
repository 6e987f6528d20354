"""What is done to a picture before a network reads it in training; all chance is torch's global random state."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from archdsl.training.named_recipes import Recipe

if TYPE_CHECKING:
    from torch import Tensor

Augment = Callable[["Tensor"], "Tensor"]
"""A picture (C, h, w) -> (C, H, W), of the same type."""
_TRIES = 10
_OPERATIONS = 2
"""Of RandAugment, on each picture."""


@dataclass(frozen=True)
class Augmentation:
    """Crop, mirror, RandAugment, in this order."""

    size: tuple[int, int]
    crop: Literal["shift", "resized"]
    interpolation: Literal["bicubic", "random"]
    flips: bool
    both_ways: bool
    """Mirrored top to bottom too, where the data says that mirroring does no harm."""
    magnitude: int
    """Of RandAugment; 0: none."""

    def __call__(self, picture: Tensor) -> Tensor:
        """(C, h, w) -> (C, H, W), of the same type."""
        cropped = shifted(picture) if self.crop == "shift" else resized_crop(picture, self.size, self.interpolation)
        if self.flips and _chance(0.5):
            cropped = cropped.flip(2)
        if self.both_ways and _chance(0.5):
            cropped = cropped.flip(1)
        return _rand_augmented(cropped, self.magnitude) if self.magnitude else cropped

    def describe(self) -> str:
        """`resized crops, mirrored, RandAugment of torchvision (2 operations, magnitude 9)`"""
        parts = ["shifts" if self.crop == "shift" else "resized crops"]
        parts += ["flips"] if self.flips else []
        parts += [f"RandAugment of torchvision ({_OPERATIONS} operations, magnitude {self.magnitude})"] * bool(
            self.magnitude
        )
        return " and ".join((", ".join(parts[:-1]), parts[-1])) if len(parts) > 1 else parts[0]


def augmentation_of(
    recipe: Recipe, size: tuple[int, int], harmless_flips: bool, is_bytes: bool
) -> tuple[Augmentation, str]:
    """The augmentation of a recipe as far as it can be done here, and a line that says what is done.

    RandAugment is torchvision's; without it, or on values that are no bytes, crops and flips are all.
    """
    reason = None
    if recipe.magnitude:
        reason = _no_rand_augment() if is_bytes else "the images are no bytes"
    done = Augmentation(
        size=size,
        crop=recipe.crop,
        interpolation=recipe.interpolation,
        flips=recipe.flip or harmless_flips,
        both_ways=harmless_flips,
        magnitude=0 if reason else recipe.magnitude,
    )
    return done, f"augmentation: {done.describe()}" + (f"; no RandAugment, since {reason}" if reason else "")


def _no_rand_augment() -> str | None:
    """Why RandAugment cannot be used; None where it can."""
    try:
        from torchvision.transforms import v2

        v2.RandAugment  # noqa: B018  # found out whether it is there
    except (ImportError, AttributeError):
        return "torchvision is not installed (pip install torchvision)"
    except RuntimeError:  # a torchvision that was built for another torch
        return "the torchvision that is installed does not fit this torch"
    return None


def shifted(picture: Tensor) -> Tensor:
    """Shifted by up to a sixteenth of the side each way, the border repeated: (C, H, W) -> (C, H, W)."""
    import torch

    places = []
    for side in picture.shape[1:]:
        reach = side // 16
        shift = torch.randint(-reach, reach + 1, (1,))
        places.append((torch.arange(side) + shift).clamp(0, side - 1))
    rows, columns = places
    return picture[:, rows][:, :, columns]


def resized_crop(picture: Tensor, size: tuple[int, int], interpolation: Literal["bicubic", "random"]) -> Tensor:
    """A random part of 8 to 100 % of the area, 3:4 to 4:3 wide, resized: (C, h, w) -> (C, H, W) (arXiv:1409.4842)."""
    from torch.nn.functional import interpolate

    top, left, height, width = _box(picture.shape[1], picture.shape[2])
    part = picture[None, :, top : top + height, left : left + width]
    mode = "bilinear" if interpolation == "random" and _chance(0.5) else "bicubic"
    resized = interpolate(part.float(), size, mode=mode, antialias=True)[0]
    return resized if picture.is_floating_point() else resized.round().clamp(0, 255).to(picture.dtype)


def _box(height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random part; the whole where ten draws do not fit."""
    for _ in range(_TRIES):
        area = height * width * _uniform(0.08, 1.0)
        ratio = math.exp(_uniform(math.log(3 / 4), math.log(4 / 3)))
        h, w = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < h <= height and 0 < w <= width:
            return _whole(height - h), _whole(width - w), h, w
    return 0, 0, height, width


def _rand_augmented(picture: Tensor, magnitude: int) -> Tensor:
    from torchvision.transforms import v2

    changed: Tensor = v2.RandAugment(num_ops=_OPERATIONS, magnitude=magnitude)(picture)
    return changed


def _uniform(low: float, high: float) -> float:
    import torch

    return low + (high - low) * float(torch.rand(()))


def _whole(most: int) -> int:
    """0 to `most`."""
    import torch

    return int(torch.randint(0, most + 1, ()))


def _chance(share: float) -> bool:
    return _uniform(0.0, 1.0) < share
