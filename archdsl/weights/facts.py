"""What a file of ours says of itself beside its spec: classes, preprocessing, accuracy, and how the weights came about.

These keys of a safetensors header let a user feed the network without this package. They are read without torch.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from archdsl.errors import WeightsError, WrongUse, short
from archdsl.json_types import Json
from archdsl.load.model_header import REMEDY, NoModel, read_model_header


class _Facts(BaseModel):
    """Frozen; a key of a later version is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Resize(_Facts):
    """How a picture is brought to `size`."""

    filter: Literal["bilinear", "bicubic"]
    antialias: bool


class Crop(_Facts):
    """The middle square, this share of the shorter side, which is then resized."""

    centre: float


class Preprocessing(_Facts):
    """From a picture to what the network reads: cut, resized, brought to `range`, then (x - mean) / std."""

    size: tuple[int, int]
    """Height and width in pixels."""
    channels: str
    """"RGB" or "L"; of other data the number of channels."""
    range: tuple[float, float]
    """Of the pixels that `mean` and `std` are for: bytes are divided by 255."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: Resize
    crop: Crop | None
    layout: Literal["NCHW"] = "NCHW"


class Measured(_Facts):
    """Accuracy on a set of images, 0 to 1."""

    accuracy: float
    images: int
    standard_error: float
    """Binomial: of the number of images alone."""
    per_class: dict[str, tuple[int, int]]
    """How many of a class were named rightly, of how many; classes without an image are left out."""
    answers: str | None = None
    """Bits of the images in order, 1 where the network is right, as hexadecimal digits; the last is filled with 0."""


class DataFacts(_Facts):
    """The data that was trained and measured on."""

    name: str
    fingerprint: str


class Accuracy(_Facts):
    """Of these very weights, in float32; in an ONNX file of int8 what the file itself names rightly."""

    validation: Measured
    """Images that networks were chosen by."""
    held_out: Measured | None
    """Images that nothing was chosen by; None where nothing is held out."""
    data: DataFacts


class Provenance(_Facts):
    """How the weights came about."""

    parent: str | None
    """The SHA-256 of the file that they were derived from."""
    recipe: int | str
    """The number of a search's short training, or the name of a recipe of `archdsl train`."""
    epochs: float
    images: int
    """Training images of an epoch."""
    batch: int
    steps: int
    seed: int
    device: str
    autocast: str | None
    """The dtype that training was cast to; None for float32."""
    threads: int
    torch: str
    archdsl: str
    lr: float | None = None
    """The peak learning rate of `archdsl train`; None in the files of a search."""
    split_seed: int | None = None
    """By which the images were split; None: by `seed`."""
    split_images: int | None = None
    """The training images that were asked for when they were split; None: all, or an older file."""
    teacher: str | None = None
    """The SHA-256 of the file whose answers were learnt beside the labels."""
    frozen: tuple[str, ...] = ()
    """Nodes that kept their weights."""
    processes: int = 1
    augmentation: str | None = None


class ModelFacts(_Facts):
    """The keys of a header; None for what an older file does not say."""

    classes: tuple[str, ...] | None = None
    """Names in the order of the logits."""
    preprocessing: Preprocessing | None = None
    accuracy: Accuracy | None = None
    provenance: Provenance | None = None

    def header(self) -> dict[str, str]:
        """The keys as they stand in a file, each JSON."""
        keys = self.model_dump(mode="json")
        return {name: json.dumps(value, ensure_ascii=False) for name, value in keys.items() if value is not None}


def read_facts(file: str | os.PathLike[str]) -> ModelFacts:
    """What a file of ours says of itself, read from its header alone.

    Raises:
        WrongUse: there is no such file.
        WeightsError: it is none of ours, or what it says cannot be read.
    """
    path = Path(file)
    keys: dict[str, Json] = {}
    header = read_header(path)
    for name in ModelFacts.model_fields:
        try:
            if name in header:
                keys[name] = json.loads(header[name])
                ModelFacts.model_validate({name: keys[name]})
        except (ValidationError, ValueError, RecursionError) as error:
            first = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise WeightsError(f"{path}: its header's key '{name}' cannot be read: {short(first)}; {REMEDY}") from None
    return ModelFacts.model_validate(keys)


def is_ours(file: Path) -> bool:
    """Whether a file is a safetensors of ours, which says of itself what it is."""
    try:
        read_header(file)
    except WeightsError:
        return False
    return True


def read_header(path: Path) -> dict[str, str]:
    """The `__metadata__` of a safetensors file of ours.

    Raises:
        WrongUse: there is no such file.
        WeightsError: it is none of ours, a part of one, or cannot be read.
    """
    if not path.exists():
        raise WrongUse(f"no such file: {path}")
    if not path.is_file():
        raise WeightsError(f"{path}: is not a file; {REMEDY}")
    try:
        return read_model_header(path)
    except (OSError, NoModel) as error:
        reason = str(error) if isinstance(error, NoModel) else f"cannot be read: {error.strerror or error}"
        raise WeightsError(f"{path}: {reason}") from None
