"""The end of a search: finalists are trained longer, and the winner is measured again in a fresh process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.load import spec_of
from archdsl.schema.document import Spec
from archdsl.schema.writing import dump
from archdsl.search.child import Failed, Worker, WorkerGone
from archdsl.search.front import Record
from archdsl.search.ladder import measure, train

if TYPE_CHECKING:
    from archdsl.search.runner import Search

LENGTHEN = 3.0
"""How many times longer the finalists are trained."""
FINALISTS = 3
_RESERVE_S = 30.0


class Verdict(NamedTuple):
    """What became of the promise."""

    passed: bool
    spec: Spec | None
    """The winner; without one the nearest miss, or None if nothing was measured."""
    record: Record | None
    latency: float | None
    """The statistic, in ms, as measured again in a fresh process."""
    attempts: list[dict[str, Any]]
    """Every network measured again, in the order of trying."""


def finish(search: Search, finalists: bool) -> Verdict:
    """Choose the winner, write what was found, and keep or admit the promise."""
    ranked = list(search.state.front)
    if finalists and len(ranked) > 1:
        ranked = _longer(search, ranked)
    verdict = _first_that_holds(search, ranked)
    _write(search, verdict, ranked)
    return verdict


def _longer(search: Search, ranked: list[Record]) -> list[Record]:
    """The most accurate candidates trained longer, as far as time allows, in the order that this gives them."""
    scores: dict[str, float] = {}
    for record in ranked[:FINALISTS]:
        left = search.seconds_left()
        needed = LENGTHEN * record["seconds"] + _RESERVE_S
        if left is not None and left < needed:
            break
        search.state.phase, search.state.doing = "training the finalists longer", record["spec"]["name"]
        search.watcher(search.state, None)
        known = [r for r in search.records if r["rung"] == "train_longer" and r["hash"] == record["hash"]]
        longer = known[0] if known else _train_longer(search, record)
        if longer is not None and longer["accuracy"] is not None:
            scores[record["hash"]] = longer["accuracy"]
    first = sorted((r for r in ranked if r["hash"] in scores), key=lambda r: -scores[r["hash"]])
    return first + [record for record in ranked if record["hash"] not in scores]


def _train_longer(search: Search, record: Record) -> Record | None:
    def show(done: float) -> None:
        search.state.fraction = done
        search.watcher(search.state, None)

    left = search.seconds_left()
    seconds = None if left is None else max(left - _RESERVE_S, 1)
    spec = spec_of(record["spec"])
    try:
        trained = train(
            search.worker, spec, search.settings, search.data, lengthen=LENGTHEN, seconds=seconds, progress=show
        )
    except (Failed, WorkerGone):
        return None
    finally:
        search.state.fraction = None
    longer = record | {
        "rung": "train_longer",
        "outcome": "cached" if trained.cached else "trained",
        "accuracy": trained.accuracy,
        "seconds": round(trained.seconds, 3),
        "provenance": record["provenance"] | {"proxy": trained.facts},
    }
    search.folder.append(longer)
    search.records.append(longer)
    search.watcher(search.state, f"finalist {record['spec']['name']}: accuracy {trained.accuracy:.3f}")
    return longer


def _first_that_holds(search: Search, ranked: list[Record]) -> Verdict:
    """The first on the front that keeps the budget in a fresh process."""
    budget, attempts = search.settings.latency_budget_ms, []
    nearest: Verdict | None = None
    search.worker.stop()  # it must not disturb what is measured now
    for record in ranked:
        spec = spec_of(record["spec"])
        search.state.phase, search.state.doing = "measuring the winner in a fresh process", spec.name
        search.watcher(search.state, None)
        try:
            with Worker() as fresh:
                latency = measure(fresh, spec, search.settings, budget)
        except (Failed, WorkerGone) as error:
            attempts.append({"name": spec.name, "hash": record["hash"], "latency": None, "reason": str(error)})
            continue
        passed = budget is None or latency.ms <= budget
        attempts.append(
            {
                "name": spec.name,
                "hash": record["hash"],
                "latency": latency.ms,
                "passed": passed,
                "provenance": latency.facts,
            }
        )
        verdict = Verdict(passed, spec, record, latency.ms, attempts)
        if passed:
            return verdict
        if nearest is None or nearest.latency is None or latency.ms < nearest.latency:
            nearest = verdict
    return nearest or _nearest_miss(search, attempts)


def _nearest_miss(search: Search, attempts: list[dict[str, Any]]) -> Verdict:
    """Where nothing was trained: the fastest that was measured."""
    measured = [record for record in search.records if record["latency"] is not None]
    if not measured:
        return Verdict(False, None, None, None, attempts)
    record = min(measured, key=lambda found: found["latency"])
    return Verdict(False, spec_of(record["spec"]), record, record["latency"], attempts)


def _write(search: Search, verdict: Verdict, ranked: list[Record]) -> None:
    """`front.json`, `winner.json` and `verdict.json`; no winner, no file."""
    search.folder.write("front.json", ranked)
    outcome = {
        "passed": verdict.passed,
        "budget_ms": search.settings.latency_budget_ms,
        "stat": search.settings.stat,
        "latency": verdict.latency,
        "name": verdict.spec.name if verdict.spec else None,
        "hash": verdict.record["hash"] if verdict.record else None,
        "accuracy": verdict.record["accuracy"] if verdict.record else None,
        "attempts": verdict.attempts,
    }
    search.folder.write("verdict.json", outcome)
    if verdict.passed and verdict.spec is not None:
        search.folder.write_text("winner.json", dump(verdict.spec))
    else:
        search.folder.remove("winner.json")
