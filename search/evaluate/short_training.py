"""The rungs after the gate: scored at initialisation, then trained for as long as the running loss lets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from archdsl.language.document import Spec
from archdsl.search.config import Settings
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.inheriting import cannot_inherit, inheriting
from archdsl.search.evaluate.kept_files import weights_path
from archdsl.search.evaluate.rungs import CannotInherit, StoppedEarly, scored, train
from archdsl.search.network import AnyNetwork
from archdsl.search.predict.early_stopping import reason
from archdsl.search.predict.predictors import Predictors
from archdsl.search.trial import Outcome, Trial
from archdsl.search.worker.process import Failed, WorkerGone
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.training.fidelity import fidelity_of


def short_training(
    context: Context,
    predictors: Predictors,
    worker: WorkerProtocol,
    network: AnyNetwork,
    settings: Settings,
    trial: Trial,
) -> Trial:
    """A measured candidate's trial once it was scored and trained, which says how far it came.

    Raises:
        OutOfTime: as `train`.
        Failed, WorkerGone: it could not be scored; where it could not be trained, the trial says so.
    """
    silence = context.policy.silence
    beginning = inheriting(context, network=network) if isinstance(network, Spec) else None
    limits: Mapping[int, float] = {}
    if beginning is None:  # scores at initialisation, and the losses of others, say nothing of what inherits
        if isinstance(network, Spec):
            scores = scored(worker, network, settings, silence, context.loaded, context.clock).scores
            trial = replace(trial, scores={**trial.scores, **scores})
        if not trial.is_baseline and (too_low := predictors.screen.too_low(trial)) is not None:
            return replace(trial, rung="zero_cost", outcome="fell", reason=too_low)
        limits = {} if trial.is_baseline else predictors.early_stopping.limits(trial)
    context.doing(f"trial {trial.number}: training {network.name}")
    try:
        trained = train(
            worker,
            network,
            settings,
            silence,
            context.loaded,
            context.clock,
            progress=context.trained_so_far,
            limits=limits,
            keep=_place(context, settings, trial),
            keep_inherited=None if beginning is None else _place(context, settings, trial, beginning.epochs),
            inheriting=beginning,
        )
    except StoppedEarly as stopped:
        why = reason(stopped.mark, stopped.training.running[stopped.mark - 1], limits[stopped.mark])
        return replace(trial, rung="halving", outcome="fell", reason=why, training=stopped.training)
    except CannotInherit as cannot:
        text = cannot_inherit(context.policy.inheritance, str(cannot))
        return replace(trial, rung="inheritance", outcome="fell", reason=text)
    except (Failed, WorkerGone) as error:
        return replace(trial, rung="train", outcome="failed", reason=str(error))
    if trained.not_kept is not None:
        context.note(f"weights cannot be written to {context.folder.path}: {trained.not_kept}")
    outcome: Outcome = "cached" if trained.is_cached else "trained"
    return replace(trial, rung="train", outcome=outcome, accuracy=trained.accuracy, training=trained.training)


def _place(context: Context, settings: Settings, trial: Trial, epochs: float | None = None) -> Path | None:
    """Where the weights of a training of so many epochs go; a machine that only trains hands none over."""
    if context.options.role == "train" or not trial.can_win:
        return None
    epochs = epochs or fidelity_of(settings, context.loaded.images).epochs
    return weights_path(context, trial.network_hash, settings.seed, epochs)
