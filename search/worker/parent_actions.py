"""What a worker does about the parent of a search: it brings a trained network to the search's data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archdsl.search.worker import parent_messages as messages
from archdsl.search.worker.events import TrainingProgress
from archdsl.search.worker.training_actions import Say, fingerprint, loaded, set_training_threads
from archdsl.search.worker.training_messages import Answers

if TYPE_CHECKING:
    from archdsl.compile import Backbone
    from archdsl.data.loading import Data
    from archdsl.deriving.parents import Parent
    from archdsl.training.accuracy import Evaluation
    from archdsl.training.deadline import Deadline
    from archdsl.training.fidelity import Fidelity
    from archdsl.training.loop import Progress
    from archdsl.training.recipe import Outcome


def prepare_parent(
    request: messages.ParentRequest, say: Say, now: Callable[[], float] = time.monotonic
) -> messages.ParentReply:
    """The parent in the classes, channels and image size of the data, written to a file with its accuracy.

    Raises:
        WrongUse: the data is too small.
        WeightsError: the file holds no network of ours, or one for images of other channels.
    """
    from archdsl.deriving.parents import read_parent
    from archdsl.files import sha256_of
    from archdsl.training.fidelity import Fidelity
    from archdsl.training.normalising import normalised_as

    data, notes = loaded(*request.data), list[str]()
    _check_size(data)
    parent = _reading_channels(read_parent(request.file), data.channels, notes)
    data = normalised_as(data, parent.facts.preprocessing)
    model, is_new = _brought_to(parent, data, request.image, request.seed, notes)
    fidelity = Fidelity(0.0, min(len(data.train_labels), request.data.images), request.batch)
    sha256, data_hash = sha256_of(Path(request.file)), fingerprint(*request.data)
    if not notes and (reply := _as_stated(model, parent, data_hash, sha256, Path(request.out))) is not None:
        return reply
    set_training_threads(model.spec.to_json(), data, request.batch, request.device, request.threads)
    if is_new or notes:
        fidelity = _adapted(model, data, fidelity, request, say, is_new, now)
        notes.append(f"it was fine-tuned for {fidelity}")
    outcome = _evaluated(model, data, fidelity, request.device)
    _save(model, request, Kept(data, data_hash, fidelity, outcome, sha256))
    assert outcome.validation is not None
    held = None if outcome.held is None else _answers(outcome.held)
    return messages.ParentReply(
        model.spec.to_json(), sha256, _answers(outcome.validation), held, fidelity.epochs, tuple(notes)
    )


def _check_size(data: Data) -> None:
    """Raises `WrongUse` for data that is too small to tell which networks kept what the parent knows."""
    from archdsl.deriving.score import least_images
    from archdsl.errors import WrongUse

    least, have = least_images(data.classes), len(data.train_labels)
    if have < least:
        raise WrongUse(
            f"a search with a parent needs at least {least:,} training images for {data.classes:,} classes; "
            f"{data.name} has {have:,}: give more (--images, or more data), or search without a parent (--parent none)"
        )


class Kept(NamedTuple):
    """What the file of a prepared parent says."""

    data: Data
    data_hash: str
    fidelity: Fidelity
    outcome: Outcome
    sha256: str
    """Of the file that it came from."""


def _save(model: Backbone, request: messages.ParentRequest, kept: Kept) -> None:
    from archdsl.training.saving import Training, save_trained

    data, data_hash, fidelity, outcome, sha256 = kept
    training = Training(data, data_hash, fidelity, request.seed, request.device, outcome, sha256, request.data.images)
    save_trained(model.to("cpu"), Path(request.out), training)


def _as_stated(model: Backbone, parent: Parent, data_hash: str, sha256: str, out: Path) -> messages.ParentReply | None:
    """The parent with the accuracy that its file states of these very images; None where it states another one."""
    from archdsl.weights import save_model

    stated = parent.facts.accuracy
    if stated is None or stated.data.fingerprint != data_hash:
        return None
    sets = [None if each is None else each.answers for each in (stated.validation, stated.held_out)]
    if sets[0] is None or (stated.held_out is not None and sets[1] is None):
        return None
    save_model(model, out, facts=parent.facts)
    validation = Answers(sets[0], stated.validation.images)
    held = None if stated.held_out is None or sets[1] is None else Answers(sets[1], stated.held_out.images)
    return messages.ParentReply(model.spec.to_json(), sha256, validation, held, 0.0)


def _reading_channels(parent: Parent, channels: int, notes: list[str]) -> Parent:
    """The parent for images of so many channels."""
    from archdsl.deriving.channels import with_channels
    from archdsl.deriving.parents import Parent

    before = parent.model.spec.channels
    if before == channels:
        return parent
    now = f"{channels} channel{'s' * (channels != 1)}"
    changed = Parent(with_channels(parent.model, channels), parent.name, parent.facts)
    notes.append(f"its stem reads {now} now instead of {before}")
    return changed


def _brought_to(
    parent: Parent, data: Data, image: tuple[int, int], seed: int, notes: list[str]
) -> tuple[Backbone, bool]:
    """The parent's network with the classes of the data, and whether some of these are new to it."""
    import torch

    from archdsl.compile import build
    from archdsl.deriving.inheriting import inherit_from
    from archdsl.load.specs import override

    height, width = image
    before = parent.model.spec.image_size
    changes = [f"classes={len(data.class_names)}"]
    if tuple(before) != (height, width):
        changes.append(f"image=[{height},{width}]")
        notes.append(f"its tables are resized from {before[0]}x{before[1]} to {height}x{width} pixels")
    torch.manual_seed(seed)
    model = build(override(parent.model.spec, changes))
    theirs = parent.facts.classes
    inherit_from(model, parent, classes=data.class_names, has_new_classes=theirs is None)
    known = sum(name in (theirs or ()) for name in data.class_names)
    if known == len(data.class_names):
        return model, False
    classes = f"{len(data.class_names):,} classes of the data"
    if known:
        notes.append(f"it knows {known:,} of the {classes}; its head is new for the others")
    else:
        notes.append(f"it knows none of the {classes}; its head is new")
    return model, True


def _adapted(
    model: Backbone,
    data: Data,
    fidelity: Fidelity,
    request: messages.ParentRequest,
    say: Say,
    is_new: bool,
    now: Callable[[], float],
) -> Fidelity:
    """Fine-tune the parent for the time that it may take; first a new head alone. How long it was."""
    from archdsl.training.deadline import Deadline

    started, steps_an_epoch = now(), fidelity.images / fidelity.batch
    said = time.monotonic()

    def progress(step: int, steps: int, loss: float) -> None:
        nonlocal said
        if time.monotonic() - said > 0.5:
            said = time.monotonic()
            say(TrainingProgress(step / steps))

    policy = request.adapting
    if is_new:
        _train_head(model, data, fidelity._replace(epochs=policy.head_steps / steps_an_epoch), request, progress)
    pace_s = _seconds_a_step(model, data, fidelity, request, progress, now)
    epochs = policy.epochs
    deadline = None
    if request.seconds is not None:
        least_s = now() - started + policy.least_steps * pace_s
        deadline = Deadline(started + max(request.seconds, least_s), policy.least_steps, now)
        steps = max(policy.planned_share * deadline.left_s / pace_s, policy.least_steps)
        epochs = min(epochs, steps / steps_an_epoch)
    fidelity = fidelity._replace(epochs=math.ceil(10 * epochs) / 10)
    outcome = _train(model, data, fidelity, policy.lr, request, progress, deadline=deadline)
    return fidelity.after(outcome.steps)


def _train_head(
    model: Backbone, data: Data, fidelity: Fidelity, request: messages.ParentRequest, progress: Progress
) -> None:
    """The head alone, so that what the parent knows is not undone by a head that knows nothing."""
    head = {id(parameter) for parameter in model.head.parameters()}
    frozen = [parameter for parameter in model.parameters() if id(parameter) not in head and parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        _train(model, data, fidelity, request.adapting.head_lr, request, progress)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)


def _seconds_a_step(
    model: Backbone,
    data: Data,
    fidelity: Fidelity,
    request: messages.ParentRequest,
    progress: Progress,
    now: Callable[[], float],
) -> float:
    """What a step takes, told from some that count as training too."""
    steps = request.adapting.paced_steps
    started = now()
    short = fidelity._replace(epochs=steps * fidelity.batch / fidelity.images)
    _train(model, data, short, request.adapting.lr / 10, request, progress, is_validated=False)
    return max((now() - started) / steps, 1e-6)


def _train(
    model: Backbone,
    data: Data,
    fidelity: Fidelity,
    lr: float,
    request: messages.ParentRequest,
    progress: Progress,
    is_validated: bool = True,
    deadline: Deadline | None = None,
) -> Outcome:
    from archdsl.errors import TrainingError
    from archdsl.training.recipe import train

    few = data if is_validated else _with_few_to_validate(data)
    rate = lr / math.sqrt(fidelity.batch / 32)
    outcome = train(
        model, few, fidelity, seed=request.seed, device=request.device, lr=rate, progress=progress, deadline=deadline
    )
    if not outcome.finite:
        raise TrainingError("adapting the parent to the data gave a loss that is not finite")
    return outcome


def _with_few_to_validate(data: Data) -> Data:
    few = slice(8)
    return replace(
        data,
        val_images=data.val_images[few],
        val_labels=data.val_labels[few],
        held_images=data.held_images[:0],
        held_labels=data.held_labels[:0],
        _on={},
    )


def _evaluated(model: Backbone, data: Data, fidelity: Fidelity, device: str) -> Outcome:
    """What the parent names rightly, told as of a training."""
    from archdsl.errors import WeightsError
    from archdsl.training.accuracy import evaluate
    from archdsl.training.recipe import Outcome

    on, batch = data.to(device), 2 * fidelity.batch
    model = model.to(device)
    validation = evaluate(model, on.normalise, on.val_images, on.val_labels, on.class_names, batch)
    held = None
    if len(on.held_labels):
        held = evaluate(model, on.normalise, on.held_images, on.held_labels, on.class_names, batch)
    if validation is None:
        raise WeightsError("the parent gives outputs that are not finite on the data")
    return Outcome(
        accuracy=validation.accuracy,
        error=validation.error,
        loss=0.0,
        running=(),
        held_out=None if held is None else held.accuracy,
        validation=validation,
        held=held,
        seconds=0.0,
        steps=fidelity.steps if fidelity.epochs else 0,
        finite=True,
        finished=True,
        halted=None,
        autocast=None,
    )


def _answers(evaluation: Evaluation) -> Answers:
    return Answers(evaluation.answers, evaluation.images)
