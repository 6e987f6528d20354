"""A parent that is trained here: a seed of a space that names none, about twice as slow as the budget.

It takes a share of a long search's time; candidates then begin with what it learned, where each would begin with
initial weights. In a short search the share would teach it too little.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from archdsl.files import sha256_of
from archdsl.numbers import plain_text, standard_error
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.measuring import measure
from archdsl.search.evaluate.parent import tell_of_parent
from archdsl.search.evaluate.parent_warnings import parent_warnings
from archdsl.search.evaluate.rungs import InTime, ask_in_time, train
from archdsl.search.network import Network
from archdsl.search.propose.candidates import Refused, candidate
from archdsl.search.propose.proposals import seed_choices
from archdsl.search.propose.scaled import Scaled
from archdsl.search.store.parent import PARENT_WEIGHTS, Parent, ParentAccuracy, keep_parent
from archdsl.search.worker.process import Failed, WorkerGone
from archdsl.search.worker.training_messages import PaceRequest
from archdsl.spaces.variables import variables
from archdsl.training.fidelity import fidelity_of


class Seed(NamedTuple):
    """A network that could be the parent."""

    network: Network
    latency_ms: float | None
    """None where it was not measured: a smaller network of its kind was, or nothing is promised about latency."""


def train_own_parent(context: Context) -> None:
    """Train a parent where the space has none and the time is long enough, and say what was done or why not.

    Raises:
        OutOfTime: the search's time was over first.
    """
    policy, limit = context.policy.own_parent, context.clock.limit
    if context.parent is not None or not context.settings.trains_parent:
        return
    if limit is None or limit < policy.from_s or context.options.role != "both":
        return
    try:
        seed = _chosen(context)
        if seed is None:
            context.note("parent  none is trained: the space has no seed inside the static budgets")
            return
        epochs = _epochs_that_fit(context, seed.network)
        minutes = plain_text(round(policy.time_share * limit / 60, 1))
        described = f"{seed.network.spec.name}, a seed of the space{_beside_budget(context, seed)}"
        if epochs < policy.least_epochs:
            short = f"{minutes} minutes would train {described}, for {epochs:.1f} epochs"
            context.note(f"parent  none is trained: {short}; candidates begin with initial weights")
            return
        text = f"{described}, is trained for {plain_text(epochs)} epochs, about {minutes} minutes"
        context.note(f"parent  the space names none: {text}; candidates inherit its weights")
        parent = _trained(context, seed, epochs)
    except (Failed, WorkerGone) as error:
        context.note(f"parent  none was trained, since {error}; candidates begin with initial weights")
        return
    parent = replace(parent, warnings=parent_warnings(parent, context.settings.data, context.loaded))
    context.use_parent(parent)
    context.clock.begin_trials()
    keep_parent(context.folder, parent)
    context.keep_clock()
    tell_of_parent(context, parent)


def _beside_budget(context: Context, seed: Seed) -> str:
    budget_ms = context.settings.budgets.latency_ms
    if budget_ms is None or seed.latency_ms is None:
        return ""
    return f" that takes {seed.latency_ms / budget_ms:.1f} times the latency budget"


def _chosen(context: Context) -> Seed | None:
    """The first seed whose latency lies as a parent's should, scaled where it is over that; else the nearest to it."""
    policy, budget_ms = context.policy.own_parent, context.settings.budgets.latency_ms
    seeds = list[Seed]()
    for choices in seed_choices(context.settings)[: policy.seeds]:
        try:
            network = candidate(context.space, choices.__getitem__, context.settings)
        except Refused:
            continue
        if budget_ms is None:
            return Seed(network, None)
        measured = Seed(network, _measured_ms(context, network))
        share = policy.aim * budget_ms / (measured.latency_ms or budget_ms)
        if share < policy.aim / policy.most:
            scaled = Scaled(
                context.space, variables(context.space.nodes), context.settings, context.policy.scaling, [choices]
            )
            if (smaller := scaled.smaller(choices, share)) is not None:
                measured = Seed(smaller, _measured_ms(context, smaller))
        seeds.append(measured)
        if policy.least * budget_ms <= (measured.latency_ms or 0.0) <= policy.most * budget_ms:
            return measured
    aim_ms = policy.aim * (budget_ms or 0.0)
    return min(seeds, key=lambda seed: abs(math.log((seed.latency_ms or aim_ms) / aim_ms)), default=None)


def _measured_ms(context: Context, network: Network) -> float:
    context.doing(f"measuring {network.spec.name}, which may become the parent", "starting")
    with context.exported_file(network.spec) as file:
        measured = measure(
            context.worker,
            network.spec,
            context.settings,
            context.policy,
            context.clock,
            on_wait=context.waits,
            file=file,
        )
    return measured.ms


def _epochs_that_fit(context: Context, network: Network) -> float:
    """Of the share of the time that a parent may take, in whole epochs where these are at least two."""
    policy, settings, data = context.policy.own_parent, context.settings, context.loaded
    fidelity = fidelity_of(settings, data.images)
    request = PaceRequest(network.spec.to_json(), fidelity.batch, settings.device, settings.threads)
    pace = ask_in_time(context.worker, request, context.policy.silence.train_s, context.clock)
    seconds = policy.time_share * (context.clock.limit or 0.0) - (data.validation + data.held_out) * pace.image_s
    epochs = min(seconds / pace.step_s * fidelity.batch / fidelity.images, policy.most_epochs)
    return float(math.floor(epochs)) if epochs >= 2 else epochs


def _trained(context: Context, seed: Seed, epochs: float) -> Parent:
    """The seed trained by the recipe of short trainings, with its file.

    Raises:
        OutOfTime, Failed, WorkerGone: as `train`.
    """
    spec, file = seed.network.spec, context.folder.path / PARENT_WEIGHTS
    context.doing(f"training the parent {spec.name}", "starting")
    short = fidelity_of(context.settings, context.loaded.images).epochs
    trained = train(
        context.worker,
        spec,
        context.settings,
        context.policy.silence,
        context.loaded,
        context.clock,
        lengthen=epochs / short,
        progress=context.trained_so_far,
        keep=file,
        anew=True,
        in_time=InTime(context.policy.own_parent.time_share * (context.clock.limit or 0.0), least_steps=1),
    )
    if trained.not_kept is not None:
        raise Failed(f"its weights cannot be written to {file}: {trained.not_kept}")
    training = trained.training
    held = None
    if training.held_out is not None and training.held_out_images:
        held = _accuracy(training.held_out, training.held_out_images)
    return Parent(
        name=spec.name,
        source=str(file),
        sha256=sha256_of(file),
        spec=spec.to_json(),
        validation=_accuracy(trained.accuracy, training.validation_images or context.loaded.validation),
        held_out=held,
        epochs=0.0,
        notes=(f"it was trained here for {training.fidelity}, {trained.seconds:.0f} s",),
    )


def _accuracy(share: float, images: int) -> ParentAccuracy:
    return ParentAccuracy(share, standard_error(share, images), images)
