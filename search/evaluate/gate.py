"""The gate: what a candidate must measure to be trained; and when there is no hope that anything passes it."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.language.document import Spec
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.measuring import measure, was_disturbed
from archdsl.search.evaluate.rungs import asked
from archdsl.search.propose.proposals import first_candidate
from archdsl.search.store.front import Record

THREADS_S = 120.0
"""Seconds without a word after which a worker is taken to hang."""
FIRST = 5
"""Trials that all fell before the smallest network is looked for."""
_HOPELESS = 2.0
_READINGS, _LEAST_NOISE, _MOST_NOISE = 3, 0.05, 0.15
"""Readings at the start; the least noise is what readings minutes apart differ by, which three in a row do not show."""


def choose_threads(context: Context) -> int | None:
    """The threads that networks are measured on: as asked for or chosen before, else chosen now, on the first network.

    None where there is nothing to choose: on a GPU, and where code is compiled for its threads.

    Raises:
        SearchError: no network of the space is inside the static budgets.
        Failed, WorkerGone: the network could not be measured.
    """
    settings = context.settings
    if settings.threads is not None or settings.device != "cpu" or settings.runtime != "eager":
        return None
    if settings.chosen_threads is not None:
        return settings.chosen_threads
    spec = first_candidate(context.space, settings).spec
    request = {"do": "threads", "spec": spec.to_json(), "setting": settings.measuring()}
    try:
        reply = asked(context.worker, request, THREADS_S, context.clock.left, context.while_waiting)
    finally:
        context.clock.go_on()
    return int(reply["threads"])


def gate_ms(context: Context) -> float | None:
    """The budget less the machine's noise: how far three readings of one network lie apart. A run keeps its gate.

    Raises:
        SearchError: no network of the space is inside the static budgets.
        Failed, WorkerGone: the network could not be measured.
    """
    found = first_candidate(context.space, context.settings)
    budget = context.settings.latency_budget_ms
    if budget is None:
        return None
    if known := context.folder.read("noise.json"):
        return float(known["gate_ms"])
    readings = [_reading(context, found.spec) for _ in range(_READINGS)]
    noise = min(max(max(readings) / min(readings) - 1, _LEAST_NOISE), _MOST_NOISE)
    gate = budget / (1 + noise)
    context.folder.write("noise.json", {"readings_ms": readings, "noise": noise, "gate_ms": gate})
    return gate


def _reading(context: Context, spec: Spec) -> float:
    latency = measure(context.worker, spec, context.settings, context.clock, on_wait=context.waits)
    context.machine.note(latency.facts)
    return latency.ms


def all_fell(records: Sequence[Record]) -> bool:
    """Whether so far everything was too slow, so that the smallest network should be tried."""
    return len(records) == FIRST and all(record["outcome"] == "fell" for record in records)


def hopeless(records: Sequence[Record], budget_ms: float | None) -> str | None:
    """Why to give up: with the smallest network tried, the fastest one takes more than twice the budget."""
    if budget_ms is None or len(records) <= FIRST or any(record["outcome"] != "fell" for record in records):
        return None
    measured = [record for record in records if record["latency"] is not None]
    nearest = min(measured, key=lambda record: record["latency"])
    fastest = nearest["latency"]
    if fastest <= _HOPELESS * budget_ms or was_disturbed(nearest["provenance"].get("latency") or {}):
        return None
    return (
        f"the fastest of {len(records)} networks, the smallest of some hundred among them, takes {fastest:.2f} ms: "
        f"nothing in this space comes near {budget_ms:g} ms"
    )
