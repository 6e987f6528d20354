"""What a candidate keeps of its parent, by its loss right after inheriting: a rung of a second.

It comes before the measurement, which takes longer, and is followed by it for the better ones alone.
"""

from __future__ import annotations

from dataclasses import replace

from archdsl.language.document import Spec
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.inheriting import cannot_inherit, inheriting
from archdsl.search.evaluate.rungs import ask_in_time
from archdsl.search.network import AnyNetwork
from archdsl.search.predict.inherited_losses import INHERITED_LOSS
from archdsl.search.predict.predictors import Predictors
from archdsl.search.trial import Trial
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.search.worker.training_messages import InheritedLossRequest


def with_inherited_loss(
    context: Context, predictors: Predictors, worker: WorkerProtocol, network: AnyNetwork, trial: Trial
) -> Trial:
    """The trial with its loss after inheriting; as it was where nothing inherits.

    It fell where the loss is too high beside that of others, or where it cannot inherit and others are not tried.

    Raises:
        OutOfTime: the search's time was over first.
        Failed, WorkerGone: as `Worker.ask`.
    """
    beginning = inheriting(context, network=network)
    if beginning is None or not isinstance(network, Spec) or trial.is_baseline:
        return trial
    context.doing(f"trial {trial.number}: inheriting {network.name}")
    settings = context.settings
    request = InheritedLossRequest(
        network.to_json(), context.loaded.request, settings.seed, settings.device, settings.threads, beginning
    )
    inherited = ask_in_time(worker, request, context.policy.silence.score_s, context.clock)
    if inherited.reason is not None:
        text = cannot_inherit(context.policy.inheritance, inherited.reason)
        return trial if beginning.begins_anew else replace(trial, rung="inheritance", outcome="fell", reason=text)
    if inherited.loss is None:
        return trial
    trial = replace(trial, scores={**trial.scores, INHERITED_LOSS: round(inherited.loss, 4)})
    if (too_high := predictors.inherited_losses.too_high(trial.macs, inherited.loss)) is not None:
        return replace(trial, rung="inherited_loss", outcome="fell", reason=too_high)
    return trial
