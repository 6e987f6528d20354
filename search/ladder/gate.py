"""The gate: what a candidate must measure to be trained; and when there is no hope that anything passes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archdsl.search.ladder.proposals import first_candidate
from archdsl.search.ladder.rungs import measure
from archdsl.search.results.front import Record

if TYPE_CHECKING:
    from archdsl.search.runner import Search

FIRST = 5
"""Trials that all fell before the smallest network is looked for."""
_HOPELESS = 2.0
_READINGS, _LEAST_NOISE, _MOST_NOISE = 3, 0.03, 0.15


def gate_ms(search: Search) -> float | None:
    """The budget less the machine's noise: how far three readings of one network lie apart. A run keeps its gate.

    Raises:
        SearchError: no network of the space is inside the static budgets.
        Failed, WorkerGone: the network could not be measured.
    """
    found = first_candidate(search.space, search.settings)
    budget = search.settings.latency_budget_ms
    if budget is None:
        return None
    if known := search.folder.read("noise.json"):
        return float(known["gate_ms"])
    readings = [measure(search.worker, found.spec, search.settings, search.clock).ms for _ in range(_READINGS)]
    noise = min(max(max(readings) / min(readings) - 1, _LEAST_NOISE), _MOST_NOISE)
    gate = budget / (1 + noise)
    search.folder.write("noise.json", {"readings_ms": readings, "noise": noise, "gate_ms": gate})
    return gate


def all_fell(records: Sequence[Record]) -> bool:
    """Whether so far everything was too slow, so that the smallest network should be tried."""
    return len(records) == FIRST and all(record["outcome"] == "fell" for record in records)


def hopeless(records: Sequence[Record], budget_ms: float | None) -> str | None:
    """Why to give up: with the smallest network tried, the fastest one takes more than twice the budget."""
    if budget_ms is None or len(records) <= FIRST or any(record["outcome"] != "fell" for record in records):
        return None
    fastest = min(record["latency"] for record in records if record["latency"] is not None)
    if fastest <= _HOPELESS * budget_ms:
        return None
    return (
        f"the fastest of {len(records)} networks, the smallest of some hundred among them, takes {fastest:.2f} ms: "
        f"nothing in this space comes near {budget_ms:g} ms"
    )
