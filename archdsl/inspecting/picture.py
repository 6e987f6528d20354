"""A picture as a network reads it, by what the file of its weights says (`archdsl.weights.facts.Preprocessing`)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from archdsl.data.pictures import UnreadableImage, read_whole_picture, whole
from archdsl.errors import LookError, WrongUse, one_line
from archdsl.training.normalising import IMAGENET
from archdsl.weights.facts import Crop, Preprocessing, Resize

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from archdsl.language.document import Spec

    Source: TypeAlias = str | os.PathLike[str] | Image | NDArray[np.uint8]

_CHANNELS = {"L": 1, "RGB": 3}


@dataclass(frozen=True)
class Picture:
    """A picture, as it is drawn and as the network reads it."""

    name: str
    """Of its file, without folders."""
    pixels: NDArray[np.uint8]
    """(H, W, 3)"""
    images: Tensor
    """(1, C, H, W), normalised, float32."""
    preprocessing: Preprocessing


def read(source: Source, how: Preprocessing) -> Picture:
    """The picture, upright, cut and scaled as `how` says.

    Raises:
        WrongUse: there is no such file, or it is a folder.
        LookError: it cannot be read, Pillow is missing, or the network reads no pictures.
        TypeError: `source` is neither a path nor a picture.
    """
    import torch

    try:
        from PIL import Image
    except ImportError as error:
        raise LookError("reading an image needs Pillow; pip install 'archdsl[images]'") from error
    if how.channels not in _CHANNELS:
        remedy = "look at one that reads 1 or 3"
        raise LookError(f"the network reads images of {how.channels} channels, not pictures; {remedy}")
    name, upright = _upright(source, how)
    scaled = _scaled(Image.fromarray(np.ascontiguousarray(upright.transpose(1, 2, 0))), how)
    values = np.asarray(scaled.convert(how.channels), np.float32).reshape(*how.size, -1) / 255
    low, high = how.range
    normalised = (low + (high - low) * values - np.array(how.mean)) / np.array(how.std)
    images = torch.from_numpy(np.ascontiguousarray(normalised.transpose(2, 0, 1)[None], np.float32))
    return Picture(name, np.array(scaled.convert("RGB")), images, how)


def assumed(spec: Spec) -> Preprocessing:
    """What is assumed where no file says how a network's images are prepared: ImageNet's mean and deviation.

    The published checkpoints were trained so. Of other numbers of channels 0.5 each. The largest middle part that has
    the network's aspect ratio is scaled.
    """
    mean, std = IMAGENET if spec.channels == len(IMAGENET[0]) else ((0.5,) * spec.channels,) * 2
    channels = next((name for name, count in _CHANNELS.items() if count == spec.channels), str(spec.channels))
    return Preprocessing(
        size=spec.image_size,
        channels=channels,
        range=(0.0, 1.0),
        mean=mean,
        std=std,
        resize=Resize(filter="bicubic", antialias=True),
        crop=Crop(centre=1.0),
    )


def _upright(source: Source, how: Preprocessing) -> tuple[str, NDArray[np.uint8]]:
    """Its name and (3, h, w)"""
    from PIL import Image

    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if not path.exists():
            raise WrongUse(f"no such file: {path}")
        if not path.is_file():
            raise WrongUse(f"{path}: is {'a folder' if path.is_dir() else 'no regular file'}; give an image file")
        try:
            return path.name, read_whole_picture(path, how.size)
        except Exception as error:
            raise LookError(f"{path}: {_reason(error)}") from None
    if isinstance(source, np.ndarray):
        source = _from_array(source)
    if not isinstance(source, Image.Image):
        raise TypeError(f"image is a path, a picture of Pillow or a uint8 array; got {type(source).__name__}")
    try:
        return "image", whole(source)
    except Exception as error:
        raise LookError(f"the image {_reason(error)}") from None


def _from_array(pixels: NDArray[np.uint8]) -> Image:
    from PIL import Image

    grey = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 1)
    if pixels.dtype != np.uint8 or pixels.size == 0 or not (grey or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
        rule = "an array must be (H, W), (H, W, 3) or (H, W, 4) of uint8"
        raise TypeError(f"{rule}; got {pixels.shape} of {pixels.dtype}")
    return Image.fromarray(np.ascontiguousarray(pixels.squeeze(2) if pixels.ndim == 3 and grey else pixels))


def _reason(error: Exception) -> str:
    """Why a picture cannot be read, for a message that begins with its file."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "is not an image that Pillow can read"
    if isinstance(error, PermissionError):
        return "cannot be read: permission denied"
    text = str(error) if isinstance(error, UnreadableImage) else one_line(error)
    return f"cannot be read as an image: {text}"


def _scaled(picture: Image, how: Preprocessing) -> Image:
    """The part that is read, in the network's size."""
    from PIL import Image, ImageOps

    height, width = how.size
    scaling = Image.Resampling[how.resize.filter.upper()]
    if how.crop is not None:
        sides = [max(round(side * how.crop.centre), 1) for side in _largest(picture.size, (width, height))]
        left, top = ((whole - part) // 2 for whole, part in zip(picture.size, sides, strict=True))
        picture = ImageOps.fit(picture.crop((left, top, left + sides[0], top + sides[1])), (width, height), scaling)
    if how.resize.antialias or (width >= picture.width and height >= picture.height):
        return picture.resize((width, height), scaling)
    return _without_antialias(picture, how)


def _largest(size: tuple[int, int], like: tuple[int, int]) -> tuple[int, int]:
    """The largest part of a size that has the aspect ratio of `like`; width and height."""
    scale = min(size[0] / like[0], size[1] / like[1])
    return min(size[0], round(like[0] * scale)), min(size[1], round(like[1] * scale))


def _without_antialias(picture: Image, how: Preprocessing) -> Image:
    import torch
    from PIL import Image

    values = torch.from_numpy(np.array(picture, np.float32)).permute(2, 0, 1)[None]
    scaled = torch.nn.functional.interpolate(values, size=how.size, mode=how.resize.filter, align_corners=False)
    return Image.fromarray(scaled[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy())
