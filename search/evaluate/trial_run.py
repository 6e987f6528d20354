"""One trial: a candidate measured and, if it passes the gate, trained; its record, and what the optimiser learns."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from archdsl.errors import SearchError
from archdsl.json_types import JsonObject
from archdsl.numbers import accuracy_text
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.inherited_loss import with_inherited_loss
from archdsl.search.evaluate.measuring import measure
from archdsl.search.evaluate.short_training import short_training
from archdsl.search.network import AnyNetwork, Network
from archdsl.search.predict.predictors import Predictors
from archdsl.search.propose.study import OpenTrial, Study
from archdsl.search.propose.trial_queue import LATENCY
from archdsl.search.store.gate import gate_text
from archdsl.search.trial import BESIDE, Trial
from archdsl.search.worker.process import Failed, TargetLost, WorkerGone
from archdsl.search.worker.slot import WorkerSlot


def run_trial(context: Context, predictors: Predictors, network: AnyNetwork, trial: Trial, slot: WorkerSlot) -> Trial:
    """A candidate's trial once it climbed as far as it could, or as the machine's role lets it.

    Raises:
        OutOfTime: the search's time was over first; the trial does not count.
        SearchError: the machine that measures cannot be reached any more; the trial is tried again on resuming.
    """
    started, role = time.monotonic(), context.options.role
    try:
        is_known = _is_measured_parent(context, trial)
        if trial.outcome != "measured" and not is_known:
            trial = with_inherited_loss(context, predictors, slot, network, trial)
        if trial.outcome not in ("measured", "fell"):
            trial = _measured(context, network, trial, slot)
        if trial.outcome == "measured" and is_known:
            trial = with_inherited_loss(context, predictors, slot, network, trial)
        if trial.outcome == "measured" and role != "measure":
            trial = short_training(context, predictors, slot, network, slot.settings, trial)
    except TargetLost as error:
        raise lost(context, error) from error
    except (Failed, WorkerGone) as error:
        trial = replace(trial, outcome="failed", reason=str(error))
    return replace(trial, seconds=round(trial.seconds + time.monotonic() - started, 3))


def lost(context: Context, error: TargetLost) -> SearchError:
    """The end of a search whose target is out of reach, with what to do."""
    done = len(context.trials)
    count = "1 trial" if done == 1 else f"{done} trials"
    remedy = f"once it is back, go on with: archdsl search --out {context.folder.path} --resume"
    return SearchError(f"{error}; the search ended after {count}: {remedy}")


def abandon_trial(trial: Trial, times: int) -> Trial:
    """The trial of a candidate that is not tried again, as it was lost so many times."""
    return replace(trial, outcome="failed", reason=f"the search was killed {times} times while this network was tried")


def new_trial(network: Network, number: int, origin: str | None = None) -> Trial:
    """The trial of a candidate of which nothing is known yet, but perhaps the earlier run that it comes from."""
    counted = network.counted
    return Trial(number, network.network_hash, network.spec.to_json(), counted.params, counted.macs, origin=origin)


def _measured(context: Context, network: AnyNetwork, trial: Trial, slot: WorkerSlot) -> Trial:
    """The trial with its latency: `measured` where it passes the gate, else it fell."""
    settings, gate = slot.settings, context.state.gate_ms
    context.doing(f"trial {trial.number}: measuring {network.name}")
    if context.measured_parent is not None and _is_measured_parent(context, trial):
        _, ms, measurement = context.measured_parent
    else:
        with context.exported_file(network) as file:
            ms, measurement = measure(slot, network, settings, context.policy, context.clock, gate, context.waits, file)
        context.machine.note(measurement)
    context.state.busy = context.machine.now
    is_inside = settings.budgets.allows_ms(ms)
    trial = replace(trial, latency_ms=ms, measurement=measurement, inside_budget=is_inside, outcome="measured")
    if gate is None or ms <= gate:
        return trial
    reason = f"{settings.stat} {ms:.2f} ms is too slow ({gate_text(gate, settings.budgets.latency_ms)})"
    return replace(trial, outcome="fell", reason=reason)


def _is_measured_parent(context: Context, trial: Trial) -> bool:
    """Whether it is the parent's, whose latency is known from this part of the search."""
    return context.measured_parent is not None and context.measured_parent[0] == trial.network_hash


def tell(
    study: Study, gate_ms: float | None, is_ranked: Callable[[Trial], bool], open_trial: OpenTrial, trial: Trial
) -> None:
    """What the optimiser learns of a trial: no accuracy of one that is not ranked with the others."""
    values = {"params": float(trial.params), "macs": float(trial.macs)}
    study.note(open_trial, _noted(trial))
    if trial.latency_ms is None:
        study.refused(open_trial)
        return
    values["latency"] = trial.latency_ms
    is_trained = trial.outcome in ("trained", "cached") and trial.accuracy is not None
    if is_trained and not is_ranked(trial):
        study.halved(open_trial, values)
    elif is_trained and trial.accuracy is not None:
        study.trained(open_trial, values | {"proxy_accuracy": trial.accuracy})
    elif trial.rung == "halving":
        study.halved(open_trial, values)
    elif trial.is_over_gate and gate_ms is not None:
        study.gated(open_trial, trial.latency_ms / gate_ms - 1, values)
    else:
        study.refused(open_trial, is_inside=trial.outcome == "fell")


def _noted(trial: Trial) -> JsonObject:
    """What a dashboard shows beside a trial; few, as the database is written to disk for each."""
    facts: JsonObject = {
        "name": trial.name,
        LATENCY: trial.latency_ms,
        "outcome": trial.outcome,
        "reason": trial.reason,
        "params": trial.params,
        "macs": trial.macs,
        "accuracy": trial.accuracy,
    }
    if trial.rung == "halving" and trial.training is not None:
        facts["running_loss"] = trial.training.running[-1]
    return facts


def line(trial: Trial) -> str:
    """One trial in one line."""
    name = f", {trial.name} ({BESIDE[trial.origin or '']})" if trial.is_baseline else ""
    text = f"trial {trial.number}{name}: {trial.params / 1e6:.2f} M params"
    if trial.latency_ms is not None and not trial.is_over_gate:  # there the reason has the milliseconds
        text += f", {trial.latency_ms:.2f} ms"
    if trial.accuracy is not None:
        text += f", accuracy {accuracy_text(trial.accuracy, trial.error)}"
        text += " (accuracy from the cache)" if trial.outcome == "cached" else ""
    return text + (f": {trial.reason}" if trial.reason else "")
