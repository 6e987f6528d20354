"""What a worker does about data and training when it is asked; it imports torch when it must."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.json_types import JsonObject
from archdsl.search.loaded_data import LoadedData
from archdsl.search.network import TimmNetwork
from archdsl.search.worker import inheriting_actions
from archdsl.search.worker import training_messages as messages
from archdsl.search.worker.events import Event, TrainingProgress

if TYPE_CHECKING:
    from archdsl.compile import Backbone
    from archdsl.data.loading import Data
    from archdsl.training.recipe import Outcome
    from archdsl.training.saving import Training

Say = Callable[[Event], None]
"""Tells the parent something before the reply."""


def load_data(request: messages.LoadRequest, say: Say) -> LoadedData:
    """The data's classes and channels; it is loaded once."""
    data = loaded(*request.data)
    return LoadedData(
        classes=data.classes,
        channels=data.channels,
        images=len(data.train_labels),
        validation=len(data.val_labels),
        held_out=len(data.held_labels),
        chance=data.chance,
        describe=data.describe(),
        fingerprint=fingerprint(*request.data),
        warnings=data.warnings,
    )


@cache
def loaded(name: str, image: int, seed: int, images: int) -> Data:
    """The data, loaded once."""
    from archdsl.data.loading import load

    return load(name, image, seed, train=images)


@cache
def fingerprint(name: str, image: int, seed: int, images: int) -> str:
    """Of the data, all of which is read for it."""
    return str(loaded(name, image, seed, images).fingerprint())


def pace_of(request: messages.PaceRequest, say: Say) -> messages.PaceReply:
    """How long a training step and the validation of an image take."""
    from archdsl.load.specs import spec_of
    from archdsl.training.pace import noise, pace

    spec = spec_of(request.spec)
    data = noise(spec, request.batch)
    set_training_threads(request.spec, data, len(data.train_labels), request.device, request.threads)
    return messages.PaceReply(**pace(spec, request.device, data)._asdict())


def score(request: messages.ScoreRequest, say: Say) -> messages.ScoreReply:
    """The scores of a network at initialisation, on a batch of training images."""
    from archdsl.load.specs import spec_of
    from archdsl.search.worker.scores.every import scored

    scoring = scored(spec_of(request.spec), loaded(*request.data), request.seed, request.device)
    return messages.ScoreReply(scoring.scores, scoring.seconds)


def count_network(request: messages.CountRequest, say: Say) -> messages.CountReply:
    """What a network of timm costs; of one with a spec it is counted without building it."""
    from archdsl.integrations.timm_models import costs_of
    from archdsl.search.worker.networks import network_of, seeded_network

    network = network_of(request.spec)
    assert isinstance(network, TimmNetwork), "a network without a spec is one of timm"
    module = seeded_network(request.spec)
    costs = costs_of(module, network.model, network.image, network.channels, network.classes)
    return messages.CountReply(*costs)


def train_network(
    request: messages.TrainRequest, say: Say, now: Callable[[], float] = time.monotonic
) -> messages.TrainReply:
    """The proxy accuracy of a network; with `keep`, a path, what was trained to the end is written there."""
    import torch

    from archdsl.compile import Backbone
    from archdsl.search.worker.networks import built
    from archdsl.training.deadline import Deadline
    from archdsl.training.recipe import Fidelity, train
    from archdsl.training.saving import Training

    began, data = now(), loaded(*request.data)
    fidelity = Fidelity(request.epochs, min(request.images, len(data.train_labels)), request.batch)
    seed, device = request.seed, request.device
    set_training_threads(request.spec, data, fidelity.batch, device, request.threads)
    if request.inheriting is not None:
        data = inheriting_actions.as_parent_reads(data, request.inheriting)
    torch.manual_seed(seed)
    said = time.monotonic()

    def progress(step: int, steps: int, loss: float) -> None:
        nonlocal said
        if time.monotonic() - said > 0.5:
            said = time.monotonic()
            say(TrainingProgress(step / steps))

    deadline = None if request.seconds is None else Deadline(began + request.seconds, request.least_steps, now)
    refit_ends = None if request.refit_seconds is None else Deadline(began + request.refit_seconds, 0, now)
    options = inheriting_actions.TrainOptions(seed, device, deadline, progress)
    model, outcome, inherited, parent = built(request.spec), None, None, None
    if request.inheriting is not None and isinstance(model, Backbone):
        tuned = inheriting_actions.fine_tuned(model, request.inheriting, data, fidelity, options, refit_ends)
        outcome, inherited = tuned.outcome, tuned.inherited
        if outcome is not None:
            fidelity, parent = tuned.fidelity, request.inheriting.sha256
        elif not request.inheriting.begins_anew:
            return messages.TrainReply(None, inherited=inherited)
        else:  # what was inherited goes
            torch.manual_seed(seed)
            model = built(request.spec)
    if outcome is None:
        outcome = train(model, data, fidelity, limits=dict(request.limits), **options._asdict())
    keep = request.keep if parent is None else request.keep_inherited or request.keep
    kept, not_kept = None, None
    if keep and outcome.finished and isinstance(model, Backbone):
        length = fidelity.after(outcome.steps)
        training = Training(
            data, fingerprint(*request.data), length, seed, device, outcome, parent, request.data.images
        )
        kept, not_kept = keep, _keep(model, Path(keep), training)
    return messages.TrainReply(
        _outcome(outcome), torch.get_num_threads(), None if not_kept is not None else kept, not_kept, inherited
    )


def inherited_loss(request: messages.InheritedLossRequest, say: Say) -> messages.Inherited:
    """The loss of a network right after it took over its parent's weights, in nats, or why it cannot."""
    import torch

    from archdsl.compile import Backbone
    from archdsl.search.worker.networks import built
    from archdsl.training.fidelity import BATCH

    data = inheriting_actions.as_parent_reads(loaded(*request.data), request.inheriting)
    set_training_threads(request.spec, data, BATCH, request.device, request.threads)
    torch.manual_seed(request.seed)
    model = built(request.spec)
    if not isinstance(model, Backbone):
        return messages.Inherited(reason="it is no network of a spec")
    return inheriting_actions.inherited_loss(model, request.inheriting, data, request.device)


def _outcome(outcome: Outcome) -> messages.TrainingOutcome:
    """What is told of a training: of its evaluations the answers alone, of which accuracies follow."""
    facts = outcome._asdict()
    sets = {
        name: None if evaluation is None else messages.Answers(evaluation.answers, evaluation.images)
        for name, evaluation in outcome.by_set.items()
    }
    return messages.TrainingOutcome(**{**facts, **sets})


def _keep(model: Backbone, path: Path, training: Training) -> str | None:
    """Write the weights; why they could not be written: the accuracy holds all the same."""
    from archdsl.training.saving import save_trained

    try:
        save_trained(model, path, training)
    except OSError as error:
        return error.strerror or str(error)
    return None


def set_training_threads(document: JsonObject, data: Data, batch: int, device: str, threads: int | None) -> None:
    """Train on so many threads of a CPU, or on as many as are the fastest here."""
    import torch

    if device == "cpu":
        torch.set_num_threads(threads or _training_threads(document, data, batch))


_chosen_threads: dict[int, float] = {}


def _training_threads(document: JsonObject, data: Data, batch: int) -> int:
    """The thread count that trains faster here, one or all cores, found out once on the first network.

    On a shared machine a second thread can cost more than it gives: it waits for a core that another has.
    """
    from archdsl.search.worker.networks import built
    from archdsl.timing.cores import physical_cores
    from archdsl.training.threads import training_threads

    if not _chosen_threads:
        images = data.normalise(data.train_images[:batch])
        _chosen_threads.update(training_threads(built(document), images, physical_cores()))
    return min(_chosen_threads, key=lambda threads: _chosen_threads[threads])
