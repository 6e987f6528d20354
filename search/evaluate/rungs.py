"""The rungs of the ladder that cost time: a latency measured (`measuring.py`), a proxy accuracy trained, in a worker.

A candidate falls at the first rung that it fails, the cheapest first. Shapes and constraints, then params, MACs and
memory, cost milliseconds and are no trials (`candidates.py`), and neither is what the search has learned to be surely
too slow (`predict.py`). Then the latency is measured, a hard gate; what passes is scored at initialisation, and only
what is not among the lowest scores, where these rank well, is trained; and a training goes on only while its running
loss is among the better half, where that ranks well (`training/halving.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple, TypedDict, TypeVar

from archdsl.files import sha256_of
from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.latency.provenance import Provenance
from archdsl.search.config import Settings
from archdsl.search.loaded_data import DataFacts, DataRequest
from archdsl.search.network import AnyNetwork, hash_of
from archdsl.search.policy.evaluate import SilencePolicy
from archdsl.search.store import cache
from archdsl.search.store.cache import training_key
from archdsl.search.store.clock import Clock
from archdsl.search.training_record import Training
from archdsl.search.worker.events import Event, TrainingProgress
from archdsl.search.worker.process import Failed, Hung, OutOfTime, Progress
from archdsl.search.worker.request import Request
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.search.worker.training_messages import (
    Inherited,
    Inheriting,
    LoadRequest,
    ScoreReply,
    ScoreRequest,
    TrainRequest,
)
from archdsl.training.fidelity import Fidelity, fidelity_of

INHERITANCE = 1
"""To be raised with every change of how networks inherit: stored accuracies are named by it."""

R = TypeVar("R")


class StoppedEarly(Exception):
    """A training was stopped, as its running loss was over a limit; `training` tells of it as of any other."""

    def __init__(self, training: Training, mark: int) -> None:
        super().__init__()
        self.training, self.mark = training, mark


class CannotInherit(Exception):
    """Nothing of the parent's weights is of use to a network, and it is not trained from initial ones."""


def load_data(worker: WorkerProtocol, request: DataRequest, machine: Provenance, policy: SilencePolicy) -> DataFacts:
    """What a worker tells of the data, once it has loaded it; `machine` is what it told of its device.

    Raises:
        Failed, WorkerGone: it cannot be loaded.
    """
    loaded = worker.ask(LoadRequest(request), policy.data_s)
    return DataFacts(**asdict(loaded), request=request, torch=machine.torch)


def scored(
    worker: WorkerProtocol, spec: Spec, settings: Settings, policy: SilencePolicy, data: DataFacts, clock: Clock
) -> ScoreReply:
    """The scores of a network at initialisation.

    Raises:
        OutOfTime, Failed, WorkerGone: as `measure`.
    """
    request = ScoreRequest(spec.to_json(), data.request, settings.seed, settings.device)
    return ask_in_time(worker, request, policy.score_s, clock)


class InheritanceFacts(TypedDict, total=False):
    """What a record tells of a training that inherited, or that should have."""

    parent: str
    not_inherited: str
    inherited_loss: float | None
    parent_loss: float | None
    lr: float | None
    refitted: int
    is_untuned: bool
    inherited_blocks: tuple[tuple[str, str, str], ...]


class InTime(NamedTuple):
    """How a training ends in time whatever the machine does: it is shortened if it must be."""

    seconds: float
    """That it may take."""
    least_steps: int
    """With fewer it is not finished."""
    refit_s: float | None = None
    """Of the seconds, by when a refit before it ends."""


class Trained(NamedTuple):
    """A proxy accuracy, and the budget that names it."""

    accuracy: float
    seconds: float
    training: Training
    is_cached: bool
    not_kept: str | None = None
    """Why the weights could not be written that were to be kept."""


def train(
    worker: WorkerProtocol,
    network: AnyNetwork,
    settings: Settings,
    policy: SilencePolicy,
    data: DataFacts,
    clock: Clock,
    *,
    lengthen: float = 1.0,
    progress: Callable[[float], None] = lambda done: None,
    limits: Mapping[int, float] | None = None,
    keep: Path | None = None,
    keep_inherited: Path | None = None,
    anew: bool = False,
    inheriting: Inheriting | None = None,
    in_time: InTime | None = None,
) -> Trained:
    """The proxy accuracy of a network; `lengthen` times the search's epochs.

    `limits` are running losses, by mark, above which the training is broken off; what is known is known all the same.
    `keep` is where the weights are written; what the cache knows has none, and is trained only where `anew`.
    `inheriting` is how it begins with a parent's weights, and `keep_inherited` where these are then written; where it
    does not pay, the worker trains it without. With `in_time` it may become shorter than asked for; then the training
    tells its real length, and the cache does not keep it.

    Raises:
        StoppedEarly: its running loss was over a limit.
        CannotInherit: inheriting does not pay, and `inheriting` asks for no training from initial weights.
        OutOfTime: the training did not end while there was time.
        Failed: its loss was no number, or as `Worker.ask`.
        WorkerGone: as `Worker.ask`.
    """
    key = training_key(hash_of(network), settings, data, lengthen, identity(inheriting))
    if not anew and (cached := cache.get_training(key)) is not None:
        return Trained(cached.accuracy, cached.seconds, cached.training, is_cached=True)
    started, left = time.monotonic(), clock.left_to_train if in_time is None else in_time.seconds
    fidelity = fidelity_of(settings, data.images, lengthen)
    request = TrainRequest(
        network.to_json(),
        data.request,
        fidelity.epochs,
        fidelity.batch,
        settings.images,
        settings.seed,
        settings.device,
        settings.threads,
        seconds=None if left is None else max(left, 1),
        limits=tuple((limits or {}).items()),
        keep=None if keep is None else str(keep),
        keep_inherited=None if keep_inherited is None else str(keep_inherited),
        inheriting=inheriting,
        least_steps=None if in_time is None else in_time.least_steps,
        refit_seconds=None if in_time is None else in_time.refit_s,
    )

    def heard(event: Event) -> None:
        if isinstance(event, TrainingProgress):
            progress(event.share)

    reply = ask_in_time(worker, request, policy.train_s, clock, heard)
    outcome = reply.outcome
    if outcome is None:
        raise CannotInherit(None if reply.inherited is None else reply.inherited.reason)
    if not outcome.finite:
        raise Failed("training gave no finite loss")
    if not outcome.finished and outcome.halted is None:
        raise OutOfTime
    inherited = reply.inherited
    if inheriting is not None and inherited is not None and inherited.reason is None:
        fidelity = fidelity._replace(epochs=inheriting.epochs, is_raised=False)
    if in_time is not None and outcome.steps is not None:
        fidelity = fidelity.after(outcome.steps)
    training = Training(
        fidelity=_fidelity_text(fidelity, inherited),
        data=data.describe,
        seed=settings.seed,
        threads=reply.threads,
        device=settings.device,
        torch=data.torch,
        seconds=time.monotonic() - started,
        steps=outcome.steps,
        loss=outcome.loss,
        error=outcome.error,
        held_out=outcome.held_out,
        key=key if fidelity.planned is None else None,
        running=tuple(round(loss, 4) for loss in outcome.running),
        epochs=fidelity.epochs,
        planned_epochs=fidelity.planned,
        batch=fidelity.batch,
        autocast=outcome.autocast,
        halted=outcome.halted,
        **_inheritance(inheriting, inherited),
    )
    if outcome.halted is not None:
        raise StoppedEarly(training, outcome.halted)
    if outcome.validation is not None:
        training = replace(
            training,
            answers=outcome.validation.answers,
            validation_images=outcome.validation.images,
            held_out_images=0 if outcome.held is None else outcome.held.images,
        )
    accuracy, seconds = outcome.accuracy, training.seconds or 0.0
    if fidelity.planned is None:
        cache.put(key, cache.StoredTraining(accuracy, seconds, training).as_json())
    return Trained(accuracy, seconds, training, is_cached=False, not_kept=reply.not_kept)


def identity(inheriting: Inheriting | None) -> JsonObject | None:
    """What an accuracy depends on of its parent: the weights as they were adapted to the data, not where they lie."""
    if inheriting is None:
        return None
    facts = {name: value for name, value in asdict(inheriting).items() if name != "begins_anew"}
    if not inheriting.blocks:  # as earlier versions named it
        for name in ("library", "library_sha256", "blocks"):
            del facts[name]
    elif "library" in facts:
        del facts["library"]  # wherever it lies
    return {**facts, "parent": sha256_of(Path(inheriting.parent)), "version": INHERITANCE}


def _fidelity_text(fidelity: Fidelity, inherited: Inherited | None) -> str:
    """`inheritance and 63 steps of 16 images`: trainings of different beginnings have different names."""
    if inherited is None or inherited.reason is not None:
        return str(fidelity)
    refit = ", a refit" if inherited.refitted else ""
    is_round = (2 * fidelity.epochs).is_integer() or fidelity.planned is not None
    return f"inheritance{refit} and {fidelity if is_round else f'{fidelity.steps:,} steps of {fidelity.batch} images'}"


def _inheritance(inheriting: Inheriting | None, inherited: Inherited | None) -> InheritanceFacts:
    """How a training began, as its record tells it."""
    if inheriting is None or inherited is None:
        return {}
    if inherited.reason is not None:
        return {"not_inherited": inherited.reason}
    return {
        "parent": inheriting.sha256,
        "inherited_loss": inherited.loss,
        "parent_loss": inherited.parent_loss,
        "lr": inherited.lr,
        "refitted": inherited.refitted,
        "is_untuned": inherited.is_untuned,
        "inherited_blocks": inherited.blocks,
    }


def ask_in_time(
    worker: WorkerProtocol, request: Request[R], most_s: float, clock: Clock, progress: Progress | None = None
) -> R:
    """The reply to a request that may be silent for `most_s` seconds, and not much beyond the search's time."""
    timeout_s = clock.timeout(most_s)
    try:
        return worker.ask(request, timeout_s, progress)
    except Hung:
        if timeout_s < most_s:
            raise OutOfTime from None
        raise
