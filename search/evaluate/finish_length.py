"""How long finalists that inherited are fine-tuned: as long as the search's time lets several of them be."""

from __future__ import annotations

import math
from collections.abc import Sequence

from archdsl.cost import count
from archdsl.language.document import Spec
from archdsl.load.specs import spec_of
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.rungs import InTime
from archdsl.search.trial import Trial
from archdsl.training.fidelity import fidelity_of


def lengthen_that_fits(context: Context, finalists: Sequence[Trial]) -> float | None:
    """How many times longer than short ones the finalists' trainings are; None where there is no time for a short one.

    What was chosen before holds on, so that finalists are compared after equally many steps.
    """
    policy, inheritance = context.policy.finalists, context.policy.inheritance
    short = fidelity_of(context.settings, context.loaded.images).epochs
    if (before := _chosen_before(context)) is not None:
        return before / short
    left = context.clock.left_to_train
    if left is None or not finalists:
        return max(policy.lengthen, inheritance.enough_epochs / short)
    paces = [seconds_a_step(context, trial) for trial in finalists]
    refits_s = sum(pace * _refit_steps(context, trial) for pace, trial in zip(paces, finalists, strict=True))
    steps = (inheritance.finish_share * left - refits_s) / max(sum(paces), 1e-6)
    an_epoch = fidelity_of(context.settings, context.loaded.images).steps / short
    epochs = math.floor(2 * steps / an_epoch) / 2
    if epochs < inheritance.least_epochs:
        return None
    return min(epochs, inheritance.most_epochs) / short


def longer_s(context: Context, trial: Trial, lengthen: float) -> float:
    """About what the longer training of a network takes, by what its short one took."""
    training = trial.training
    if training is None or training.seconds is None:
        return 0.0
    if not trial.is_inherited:
        return lengthen * training.seconds
    steps = fidelity_of(context.settings, context.loaded.images, lengthen).steps
    return seconds_a_step(context, trial) * (steps + _refit_steps(context, trial))


def in_time(context: Context, trial: Trial, lengthen: float, waiting: Sequence[Trial]) -> InTime | None:
    """By when the longer training of a network ends; None where the search has no limit of time.

    Networks that inherited share the time that is left with those that wait, by what each is expected to take; others
    are trained one after another while there is time. A training that became shorter than the network's short one is
    lost.
    """
    left = context.clock.left_to_train
    if left is None:
        return None
    least = trial.training.steps if trial.training is not None else None
    if not context.inherits:
        return InTime(max(left, 1.0), least or 1)
    mine_s = longer_s(context, trial, lengthen)
    all_s = mine_s + sum(longer_s(context, each, lengthen) for each in waiting)
    seconds = max(left * (mine_s / all_s if all_s > 0 else 1 / (1 + len(waiting))), 1.0)
    if not trial.is_inherited:
        return InTime(seconds, least or 1)
    refit = _refit_steps(context, trial)
    steps = fidelity_of(context.settings, context.loaded.images, lengthen).steps
    return InTime(seconds, least or 1, seconds * refit / (refit + steps))


def seconds_a_step(context: Context, trial: Trial) -> float:
    """Of a network's training, told from its short one, whose validation is part of its seconds."""
    training, data = trial.training, context.loaded
    if training is None or not training.seconds or not training.steps:
        return 0.0
    share = context.policy.inheritance.validation_cost
    validated = share * (data.validation + data.held_out) / (training.batch or 1)
    return training.seconds / (training.steps + validated)


def refit_share(spec: Spec, parent: Spec) -> float:
    """Share of a network's MACs in what a refit can fit: nodes whose output has the shape of the parent's."""
    shapes = {node.id: node.shape for node in count(parent).nodes}
    nodes = [node for node in count(spec).nodes if spec.node(node.id).kind != "head"]
    alike = sum(node.macs for node in nodes if shapes.get(node.id) == node.shape)
    return alike / max(sum(node.macs for node in nodes), 1)


def _refit_steps(context: Context, trial: Trial) -> float:
    """Training steps that the refit of a finalist takes as long as."""
    inheritance, parent = context.policy.inheritance, context.parent
    share = 1.0 if parent is None else refit_share(spec_of(trial.document), spec_of(parent.spec))
    return share * inheritance.refit_cost * inheritance.refit_steps


def _chosen_before(context: Context) -> float | None:
    """The epochs that finalists were to be trained for in an earlier part of the run."""
    longer = (record.training for record in context.records if record.is_longer and record.is_inherited)
    lengths = (training.planned_epochs or training.epochs for training in longer if training is not None)
    return next((epochs for epochs in lengths if epochs), None)
