"""The end of a search: the winner is measured again in a fresh process, and if it fails, the next is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.load import spec_of
from archdsl.search.ladder.rungs import OutOfTime, measure
from archdsl.search.results.front import Record
from archdsl.search.results.result import Verdict
from archdsl.search.workers.child import Failed, WorkerGone

if TYPE_CHECKING:
    from archdsl.search.runner import Search


def settle(search: Search) -> Verdict:
    """Write the front, and find the first network that keeps the budget when it is measured in a fresh process.

    Finalists are tried first, then the others of the front.

    Once the time is over, only the fastest of those that are left is tried: no other is as likely to keep it.
    """
    ranked = search.finals.ranked()
    search.state.front = search.finals.front()
    search.folder.write("front.json", search.state.front)
    if search.means.role == "train":
        return Verdict(False, None, None, None, [], "this machine trained; those that measure choose the winner")
    attempts: list[dict[str, Any]] = []
    nearest: Verdict | None = None
    left = list(ranked)
    while left:
        late = bool(attempts) and search.clock.left is not None and search.clock.left < 0
        record = min(left, key=lambda known: known["latency"]) if late else left[0]
        left = [] if late else left[1:]
        verdict = _attempt(search, record, attempts)
        if verdict.passed:
            return verdict
        if verdict.latency is not None and (nearest is None or verdict.latency < (nearest.latency or 0)):
            nearest = verdict
    return nearest or _nearest_miss(search, attempts)


def _attempt(search: Search, record: Record, attempts: list[dict[str, Any]]) -> Verdict:
    """A candidate measured in a fresh process; what came of it is added to the attempts."""
    budget, spec = search.settings.latency_budget_ms, spec_of(record["spec"])
    search.doing(spec.name, "measuring the winner in a fresh process")
    attempt: dict[str, Any] = {"name": spec.name, "hash": record["hash"], "latency": None, "passed": False}
    attempts.append(attempt)
    fresh = search.new_worker()
    try:
        latency = measure(fresh, spec, search.settings, search.clock, budget)
    except (Failed, WorkerGone, OutOfTime) as error:
        attempt["reason"] = str(error) or "it was not measured in time"
        return Verdict(False, spec, record, None, attempts, attempt["reason"])
    finally:
        fresh.stop()
    passed = budget is None or latency.ms <= budget
    attempt |= {"latency": latency.ms, "passed": passed, "provenance": latency.facts}
    return Verdict(passed, spec, record, latency.ms, attempts)


def _nearest_miss(search: Search, attempts: list[dict[str, Any]]) -> Verdict:
    """Where nothing could be measured again: the fastest that was measured at all."""
    measured = [record for record in search.trials if record["latency"] is not None]
    failures = [record["reason"] for record in search.trials if record["outcome"] == "failed"]
    failures += [attempt["reason"] for attempt in attempts]
    reason = failures[-1] if failures else None
    if not measured:
        return Verdict(False, None, None, None, attempts, reason or "there was no time for a trial")
    record = min(measured, key=lambda found: found["latency"])
    over = record["outcome"] == "fell" and record["rung"] == "latency"
    return Verdict(
        False,
        spec_of(record["spec"]),
        record,
        record["latency"],
        attempts,
        None if over else record["reason"] or reason,
    )
