"""What a training is asked for, and what can be refused before torch is loaded and the data is read."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.errors import TrainingError, WrongUse
from archdsl.language.document import Spec
from archdsl.load.model_header import MODEL
from archdsl.load.specs import load_spec
from archdsl.training.named_recipes import Recipe, check_recipe, recipe_named
from archdsl.training.processes import Processes
from archdsl.training.unfinished import check_output

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

MEMORY_BYTES = 512 * 2.0**20
"""Pictures of a folder that take more are read from their files in each epoch."""
_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class TrainingOptions:
    """What a training was asked for, beside the network and its data."""

    out: Path
    weights: Path | None
    teacher: Path | None
    recipe: str | Recipe
    freeze: tuple[str, ...]
    epochs: float | None
    time_s: float | None
    batch: int | None
    lr: float | None
    seed: int
    images: int | None
    workers: int | None
    device: str | None
    dtype: str | None
    ema: float | None
    mixup: float | None
    cutmix: float | None
    grad_checkpointing: bool
    memory_bytes: float
    tensorboard: Path | None
    resume: bool
    force: bool
    threads: int | None
    started: float


def checked(
    spec: Spec | str | os.PathLike[str], options: TrainingOptions, group: Processes
) -> tuple[Spec, TrainingOptions]:
    """The document and its options, with all that can be found out before torch is loaded.

    Raises:
        WrongUse: an option is wrong.
    """
    if group.is_first:
        check_output(options.out, options.resume, options.force)
    if isinstance(options.recipe, str):
        check_recipe(options.recipe)
    _check_numbers(options)
    document = spec if isinstance(spec, Spec) else load_spec(spec)
    if options.weights is None and not isinstance(spec, Spec) and Path(spec).suffix == MODEL:
        options = replace(options, weights=Path(spec))
    for file in (options.weights, options.teacher):
        if file is not None and not file.is_file():
            raise WrongUse(f"no such file: {file}")
    if isinstance(options.recipe, str):
        options = replace(options, recipe=recipe_named(options.recipe, document))
    assert isinstance(options.recipe, Recipe)
    if options.recipe.needs_weights and options.weights is None:
        rule = f"the recipe {options.recipe.name} goes on from weights that were trained at 224 pixels"
        raise WrongUse(f"{rule}; give --weights, or use --recipe fast")
    if options.tensorboard is not None:
        board_class()
    return document, options


def _check_numbers(options: TrainingOptions) -> None:
    positive = {"epochs": options.epochs, "time_s": options.time_s, "batch": options.batch, "lr": options.lr}
    positive |= {"images": options.images, "threads": options.threads}
    for name, value in positive.items():
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise WrongUse(f"{name} must be more than 0; got {value:g}")
    if options.ema is not None and not 0 < options.ema < 1:
        raise WrongUse(f"ema must be between 0 and 1, such as 0.999; got {options.ema:g}")
    for name, value in {"mixup": options.mixup, "cutmix": options.cutmix}.items():
        if value is not None and not 0 <= value < math.inf:
            raise WrongUse(f"{name} must be at least 0; got {value:g}")
    if options.dtype is not None and options.dtype not in _DTYPES:
        raise WrongUse(f"unknown dtype '{options.dtype}'; known: {', '.join(_DTYPES)}")


def board_class() -> type[SummaryWriter]:
    """What writes TensorBoard's files.

    Raises:
        TrainingError: its package is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TrainingError("TensorBoard's files need a package; pip install tensorboard") from error
    return SummaryWriter


def device_name(name: str | None, group: Processes) -> str:
    """The device of this process: as asked for, else CUDA if there is one; of several GPUs each process has its own.

    Raises:
        WrongUse: there is no such device.
    """
    from archdsl.errors import MeasureError
    from archdsl.runtimes.setting import checked_device, default_device

    try:
        device = checked_device(name or default_device())
    except MeasureError as error:
        raise WrongUse(str(error)) from None
    return f"cuda:{group.local_rank}" if device == "cuda" and group.number > 1 else device
