"""One trial: a candidate measured and, if it passes the gate, trained; its record, and what the optimiser learns."""

from __future__ import annotations

import time
from typing import Any

from archdsl.language.document import Spec
from archdsl.numbers import accuracy_text
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.measuring import measure
from archdsl.search.evaluate.short_training import HALVING, short_training
from archdsl.search.predict.predictors import Predictors
from archdsl.search.propose.study import OpenTrial, Study
from archdsl.search.propose.trial_queue import LATENCY, MOST_LOST
from archdsl.search.store.front import Record
from archdsl.search.trial import Candidate
from archdsl.search.worker.process import Failed, WorkerGone
from archdsl.search.worker.slot import WorkerSlot


def run_trial(context: Context, predictors: Predictors, spec: Spec, record: Record, slot: WorkerSlot) -> Record:
    """The record of a candidate that climbed as far as it could, or as the machine's role lets it.

    Raises:
        OutOfTime: the search's time was over first; the trial does not count.
    """
    started, role = time.monotonic(), context.options.role
    try:
        if record["outcome"] == "measured" or _measured(context, spec, record, slot):
            if role == "measure":
                record["outcome"] = "measured"
            else:
                short_training(context, predictors, slot, spec, slot.settings, record)
    except (Failed, WorkerGone) as error:
        record["outcome"], record["reason"] = "failed", str(error)
    record["seconds"] = round(record["seconds"] + time.monotonic() - started, 3)
    return record


def abandon_trial(record: Record) -> Record:
    """The record of a candidate that is not tried again."""
    return record | {"outcome": "failed", "reason": f"the search was killed {MOST_LOST} times while it was tried"}


def new_trial(found: Candidate, number: int, origin: str | None = None) -> Record:
    """The record of a candidate of which nothing is known yet, but perhaps the earlier run that it comes from."""
    return {
        "number": number,
        "hash": found.hash,
        "spec": found.spec.to_json(),
        "rung": "latency",
        "outcome": "failed",
        "reason": None,
        "params": found.counted.params,
        "macs": found.counted.macs,
        "latency": None,
        "inside_budget": None,
        "accuracy": None,
        "seconds": 0.0,
        "provenance": {} if origin is None else {"from": origin},
    }


def _measured(context: Context, spec: Spec, record: Record, slot: WorkerSlot) -> bool:
    """Measure a candidate; whether it passes the gate."""
    settings, gate = slot.settings, context.state.gate_ms
    context.doing(f"trial {record['number']}: measuring {spec.name}")
    latency = measure(slot, spec, settings, context.clock, gate, context.waits)
    context.machine.note(latency.facts)
    context.state.busy = context.machine.now
    record["latency"] = latency.ms
    record["provenance"]["latency"] = latency.facts
    record["inside_budget"] = settings.latency_budget_ms is None or latency.ms <= settings.latency_budget_ms
    if gate is None or latency.ms <= gate:
        return True
    record["outcome"] = "fell"
    budget = settings.latency_budget_ms or gate
    noise = f"budget {budget:g} ms - {100 * (1 - gate / budget):.0f} % noise"
    record["reason"] = f"{settings.stat} {latency.ms:.2f} ms is too slow (gate {gate:.2f} ms = {noise})"
    return False


def tell(study: Study, gate_ms: float | None, trial: OpenTrial, record: Record) -> None:
    """What the optimiser learns of a trial."""
    values = {"params": float(record["params"]), "macs": float(record["macs"])}
    study.note(trial, _noted(record))
    if record["outcome"] in ("trained", "cached"):
        study.trained(trial, values | {"proxy_accuracy": record["accuracy"], "latency": record["latency"]})
    elif record["rung"] == HALVING:
        study.halved(trial, values | {"latency": record["latency"]})
    elif record["rung"] == "latency" and record["outcome"] == "fell" and gate_ms is not None:
        study.gated(trial, record["latency"] / gate_ms - 1, values | {"latency": record["latency"]})
    else:
        study.refused(trial, is_inside=record["outcome"] == "fell" and record["latency"] is not None)


def _noted(record: Record) -> dict[str, Any]:
    """What a dashboard shows beside a trial; few, as the database is written to disk for each."""
    names = ("outcome", "reason", "params", "macs", "accuracy")
    facts = {"name": record["spec"]["name"], LATENCY: record["latency"]} | {name: record[name] for name in names}
    if record["rung"] == HALVING:
        facts["running_loss"] = record["provenance"]["proxy"]["running"][-1]
    return facts


def end_of(record: Record) -> str:
    """Where on the ladder a trial ended, as the display counts it."""
    return str({"fell": record["rung"], "failed": "failed"}.get(record["outcome"], "trained"))


def line(record: Record) -> str:
    """One trial in one line."""
    text = f"trial {record['number']}: {record['params'] / 1e6:.2f} M params"
    is_over_gate = record["rung"] == "latency" and record["outcome"] == "fell"  # the reason has the milliseconds
    if record["latency"] is not None and not is_over_gate:
        text += f", {record['latency']:.2f} ms"
    if record["accuracy"] is not None:
        text += f", accuracy {accuracy_text(record['accuracy'], record['provenance']['proxy'].get('error'))}"
    return text + (f": {record['reason']}" if record["reason"] else "")
