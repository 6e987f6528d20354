"""The end of a search: finalists are trained longer, and the winner is measured again in a fresh process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.load import spec_of
from archdsl.search.ladder.rungs import OutOfTime, measure, train
from archdsl.search.results.front import Record
from archdsl.search.results.result import Verdict
from archdsl.search.workers.child import Failed, WorkerGone

if TYPE_CHECKING:
    from archdsl.search.runner import Search

LENGTHEN = 3.0
"""How many times longer the finalists are trained."""
FINALISTS = 3
SEEDS = 3
"""Trainings of each finalist, with initial weights and data orders of their own; first all once, then all again."""


def longer(search: Search) -> None:
    """The most accurate of the front trained longer, as far as time allows; the records tell how they did."""
    finalists = search.state.front[:FINALISTS]
    for number in range(SEEDS):
        for record in finalists:
            left = search.clock.left_to_train
            if left is not None and left < LENGTHEN * record["provenance"]["proxy"]["seconds"]:
                return
            if len(_trainings(search, record)) == number:
                try:
                    _train_longer(search, record, search.settings.seed + number)
                except OutOfTime:
                    return
                except (Failed, WorkerGone):
                    continue


def _longer_record(search: Search, record: Record) -> Record | None:
    """What is known of a finalist that was trained longer: its last record, the mean over the most seeds."""
    known = (r for r in reversed(search.records) if r["rung"] == "train_longer" and r["hash"] == record["hash"])
    return next(known, None)


def _trainings(search: Search, record: Record) -> list[dict[str, Any]]:
    """The longer trainings of a finalist so far, one a seed."""
    known = _longer_record(search, record)
    return [] if known is None else list(known["provenance"]["proxy"].get("trainings", ()))


def _train_longer(search: Search, record: Record, seed: int) -> None:
    """Train a finalist with one seed more; the record that is added tells the mean over all of them."""
    spec = spec_of(record["spec"])
    search.doing(spec.name, "training the finalists longer")
    trained = train(
        search.worker,
        spec,
        search.settings.model_copy(update={"seed": seed}),
        search.data,
        search.clock,
        lengthen=LENGTHEN,
        progress=search.trained_so_far,
    )
    own = {"seed": seed, "accuracy": trained.accuracy, "held_out": trained.facts["held_out"]}
    trainings = [*_trainings(search, record), own]
    accuracies = [training["accuracy"] for training in trainings]
    facts = trained.facts | {"trainings": trainings, "spread": max(accuracies) - min(accuracies)}
    search.add(
        record
        | {
            "rung": "train_longer",
            "outcome": "cached" if trained.cached else "trained",
            "accuracy": sum(accuracies) / len(accuracies),
            "seconds": round(trained.seconds, 3),
            "provenance": record["provenance"] | {"proxy": facts},
        }
    )
    search.watcher(search.state, f"finalist {spec.name}: {_told(accuracies)} after {trained.facts['fidelity']}")


def _told(accuracies: list[float]) -> str:
    """`accuracy 0.612, the mean of 3 seeds from 0.598 to 0.630`"""
    mean = sum(accuracies) / len(accuracies)
    if len(accuracies) == 1:
        return f"accuracy {mean:.3f}"
    return (
        f"accuracy {mean:.3f}, the mean of {len(accuracies)} seeds from {min(accuracies):.3f} to {max(accuracies):.3f}"
    )


def settle(search: Search) -> Verdict:
    """Write the front, and find the first on it that keeps the budget when it is measured in a fresh process.

    Once the time is over, only the fastest of those that are left is tried: no other is as likely to keep it.
    """
    ranked = search.state.front = _ranked(search)
    search.folder.write("front.json", ranked)
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


def _ranked(search: Search) -> list[Record]:
    """The front: finalists in the order that longer training gave them, then the others by accuracy."""
    scores = {}
    for record in search.state.front:
        known = _longer_record(search, record)
        if known is not None:
            scores[record["hash"]] = known["accuracy"]
    first = sorted((r for r in search.state.front if r["hash"] in scores), key=lambda r: -scores[r["hash"]])
    return first + [record for record in search.state.front if record["hash"] not in scores]


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
