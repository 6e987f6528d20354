"""A library that a search fits itself: alternatives to its parent's blocks, where none is given and time is long.

Only alternatives are fitted that are predicted to make the network faster.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import NamedTuple

from archdsl.cost import count
from archdsl.deriving.library.facts import LibrarySettings
from archdsl.deriving.library.folder import INDEX
from archdsl.deriving.library.stage_times import work_by_stage
from archdsl.deriving.library.wanted import wanted_alternatives
from archdsl.errors import ArchError
from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.load.alternatives import Alternative, assembled
from archdsl.load.spaces import space_of
from archdsl.load.specs import spec_of
from archdsl.numbers import plain_text
from archdsl.runtimes.by_name import runs_files
from archdsl.search.evaluate import quiet_moment
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.library_latency import predicted_latency
from archdsl.search.evaluate.rungs import ask_in_time
from archdsl.search.store.parent import PARENT_WEIGHTS, Parent
from archdsl.search.worker.events import Event, TrainingProgress
from archdsl.search.worker.library_messages import LibraryRequest
from archdsl.search.worker.process import Failed, WorkerGone
from archdsl.spaces.block_choices import block_choices
from archdsl.timing.cores import physical_cores

LIBRARY_FOLDER = "library"


class _Plan(NamedTuple):
    """What is to be fitted: alternatives of a space by their keys, in so many seconds."""

    space: JsonObject
    keys: tuple[str, ...]
    seconds: float
    least: int
    """Of these, without which the library is of no use."""


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
    if (plan := _planned(context, parent)) is None:
        return
    replacements = f"{len(plan.keys):,} replacements for the parent's blocks"
    context.note(f"library  {replacements} are trained, in {plain_text(round(plan.seconds))} s at most")
    try:
        fitted = _fitted(context, parent, plan, folder)
    except (Failed, WorkerGone) as error:
        context.note(f"library  no replacement was trained, since {error}")
        return
    if fitted < plan.least:
        context.note(f"library  only {fitted:,} of {replacements} could be trained, too few to be of use")
        shutil.rmtree(folder, ignore_errors=True)
        return
    context.note(f"library  {fitted:,} of {replacements} were trained")
    context.use_library_of_its_own(folder)
    context.clock.begin_trials()
    context.keep_clock()


def _planned(context: Context, parent: Parent) -> _Plan | None:
    """What to fit; None where nothing is, which is said where the search would if it could."""
    policy, spec, limit = context.policy.own_library, spec_of(parent.spec), context.clock.limit
    if limit is None or limit < policy.from_s or _keeps_budgets(context, parent, spec):
        return None
    space: JsonObject = block_choices(spec)[0]
    try:
        faster = _faster(context, spec, space)
    except ArchError as error:
        context.note(f"library  no replacement is trained, since {error}")
        return None
    if not faster:
        context.note("library  no replacement is trained: none is predicted to be faster than the parent's blocks")
        return None
    least_ms, gate_ms = _least_ms(parent, spec, faster), context.state.gate_ms
    if least_ms is not None and gate_ms is not None and least_ms > gate_ms:
        least = f"the fastest network made of them is predicted to take {least_ms:.2f} ms"
        context.note(f"library  no replacement is trained: {least}, more than {gate_ms:.2f} ms")
        return None
    keys = tuple(each.key for each in faster)
    seconds = policy.time_share * max(limit - context.clock.elapsed, 0.0)
    plan = _Plan(space, keys, seconds, max(1, round(policy.least_share * len(keys) / 2)))
    possible = _share_in_time(context, parent, spec, plan)
    if possible < policy.least_share:
        count_text = f"about {math.floor(possible * len(keys)):,} of {len(keys):,} could be trained"
        few = f"{count_text} in {plain_text(round(plan.seconds))} s"
        context.note(f"library  no replacement is trained: {few}; archdsl library build trains them beforehand")
        return None
    return plan


def _keeps_budgets(context: Context, parent: Parent, spec: Spec) -> bool:
    budgets, costs = context.settings.budgets, count(spec)
    limits = [
        (parent.latency_ms, context.state.gate_ms),
        (float(costs.params), budgets.params),
        (float(costs.macs), budgets.macs),
    ]
    return all(limit is None or value is None or value <= limit for value, limit in limits)


class _Faster(NamedTuple):
    """An alternative, and the share of the parent's latency, or else of its MACs, that it is predicted to save."""

    key: str
    alternative: Alternative
    saving: float


def _faster(context: Context, spec: Spec, space: JsonObject) -> list[_Faster]:
    """The alternatives that save a share of the parent's latency; of its MACs where no latency was measured.

    Raises:
        SearchError: the space has no alternative.
        SpecError: the parent is no point of the space.
    """
    latency_of = predicted_latency(context, spec)
    costs_of = (lambda network: float(count(network).macs)) if latency_of(spec) <= 0 else latency_of
    whole, least_saving = costs_of(spec), context.policy.own_library.least_saving
    wanted = wanted_alternatives(spec, space_of(space))
    savings = [_Faster(key, each, 1 - costs_of(assembled(spec, [each])) / whole) for key, each in wanted]
    return [each for each in savings if each.saving >= least_saving]


def _least_ms(parent: Parent, spec: Spec, faster: list[_Faster]) -> float | None:
    """The predicted latency of the fastest network that alternatives make up; None where the parent's is not known."""
    if parent.latency_ms is None:
        return None
    saved = 0.0
    for stage in {each.alternative.stage for each in faster}:
        most = [0.0]
        """Saved by the first blocks of the stage, by their number."""
        for end in range(1, getattr(spec.node(stage), "depth", 0) + 1):
            ending = [
                most[each.alternative.first] + each.saving
                for each in faster
                if each.alternative.stage == stage and each.alternative.first + each.alternative.span == end
            ]
            most.append(max([most[-1], *ending]))
        saved += most[-1]
    return parent.latency_ms * (1 - saved)


def _share_in_time(context: Context, parent: Parent, spec: Spec, plan: _Plan) -> float:
    """About the share of the alternatives that can be fitted in time, by the parent's MACs and latency; 1 on a GPU."""
    policy, latency_ms = context.policy.own_library, parent.latency_ms
    if context.settings.device != "cpu" or latency_ms is None or context.settings.target is not None:
        return 1.0
    fitting = policy.fitting
    settings = LibrarySettings(images=fitting.images, scored=fitting.scored, steps=fitting.steps)
    chosen = [each for key, each in wanted_alternatives(spec, space_of(plan.space)) if key in plan.keys]
    work = sum(work_by_stage(spec, chosen, settings).values())
    cores, busy = physical_cores(), quiet_moment.other_cores(policy.look_s) or 0.0
    processes = min(max(cores - busy, policy.least_cores), fitting.most_processes)
    speed = policy.speed_of_files if runs_files(context.settings.runtime) else policy.speed_of_modules
    macs_a_second = processes * speed * count(spec).macs / (latency_ms / 1000 / context.settings.batch)
    return min(plan.seconds * macs_a_second / max(work, 1.0), 1.0)


def _fitted(context: Context, parent: Parent, plan: _Plan, folder: Path) -> int:
    """How many alternatives are in the library then."""
    context.doing(f"training replacements for the blocks of {parent.name}", "starting")

    def heard(event: Event) -> None:
        if isinstance(event, TrainingProgress):
            context.trained_so_far(event.share)

    request = LibraryRequest(
        parent=str((context.folder.path / PARENT_WEIGHTS).absolute()),
        data=context.loaded.request,
        space=plan.space,
        keys=plan.keys,
        out=str(folder.absolute()),
        seconds=plan.seconds,
        least=plan.least,
        device=context.settings.device,
        fitting=context.policy.own_library.fitting,
    )
    return ask_in_time(context.worker, request, context.policy.silence.train_s, context.clock, heard).fitted
