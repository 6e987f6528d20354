"""A library that a search fits itself: alternatives to its parent's blocks, where none is given and time is long.

Only alternatives are fitted that are predicted to make the network faster.
"""

from __future__ import annotations

from pathlib import Path

from archdsl.cost import count
from archdsl.deriving.library.folder import INDEX
from archdsl.deriving.library.wanted import wanted_alternatives
from archdsl.errors import SearchError
from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.load.alternatives import assembled
from archdsl.load.spaces import space_of
from archdsl.load.specs import spec_of
from archdsl.numbers import plain_text
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.library_latency import predicted_latency
from archdsl.search.evaluate.rungs import ask_in_time
from archdsl.search.store.parent import PARENT_WEIGHTS, Parent
from archdsl.search.worker.events import Event, TrainingProgress
from archdsl.search.worker.library_messages import LibraryRequest
from archdsl.search.worker.process import Failed, WorkerGone
from archdsl.spaces.block_choices import block_choices

LIBRARY_FOLDER = "library"


def fit_own_library(context: Context) -> None:
    """Fit a library of the parent in the run's folder, as far as its share of the time goes, and say so.

    Raises:
        OutOfTime: the search's time was over first.
    """
    parent, folder = context.parent, context.folder.path / LIBRARY_FOLDER
    if parent is None or not context.settings.fits_library or context.options.role != "both":
        return
    if context.trials:  # a run that was begun keeps the library that it began with
        if (folder / INDEX).exists():
            context.use_library_of_its_own(folder)
        return
    spec, limit = spec_of(parent.spec), context.clock.limit
    if limit is None or limit < context.policy.own_library.from_s or _keeps_budgets(context, parent, spec):
        return
    space: JsonObject = block_choices(spec)[0]
    try:
        keys = _faster(context, spec, space)
    except SearchError:  # nothing of the parent can be exchanged
        keys = ()
    if not keys:
        return
    seconds = context.policy.own_library.time_share * max(limit - context.clock.elapsed, 0.0)
    replacements = f"{len(keys):,} replacements for the parent's blocks"
    context.note(f"library  {replacements} are trained, in {plain_text(round(seconds))} s at most")
    try:
        fitted = _fitted(context, parent, space, keys, folder, seconds)
    except (Failed, WorkerGone) as error:
        context.note(f"library  no replacement was trained, since {error}")
        return
    context.note(f"library  {fitted:,} of {replacements} were trained")
    if fitted:
        context.use_library_of_its_own(folder)
        context.clock.begin_trials()
        context.keep_clock()


def _keeps_budgets(context: Context, parent: Parent, spec: Spec) -> bool:
    budgets, costs = context.settings.budgets, count(spec)
    limits = [
        (parent.latency_ms, context.state.gate_ms),
        (float(costs.params), budgets.params),
        (float(costs.macs), budgets.macs),
    ]
    return all(limit is None or value is None or value <= limit for value, limit in limits)


def _faster(context: Context, spec: Spec, space: JsonObject) -> tuple[str, ...]:
    """The alternatives that save a share of the parent's latency; of its MACs where no latency was measured.

    Raises:
        SearchError: the space has no alternative.
    """
    latency_of = predicted_latency(context, spec)
    costs_of = (lambda network: float(count(network).macs)) if latency_of(spec) <= 0 else latency_of
    most = (1 - context.policy.own_library.least_saving) * costs_of(spec)
    wanted = wanted_alternatives(spec, space_of(space))
    return tuple(key for key, each in wanted if costs_of(assembled(spec, [each])) <= most)


def _fitted(
    context: Context, parent: Parent, space: JsonObject, keys: tuple[str, ...], folder: Path, seconds: float
) -> int:
    """How many alternatives are in the library then."""
    context.doing(f"training replacements for the blocks of {parent.name}", "starting")

    def heard(event: Event) -> None:
        if isinstance(event, TrainingProgress):
            context.trained_so_far(event.share)

    request = LibraryRequest(
        parent=str((context.folder.path / PARENT_WEIGHTS).absolute()),
        data=context.loaded.request,
        space=space,
        keys=keys,
        out=str(folder.absolute()),
        seconds=seconds,
        device=context.settings.device,
        fitting=context.policy.own_library.fitting,
    )
    return ask_in_time(context.worker, request, context.policy.silence.train_s, context.clock, heard).fitted
