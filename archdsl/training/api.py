"""`archdsl.train`: a network is trained by a recipe and written to a file that says how."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.data.image_sets import ImageSets, load_image_sets
from archdsl.errors import TrainingError, WrongUse
from archdsl.files import installed_version, sha256_of
from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.load.model_header import MODEL
from archdsl.load.specs import load_spec
from archdsl.numbers import accuracy_text
from archdsl.training.accuracy import Evaluation
from archdsl.training.course import Clock, rates_of
from archdsl.training.fidelity import LEAST_STEPS, batch_on
from archdsl.training.named_recipes import FAST, Recipe, check_recipe, recipe_named
from archdsl.training.processes import Processes, joined, processes, wait_for_all
from archdsl.training.unfinished import check_output, log_file, state_file

if TYPE_CHECKING:
    import torch
    from torch.utils.tensorboard import SummaryWriter

    from archdsl.training.beginning import Beginning
    from archdsl.training.session import Session, Watcher
    from archdsl.weights.facts import ModelFacts

MEMORY_BYTES = 512 * 2.0**20
"""Pictures of a folder that take more are read from their files in each epoch."""
_DTYPES = {"float32": None, "bfloat16": "bfloat16", "float16": "float16"}
_FROM_WEIGHTS = 1 / 3
"""The peak rate of `fast` where trained weights go on, as a share of that from initial ones."""
_MOST_STEPS = 10**9


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
    started: float


@dataclass(frozen=True)
class Trained:
    """A finished training: what was written, and how accurate it is."""

    file: Path
    name: str
    recipe: str
    epochs: float
    steps: int
    batch: int
    seconds: float
    data: str
    """What the images are, and how they were split."""
    validation: Evaluation
    """Of the weights in the file, on images that no step was trained with."""
    held_out: Evaluation | None
    """As `validation`, on images that no choice depends on; None where there are none."""

    def as_json(self) -> JsonObject:
        """The same facts for programs."""
        sets = {"validation": self.validation, "held_out": self.held_out}
        facts: JsonObject = {
            "file": str(self.file),
            "log": str(log_file(self.file)),
            "name": self.name,
            "recipe": self.recipe,
            "epochs": round(self.epochs, 3),
            "steps": self.steps,
            "batch": self.batch,
            "seconds": round(self.seconds, 3),
            "data": self.data,
        }
        for name, measured in sets.items():
            facts[name] = (
                None
                if measured is None
                else {"accuracy": measured.accuracy, "standard_error": measured.error, "images": measured.images}
            )
        return facts

    def lines(self) -> list[str]:
        """The same facts as a person reads them."""
        epochs = f"{self.epochs:.4g} epoch{'s' * (self.epochs != 1)}"
        length = (
            f"{epochs}, {self.steps:,} step{'s' * (self.steps != 1)} of {self.batch:,} images, {self.seconds:.0f} s"
        )
        lines = [f"{self.file}: {self.name}, recipe {self.recipe}, {length}", self.data]
        lines.append(_accuracy_line("validation accuracy", self.validation, "which were not trained with"))
        if self.held_out is not None:
            lines.append(_accuracy_line("held-out accuracy", self.held_out, "which no choice depends on"))
        return lines


def _accuracy_line(what: str, measured: Evaluation, which: str) -> str:
    return f"{what}: {accuracy_text(measured.accuracy, measured.error)} on {measured.images:,} images, {which}"


def train(
    spec: Spec | str | os.PathLike[str],
    data: str | None = None,
    out: str | os.PathLike[str] = "trained.safetensors",
    *,
    weights: str | os.PathLike[str] | None = None,
    teacher: str | os.PathLike[str] | None = None,
    recipe: str | Recipe = "fast",
    freeze: Sequence[str] = (),
    epochs: float | None = None,
    time_s: float | None = None,
    batch: int | None = None,
    lr: float | None = None,
    seed: int = 0,
    images: int | None = None,
    workers: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    ema: float | None = None,
    mixup: float | None = None,
    cutmix: float | None = None,
    grad_checkpointing: bool = False,
    memory_bytes: float = MEMORY_BYTES,
    tensorboard: str | os.PathLike[str] | None = None,
    resume: bool = False,
    watcher: Watcher | None = None,
) -> Trained:
    """Train a network on images with labels, and write it to one file with its accuracy and how it came about.

    Beside the file a log is written, a line of JSON an epoch. A training that is interrupted leaves its state there;
    `resume` goes on from it, on a CPU in one process with the same bits as without the interruption, unless `time_s`
    ends it. Under `torchrun` every process trains with a part of each batch.

    Args:
        spec: a loaded backbone, a zoo name or a path; a `.safetensors` of ours brings its weights. The data decides the
            number of classes.
        data: as `archdsl.data.loading.load` takes it.
        out: the `.safetensors` to write; it must not be there yet.
        weights: a file of ours or a published checkpoint to go on from. Classes are matched by name; a head for other
            classes is replaced.
        teacher: a file of ours whose answers are learnt beside the labels; its classes must be the data's.
        recipe: `fast`, or `paper`: the published recipe of the family that the spec's `weights` names; or a `Recipe`.
        freeze: nodes that keep their weights, or `all but head`.
        epochs: passes over the training images; without it the recipe's, or with `time_s` as many as fit.
        time_s: seconds for everything; the learning rate then follows the time.
        batch: images of a step, in all processes together.
        lr: the peak learning rate at this batch.
        seed: of the initial weights, the order of the images, augmentation and dropout.
        images: training images at most; without it all, of a built-in set 2,000.
        workers: processes that read images; without it none for images in memory.
        device: `cpu`, `cuda` or `cuda:N`; without it CUDA if there is one.
        dtype: `float32`, `bfloat16` or `float16` (autocast); without it bfloat16 on a GPU that has it.
        ema: decay of a moving average of the weights, which is then the result.
        mixup: parameter of mixup's Beta distribution; 0 is off.
        cutmix: as `mixup`, of CutMix.
        grad_checkpointing: recompute activations in the backward pass, which takes less memory and more time.
        memory_bytes: a folder whose images take more is read from its files in each epoch.
        tensorboard: folder for TensorBoard's files.
        resume: go on with the unfinished training of that output.
        watcher: called after every step with a `Moment`, and with each line that is worth keeping.

    Raises:
        WrongUse: an argument is wrong: a name, a file, a folder, a part to freeze, nothing to resume.
        SearchError: the data cannot be used.
        WeightsError: the weights do not fit.
        TrainingError: the images are too few, a loss is not finite, or memory is too small; no file is written.
    """
    options = TrainingOptions(
        out=Path(out),
        weights=_path(weights),
        teacher=_path(teacher),
        recipe=recipe,
        freeze=(freeze,) if isinstance(freeze, str) else tuple(freeze),
        epochs=epochs,
        time_s=time_s,
        batch=batch,
        lr=lr,
        seed=seed,
        images=images,
        workers=workers,
        device=device,
        dtype=dtype,
        ema=ema,
        mixup=mixup,
        cutmix=cutmix,
        grad_checkpointing=grad_checkpointing,
        memory_bytes=memory_bytes,
        tensorboard=_path(tensorboard),
        resume=resume,
        started=time.monotonic(),
    )
    group = processes()
    document, options = _checked(spec, options, group)
    import torch

    place = torch.device(_device(options.device, group))
    forked = [place] if place.type == "cuda" else []
    with torch.random.fork_rng(forked, device_type=place.type), joined(group, place):
        return _train(document, data, options, group, place, watcher)


def _path(value: str | os.PathLike[str] | None) -> Path | None:
    return None if value is None else Path(value)


def _checked(
    spec: Spec | str | os.PathLike[str], options: TrainingOptions, group: Processes
) -> tuple[Spec, TrainingOptions]:
    """What can be found out before torch is loaded."""
    if group.is_first:
        check_output(options.out, options.resume)
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
        _board_class()
    return document, options


def _check_numbers(options: TrainingOptions) -> None:
    positive = {"epochs": options.epochs, "time_s": options.time_s, "batch": options.batch, "lr": options.lr}
    positive["images"] = options.images
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


def _device(name: str | None, group: Processes) -> str:
    from archdsl.errors import MeasureError
    from archdsl.runtimes.setting import checked_device, default_device

    try:
        device = checked_device(name or default_device())
    except MeasureError as error:
        raise WrongUse(str(error)) from None
    return f"cuda:{group.local_rank}" if device == "cuda" and group.number > 1 else device


def _train(
    spec: Spec,
    name: str | None,
    options: TrainingOptions,
    group: Processes,
    device: torch.device,
    watcher: Watcher | None,
) -> Trained:
    """With everything checked that does not need the data."""
    import torch

    data = load_image_sets(name, spec.image_size, options.seed, options.images, options.memory_bytes)
    split_seed = _split_seed(options, data)
    if split_seed != options.seed:
        data = load_image_sets(name, spec.image_size, split_seed, options.images, options.memory_bytes)
    session, beginning, augmentation = _session(spec, data, options, group, device, watcher)
    if options.resume:
        session.resume()
    if split_seed != options.seed:
        session.say(f"the images are split as for {options.weights}, by seed {split_seed}")
    for line in (data.description, *beginning.notes, *_notes(session, options, augmentation)):
        session.say(line)
    try:
        session.run()
        return _finish(session, beginning, options, augmentation, split_seed)
    except TrainingError:
        if group.is_first:
            _remove_traces(options.out)
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        if group.is_first and not options.resume:
            _remove_traces(options.out)
        raise TrainingError(
            "out of memory; use a smaller --batch, or --grad-checkpointing; nothing was written"
        ) from error


def _split_seed(options: TrainingOptions, data: ImageSets) -> int:
    """The seed that the images are split by: that of the weights' file where it was trained on data of this name.

    By another one, images that the weights were trained with would be validated or held out.
    """
    from archdsl.weights import read_facts
    from archdsl.weights.facts import is_ours

    if options.weights is None or not is_ours(options.weights):
        return options.seed
    facts = read_facts(options.weights)
    if facts.provenance is None or facts.accuracy is None or facts.accuracy.data.name != data.name:
        return options.seed
    split_seed = facts.provenance.split_seed
    return facts.provenance.seed if split_seed is None else split_seed


def _remove_traces(out: Path) -> None:
    """After an error that would come again."""
    for file in (state_file(out), log_file(out)):
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _notes(session: Session, options: TrainingOptions, augmentation: str) -> list[str]:
    """What is said before the first step."""
    recipe = options.recipe
    assert isinstance(recipe, Recipe)
    of_steps = f"{session.course.steps:,} steps" if session.course.steps < _MOST_STEPS else "as many steps as fit"
    notes = [f"recipe {recipe.name} ({recipe.source}): {of_steps} of {session.course.batch} images"]
    notes[0] += f", peak learning rate {max(session.update.peaks):.3g}"
    notes += [f"recipe {recipe.name}: {note}" for note in recipe.notes]
    notes.append(augmentation)
    if session.frozen:
        notes.append(f"frozen: {', '.join(session.frozen)}")
    notes.append(f"if it is interrupted, the same command with --resume continues from {state_file(options.out)}")
    return notes


def _session(
    spec: Spec,
    data: ImageSets,
    options: TrainingOptions,
    group: Processes,
    device: torch.device,
    watcher: Watcher | None,
) -> tuple[Session, Beginning, str]:
    """Network, optimiser and batches of a training that has not begun, its beginning, and what augmentation is done."""
    import torch

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
    if clock.limit_s is not None:
        clock.limit_s = _training_time(session)
    return session, begun, said


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


def _board_class() -> type[SummaryWriter]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise WrongUse("TensorBoard's files need a package; pip install tensorboard") from error
    return SummaryWriter


def _board(folder: Path | None) -> SummaryWriter | None:
    return None if folder is None else _board_class()(str(folder))


def _finish(
    session: Session, beginning: Beginning, options: TrainingOptions, augmentation: str, split_seed: int
) -> Trained:
    """Evaluate, write the file, and remove the state."""
    from archdsl.weights.model_file import save_model

    results: tuple[Evaluation | None, Evaluation | None] = (None, None)
    if session.group.is_first:
        results = session.evaluate(session.data.validation), session.evaluate(session.data.held_out)
    results = _shared(session.group, results)
    validation, held_out = results
    if validation is None:
        raise TrainingError("a logit of the trained network is not finite; use a lower --lr; nothing was written")
    if session.group.is_first:
        facts = _facts(session, beginning, options, augmentation, split_seed, validation, held_out)
        with session.averaged():
            save_model(session.model, options.out, beginning.parent, facts=facts)
        state_file(options.out).unlink(missing_ok=True)
        if session.board is not None:
            session.board.close()
    wait_for_all(session.group)
    recipe = options.recipe
    assert isinstance(recipe, Recipe)
    return Trained(
        file=options.out,
        name=session.model.spec.name,
        recipe=recipe.name,
        epochs=session.done / session.course.steps_of_epoch,
        steps=session.done,
        batch=session.course.batch,
        seconds=session.clock.seconds,
        data=session.data.description,
        validation=validation,
        held_out=held_out,
    )


def _shared(
    group: Processes, results: tuple[Evaluation | None, Evaluation | None]
) -> tuple[Evaluation | None, Evaluation | None]:
    """What the first process found, in all of them."""
    import torch.distributed as dist

    if group.number == 1:
        return results
    shared = [results]
    dist.broadcast_object_list(shared, 0)
    return shared[0]


def _facts(
    session: Session,
    beginning: Beginning,
    options: TrainingOptions,
    augmentation: str,
    split_seed: int,
    validation: Evaluation,
    held_out: Evaluation | None,
) -> ModelFacts:
    """What the file says of itself."""
    import torch

    from archdsl.training.saving import measured, preprocessing
    from archdsl.weights.facts import Accuracy, DataFacts, ModelFacts, Provenance

    data, recipe = session.data, options.recipe
    assert isinstance(recipe, Recipe)
    normalise = beginning.normalise
    return ModelFacts(
        classes=data.class_names,
        preprocessing=preprocessing(data.sample, normalise.mean, normalise.std, data.scaled_by),
        accuracy=Accuracy(
            validation=measured(validation),
            held_out=None if held_out is None else measured(held_out),
            data=DataFacts(name=data.name, fingerprint=data.fingerprint),
        ),
        provenance=Provenance(
            parent=beginning.parent,
            recipe=recipe.name,
            epochs=session.done / session.course.steps_of_epoch,
            images=len(data.train.labels),
            batch=session.course.batch,
            steps=session.done,
            seed=options.seed,
            split_seed=split_seed,
            device=str(session.device),
            autocast=None if session.autocast is None else str(session.autocast).removeprefix("torch."),
            threads=torch.get_num_threads(),
            torch=torch.__version__,
            archdsl=installed_version(),
            lr=max(session.update.peaks),
            teacher=None if options.teacher is None else sha256_of(options.teacher),
            frozen=session.frozen,
            processes=session.group.number,
            augmentation=augmentation.removeprefix("augmentation: "),
        ),
    )
