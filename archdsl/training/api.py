"""`archdsl.train`: a network is trained by a recipe and written to a file that says how."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.data.image_sets import ImageSets, load_image_sets
from archdsl.data.labelled import Division
from archdsl.errors import TrainingError
from archdsl.language.document import Spec
from archdsl.training.finishing import KeptSplit, finish
from archdsl.training.finishing import Trained as Trained
from archdsl.training.making import new_session, notes_of
from archdsl.training.named_recipes import Recipe
from archdsl.training.options import MEMORY_BYTES, TrainingOptions, checked, device_name
from archdsl.training.processes import Processes, joined, processes
from archdsl.training.unfinished import log_file, mark_not_finite, state_file

if TYPE_CHECKING:
    import torch

    from archdsl.training.session import Session, Watcher


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
    force: bool = False,
    threads: int | None = None,
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
        out: the `.safetensors` to write.
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
        force: replace the output file where it is there already; it stays until the training ends.
        threads: of a CPU; without it one or all physical cores, whichever trains faster here, but no more than torch is
            set to. torch is set back at the end.
        watcher: called after every step with a `Moment`, and with each line that is worth keeping.

    Raises:
        WrongUse: an argument is wrong: a name, a file, a folder, a part to freeze, nothing to resume; or the output
            file is there already, without `force`.
        SearchError: the data cannot be used.
        WeightsError: the weights do not fit.
        TrainingError: the images are too few, a loss is not finite, or memory is too small; no file is written. What
            was saved of the training is kept, so that it can go on with a lower rate.
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
        force=force,
        threads=threads,
        started=time.monotonic(),
    )
    group = processes()
    document, options = checked(spec, options, group)
    import torch

    place = torch.device(device_name(options.device, group))
    forked = [place] if place.type == "cuda" else []
    threads_before = torch.get_num_threads()
    try:
        with torch.random.fork_rng(forked, device_type=place.type), joined(group, place):
            return _train(document, data, options, group, place, watcher)
    finally:
        torch.set_num_threads(threads_before)


def _path(value: str | os.PathLike[str] | None) -> Path | None:
    return None if value is None else Path(value)


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

    from archdsl.training.session import NotFinite

    data = load_image_sets(name, spec.image_size, options.seed, options.images, options.memory_bytes)
    kept = _kept_split(options, data)
    if kept is not None and kept != KeptSplit(options.seed, Division(options.images)):
        sizes = (options.images, options.memory_bytes, kept.division)
        data = load_image_sets(name, spec.image_size, kept.seed, *sizes)
    session, beginning, augmentation = new_session(spec, data, options, group, device, watcher)
    if options.resume:
        session.resume()
    if kept is not None:
        session.say(f"the validation and held-out images are those of {options.weights} (seed {kept.seed})")
    warnings = (f"warning: {text}" for text in data.warnings)
    for line in (data.description, *warnings, *beginning.notes, *notes_of(session, options, augmentation)):
        session.say(line)
    try:
        session.run()
        return finish(session, beginning, options, augmentation, kept)
    except NotFinite as error:
        raise TrainingError(f"{error}; {_left_by(session, 'the lower --lr', is_marked=True)}") from None
    except TrainingError as error:
        if session.saved_step:
            raise TrainingError(f"{error}; {_left_by(session, 'that change')}") from None
        _left_by(session, "")
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        rule = "out of memory; use a smaller --batch, or --grad-checkpointing"
        raise TrainingError(f"{rule}; {_left_by(session, '--grad-checkpointing')}") from error


def _left_by(session: Session, change: str, is_marked: bool = False) -> str:
    """Keep the state and the log of a training that ended with an error, or nothing where no step was saved.

    A marked state may go on with another rate. Returns what is kept, and how to go on.
    """
    state, log = state_file(session.out), log_file(session.out)
    if not session.saved_step:
        if session.group.is_first:
            _remove_traces(session.out)
        return "nothing was written"
    if session.group.is_first and is_marked:
        with suppress(OSError):
            mark_not_finite(state)
    kept = f"{state} (after step {session.saved_step:,})" + (f" and {log} are" if log.is_file() else " is") + " kept"
    return f"{kept}: add --resume and {change} to continue, or remove {state.name} to train anew"


def _kept_split(options: TrainingOptions, data: ImageSets) -> KeptSplit | None:
    """How the images were split for the weights' file, where it was trained on data of this name.

    By another split, images that the weights were trained with or chosen by would be validated or held out.
    """
    from archdsl.weights import read_facts
    from archdsl.weights.facts import is_ours

    if options.weights is None or not is_ours(options.weights):
        return None
    facts = read_facts(options.weights)
    provenance = facts.provenance
    if provenance is None or facts.accuracy is None or facts.accuracy.data.name != data.name:
        return None
    if provenance.split_seed is None:  # the file of a search, which divides the data for as many as it asked for
        return KeptSplit(provenance.seed, Division(provenance.split_images or provenance.images))
    return KeptSplit(provenance.split_seed, Division(provenance.split_images))


def _remove_traces(out: Path) -> None:
    """After an error in a training that has nothing to go on from."""
    for file in (state_file(out), log_file(out)):
        with suppress(OSError):
            file.unlink(missing_ok=True)
