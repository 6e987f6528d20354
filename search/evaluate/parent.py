"""The parent of a search: brought to the data once, measured once, and what a candidate takes over from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from archdsl.cost import count
from archdsl.errors import SearchError
from archdsl.language.canonical import canonical_hash
from archdsl.load.spaces import choices_of
from archdsl.load.specs import spec_of
from archdsl.numbers import accuracy_text, plain_text, standard_error
from archdsl.search.baselines import Baseline
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.measuring import Measured, measure
from archdsl.search.evaluate.parent_warnings import parent_warnings
from archdsl.search.evaluate.rungs import ask_in_time
from archdsl.search.network import Network
from archdsl.search.policy import Policy
from archdsl.search.store.parent import PARENT_WEIGHTS, Parent, ParentAccuracy, keep_parent, stored_parent
from archdsl.search.trial import PARENT
from archdsl.search.worker.events import Event, TrainingProgress
from archdsl.search.worker.parent_messages import ParentRequest
from archdsl.search.worker.process import Failed, WorkerGone
from archdsl.search.worker.training_messages import Answers
from archdsl.training.accuracy import unpacked
from archdsl.training.fidelity import BATCH


def prepare_parent(context: Context) -> None:
    """Bring the parent to the data, if the search has one, and tell what was done to it.

    Raises:
        SearchError: it cannot be used for this search.
        OutOfTime, WorkerGone: there was no time for it, or no worker did it.
    """
    parent = stored_parent(context.folder)
    if parent is None and context.settings.parent is None:
        return
    if parent is None:
        assert context.settings.parent is not None
        parent = _prepared(context, Path(context.settings.parent))
        warnings = parent_warnings(parent, context.settings.data, context.loaded)
        parent = replace(parent, warnings=warnings)
        keep_parent(context.folder, parent)
        context.clock.begin_trials()
        context.keep_clock()
    context.use_parent(parent)
    tell_of_parent(context, parent)


def tell_of_parent(context: Context, parent: Parent) -> None:
    """Say which network candidates inherit from, what was done to it, and why it is a doubtful one."""
    context.note(f"parent  {_described(parent)}")
    for note in parent.notes:
        context.note(f"parent  {note}")
    for warning in parent.warnings:
        context.note(f"parent  warning: {warning}")


def measure_parent(context: Context) -> None:
    """The parent's latency under the search's conditions; a budget in percent of it becomes milliseconds.

    Raises:
        Failed, WorkerGone, OutOfTime: it could not be measured.
    """
    parent, settings = context.parent, context.settings
    if parent is None:
        return
    if parent.latency_ms is None:
        measured = _reading(context, parent)
        parent = _keep_reading(context, parent, measured)
        if measured.measurement.is_disturbed:
            context.note("parent  the machine was busy while it was measured: its latency is probably too high")
    latency_ms, share = parent.latency_ms or 0.0, settings.latency_share
    if share is not None and settings.latency_budget_ms is None:
        context.use_settings(settings.model_copy(update={"latency_budget_ms": round(share * latency_ms, 4)}))
        settings = context.settings
    _add_as_candidate(context, parent)
    context.note(_budget_note(settings.latency_budget_ms, share, settings.stat, latency_ms))


def measure_parent_again(context: Context) -> None:
    """Another reading of a parent whose latency is doubted; it counts where it is the lower one.

    Only where the budget is in milliseconds: one in percent of the parent rests on its first reading.

    Raises:
        OutOfTime: the search's time was over first.
    """
    parent, stat = context.parent, context.settings.stat
    if parent is None or parent.latency_ms is None or context.settings.latency_share is not None:
        return
    try:
        measured = _reading(context, parent)
    except (Failed, WorkerGone):
        return
    readings = f"{measured.ms:.2f} ms, and {parent.latency_ms:.2f} ms before"
    context.note(f"parent  it was measured again: {stat} {readings}; the lower one counts")
    if measured.ms < parent.latency_ms:
        _keep_reading(context, parent, measured)


def _reading(context: Context, parent: Parent) -> Measured:
    spec = spec_of(parent.spec)
    context.doing(f"measuring the parent {spec.name}", "starting")
    settings, policy = context.settings, _patient(context.policy)
    with context.exported_file(spec) as file:
        return measure(context.worker, spec, settings, policy, context.clock, on_wait=context.waits, file=file)


def _keep_reading(context: Context, parent: Parent, measured: Measured) -> Parent:
    parent = context.parent = replace(parent, latency_ms=measured.ms)
    context.measured_parent = canonical_hash(spec_of(parent.spec)), *measured
    keep_parent(context.folder, parent)
    return parent


def _add_as_candidate(context: Context, parent: Parent) -> None:
    """The parent is a candidate itself where it may keep the budget; as a point of the space it is its first seed."""
    spec, budget_ms = spec_of(parent.spec), context.settings.latency_budget_ms
    costs = count(spec)
    network = Network(spec, costs)
    if budget_ms is not None and (parent.latency_ms or 0.0) > context.policy.inheritance.near_budget * budget_ms:
        return
    if network.over_budget(context.settings) is None and choices_of(context.space, spec) is None:
        context.baselines.append(Baseline(spec, network.network_hash, costs.params, costs.macs, origin=PARENT))


def _patient(policy: Policy) -> Policy:
    """The policy with more readings on a busy machine: one number decides the budget of all candidates."""
    return replace(policy, measuring=replace(policy.measuring, readings=policy.inheritance.parent_readings))


def _prepared(context: Context, file: Path) -> Parent:
    settings, data, policy = context.settings, context.loaded, context.policy.inheritance
    context.doing(f"preparing the parent {file.name}", "starting")
    limit = context.clock.limit
    height, width = context.space.image_size
    request = ParentRequest(
        file=str(file),
        out=str((context.folder.path / PARENT_WEIGHTS).absolute()),
        data=data.request,
        image=(height, width),
        seed=settings.seed,
        device=settings.device,
        threads=settings.threads,
        batch=BATCH,
        seconds=None if limit is None else policy.adapting.time_share * limit,
        adapting=policy.adapting,
    )

    def heard(event: Event) -> None:
        if isinstance(event, TrainingProgress):
            context.trained_so_far(event.share)

    try:
        reply = ask_in_time(context.worker, request, context.policy.silence.train_s, context.clock, heard)
    except Failed as error:
        raise SearchError(f"the parent {file} cannot be used: {error}") from None
    spec = spec_of(reply.spec)
    return Parent(
        name=spec.name,
        source=str(file),
        sha256=reply.sha256,
        spec=reply.spec,
        validation=_accuracy(reply.validation),
        held_out=None if reply.held is None else _accuracy(reply.held),
        epochs=reply.epochs,
        notes=reply.notes,
    )


def _accuracy(answers: Answers) -> ParentAccuracy:
    right = unpacked(answers.answers, answers.images)
    share = sum(right) / answers.images
    return ParentAccuracy(share, standard_error(share, answers.images), answers.images)


def _described(parent: Parent) -> str:
    which = "validation" if parent.held_out is None else "held-out"
    accuracy = accuracy_text(parent.summary.accuracy.accuracy, parent.summary.accuracy.error)
    return f"{parent.name} from {parent.source}: {which} accuracy {accuracy}; candidates inherit its weights"


def _budget_note(budget_ms: float | None, share: float | None, stat: str, latency_ms: float) -> str:
    text = f"parent  {stat} {latency_ms:.2f} ms"
    if budget_ms is None:
        return text
    if share is not None:
        return f"{text}; the budget of {plain_text(100 * share)} % of it is {budget_ms:.2f} ms"
    if latency_ms <= budget_ms:
        return f"{text}: it keeps the budget of {plain_text(budget_ms)} ms itself"
    return f"{text}; the budget of {plain_text(budget_ms)} ms is {100 * budget_ms / latency_ms:.0f} % of it"
