"""A training that has not begun: network, optimiser, batches and clock, made of its options and its data."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

from archdsl.data.image_sets import ImageSets
from archdsl.errors import TrainingError, WrongUse
from archdsl.files import sha256_of
from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.timing.cores import physical_cores
from archdsl.training.course import Clock, rates_of
from archdsl.training.fidelity import LEAST_STEPS, batch_on
from archdsl.training.named_recipes import FAST, Recipe
from archdsl.training.options import TrainingOptions, board_class
from archdsl.training.processes import Processes
from archdsl.training.threads import fastest_training_threads
from archdsl.training.unfinished import state_file, threads_before

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch.utils.tensorboard import SummaryWriter

    from archdsl.training.beginning import Beginning
    from archdsl.training.session import Session, Watcher

_FROM_WEIGHTS = 1 / 6
"""The peak rate of `fast` where trained weights go on, as a share of that from initial ones."""
_MOST_STEPS = 10**9


def new_session(
    spec: Spec,
    data: ImageSets,
    options: TrainingOptions,
    group: Processes,
    device: torch.device,
    watcher: Watcher | None,
) -> tuple[Session, Beginning, str]:
    """Network, optimiser and batches of a training that has not begun, its beginning, and what augmentation is done."""
    import torch

    from archdsl.families.common.initial_values import set_drop_path
    from archdsl.training.augmentation import augmentation_of
    from archdsl.training.averaging import WeightAverage
    from archdsl.training.batches import Course, Mixing, TrainingPictures, check_batch, seed_of
    from archdsl.training.beginning import frozen_nodes, network_from, new_network
    from archdsl.training.distillation import Loss, load_teacher
    from archdsl.training.loop import Update
    from archdsl.training.session import Session

    recipe = options.recipe
    assert isinstance(recipe, Recipe)
    mixup, cutmix = (given if given is not None else usual for given, usual in _mixing(options, recipe))
    source = options.weights
    begun = new_network(spec, data, options.seed) if source is None else network_from(spec, source, data, options.seed)
    frozen = frozen_nodes(begun.model, options.freeze, begun.has_new_head)
    model = begun.model.to(device)
    if recipe.drop_path is not None:
        set_drop_path(model, recipe.drop_path)
    model.set_grad_checkpointing(options.grad_checkpointing)
    batch, epochs = _length(recipe, data, options, group, device)
    check_batch(data, batch)
    if batch % group.number:
        raise WrongUse(f"--batch must be a multiple of the {group.number} processes; got {batch}")
    images = len(data.train.labels)
    steps = _MOST_STEPS if epochs is None else max(1, round(epochs * (images // batch)))
    course = Course(images, batch, steps, options.seed, recipe.repeats, group.rank, group.number)
    clock = Clock(steps, options.time_s, started=options.started)
    usual = recipe.peak(batch) * (_FROM_WEIGHTS if source is not None and recipe.name == FAST.name else 1.0)
    peak = usual if options.lr is None else options.lr
    autocast = _autocast(options.dtype, device)
    decay = options.ema or recipe.ema
    scaler = torch.amp.GradScaler(device.type) if autocast == torch.float16 else None
    update = Update(
        torch.optim.AdamW(model.parameter_groups(peak, recipe.weight_decay), lr=peak, fused=True),
        rates_of(recipe, clock, batch, peak / recipe.peak(batch)),
        recipe.clip,
        scaler,
        None if decay is None else WeightAverage(model, decay),
    )
    augment, said = augmentation_of(recipe, spec.image_size, data.flips, not data.sample.is_floating_point())
    normalise = begun.normalise.to(device)
    teacher = None if options.teacher is None else load_teacher(options.teacher, data, begun.normalise, device)
    workers = options.workers
    if workers is None:
        workers = min(4, os.cpu_count() or 1) if data.is_streamed else 0
    torch.manual_seed(seed_of(options.seed, group.rank))
    session = Session(
        model=model,
        data=data,
        pictures=TrainingPictures(data.train, augment, recipe.crop == "resized", options.seed),
        course=course,
        clock=clock,
        update=update,
        loss=Loss(recipe.smoothing, teacher, recipe.distillation, recipe.temperature),
        mixing=Mixing(len(data.class_names), mixup, cutmix, recipe.erasing),
        normalise=normalise,
        device=device,
        autocast=autocast,
        frozen=frozen,
        workers=workers,
        group=group,
        out=options.out,
        settings=_settings(model.spec, data, options, recipe, begun.parent, epochs, batch, peak, autocast),
        watcher=watcher if group.is_first else None,
        board=_board(options.tensorboard) if group.is_first else None,
    )
    choose_threads(session, options)
    if clock.limit_s is not None:
        clock.limit_s = _training_time(session)
    return session, begun, said


def choose_threads(session: Session, options: TrainingOptions) -> None:
    """Set torch to the threads that are asked for, that ran before an interruption, or that train fastest here.

    One thread more changes the last bits of a result, so that a continued training keeps its number.
    """
    import torch

    if session.device.type != "cpu":
        return
    threads = options.threads or (threads_before(state_file(options.out)) if options.resume else None)
    if threads is not None:
        torch.set_num_threads(threads)
    elif session.group.number == 1:
        some = session.normalise(session.data.sample[: session.course.batch])
        session.model.train()
        fastest_training_threads(session.model, some)


def _mixing(options: TrainingOptions, recipe: Recipe) -> tuple[tuple[float | None, float], tuple[float | None, float]]:
    return (options.mixup, recipe.mixup), (options.cutmix, recipe.cutmix)


def _length(
    recipe: Recipe, data: ImageSets, options: TrainingOptions, group: Processes, device: torch.device
) -> tuple[int, float | None]:
    """Images of a step in all processes, and epochs; None where only the time ends it."""
    images = len(data.train.labels)
    epochs = options.epochs
    if epochs is None and options.time_s is None:
        epochs = recipe.epochs
    batch = options.batch
    if batch is None:
        batch = recipe.batch * group.number
        if recipe.name == FAST.name:
            batch = batch_on(device.type, epochs or recipe.epochs, images) * group.number
    if options.epochs is None and epochs is not None and recipe.name == FAST.name and images >= batch:
        epochs = max(epochs, math.ceil(LEAST_STEPS / (images // batch)))
    return batch, epochs


def _autocast(dtype: str | None, device: torch.device) -> torch.dtype | None:
    import torch

    if dtype is None:
        has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if has_bf16 else None
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(dtype)


def _training_time(session: Session) -> float:
    """Seconds in which to train so that the final evaluation still fits into the time.

    Raises:
        TrainingError: it takes all of the time.
    """
    import torch

    limit = session.clock.limit_s
    assert limit is not None
    count = len(session.data.validation.labels) + len(session.data.held_out.labels)
    some = session.normalise(session.data.sample[: 2 * session.course.batch].to(session.device))
    session.model.eval()
    with torch.no_grad():
        session.model(some[:1])
        before = time.monotonic()
        session.model(some).sum().item()
    needed = 1.5 * count * (time.monotonic() - before) / len(some) + 0.5
    if session.clock.seconds + needed >= limit:
        rule = f"the time is too short: loading and evaluating take about {session.clock.seconds + needed:.0f} s"
        raise TrainingError(f"{rule}; give more --time")
    return limit - needed


def _settings(
    spec: Spec,
    data: ImageSets,
    options: TrainingOptions,
    recipe: Recipe,
    parent: str | None,
    epochs: float | None,
    batch: int,
    peak: float,
    autocast: torch.dtype | None,
) -> JsonObject:
    """What the result depends on; a training is resumed with the same alone."""
    return {
        "spec": spec.to_json(),
        "data": data.fingerprint,
        "weights": parent,
        "teacher": None if options.teacher is None else sha256_of(options.teacher),
        "recipe": repr(recipe),
        "freeze": ", ".join(sorted(options.freeze)),
        "epochs": epochs,
        "batch": batch,
        "lr": peak,
        "seed": options.seed,
        "dtype": "float32" if autocast is None else str(autocast).removeprefix("torch."),
        "ema": options.ema,
        "mixup": options.mixup,
        "cutmix": options.cutmix,
    }


def _board(folder: Path | None) -> SummaryWriter | None:
    return None if folder is None else board_class()(str(folder))


def _threads_note() -> str:
    """On how many threads the training runs, and whether others keep the cores busy."""
    import torch

    threads, cores = torch.get_num_threads(), physical_cores()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    said = f"{threads} thread{'s' * (threads != 1)} of the CPU"
    if load > cores + 1:
        said += f"; the machine is busy: its load is {load:.1f} on {cores} core{'s' * (cores != 1)}"
    return said


def notes_of(session: Session, options: TrainingOptions, augmentation: str) -> list[str]:
    """What is said before the first step."""
    recipe = options.recipe
    assert isinstance(recipe, Recipe)
    of_steps = f"{session.course.steps:,} steps" if session.course.steps < _MOST_STEPS else "as many steps as fit"
    notes = [f"recipe {recipe.name} ({recipe.source}): {of_steps} of {session.course.batch} images"]
    notes[0] += f", peak learning rate {max(session.update.peaks):.3g}"
    notes += [f"recipe {recipe.name}: {note}" for note in recipe.notes]
    notes.append(augmentation)
    if session.device.type == "cpu":
        notes.append(_threads_note())
    if session.frozen:
        notes.append(f"frozen: {', '.join(session.frozen)}")
    notes.append(f"if it is interrupted, the same command with --resume continues from {state_file(options.out)}")
    return notes
