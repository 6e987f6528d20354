"""What a search found, and what became of its promise; also as it stands in a run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from archdsl.errors import SearchError
from archdsl.load import spec_of
from archdsl.schema.document import Spec
from archdsl.schema.writing import dump
from archdsl.search.ladder.held_out import held_out
from archdsl.search.results.folder import RunFolder
from archdsl.search.results.front import Record
from archdsl.search.settings import Settings


class Verdict(NamedTuple):
    """What became of the promise."""

    passed: bool
    spec: Spec | None
    """The winner; without one the nearest miss, or None if nothing was measured."""
    record: Record | None
    latency: float | None
    """The statistic, in ms, as measured again in a fresh process; of a nearest miss that was not, as in its trial."""
    attempts: list[dict[str, Any]]
    """Every network measured again, in the order of trying."""
    reason: str | None = None
    """Why there is no winner, where it is not the latency."""


class Result(NamedTuple):
    """A finished search."""

    folder: Path
    settings: Settings
    records: list[Record]
    front: list[Record]
    verdict: Verdict
    interrupted: bool
    facts: dict[str, Any]
    """The device, as the worker told it."""

    @property
    def winner(self) -> Spec | None:
        """The backbone that kept the budget when it was measured again, or None."""
        return self.verdict.spec if self.verdict.passed else None

    @property
    def trials(self) -> int:
        """Distinct networks that were measured, or failed before."""
        return trials_in(self.records)

    @property
    def held_out(self) -> dict[str, Any] | None:
        """The winner's accuracy on images that no choice has seen (`ladder/held_out.py`)."""
        return (
            held_out(self.records, self.verdict.record["hash"]) if self.verdict.passed and self.verdict.record else None
        )

    def as_json(self) -> dict[str, Any]:
        """The facts for programs."""
        verdict = self.verdict
        return {
            "folder": str(self.folder),
            "space": self.settings.space["name"],
            "passed": verdict.passed,
            "winner": self.winner.to_json() if self.winner else None,
            "nearest_miss": verdict.spec.to_json() if verdict.spec and not verdict.passed else None,
            "latency": verdict.latency,
            "stat": self.settings.stat,
            "budget_ms": self.settings.latency_budget_ms,
            "reason": verdict.reason,
            "held_out": self.held_out,
            "front": self.front,
            "trials": self.trials,
            "interrupted": self.interrupted,
        }


def trials_in(records: list[Record]) -> int:
    """The number of trials; a finalist that was trained longer is none of its own, nor what an earlier run knew."""
    return len({record["hash"] for record in records if "from" not in record["provenance"]})


def keep(folder: RunFolder, result: Result, seconds: float) -> None:
    """Write `verdict.json` and `winner.json`; no winner, no file."""
    verdict, settings = result.verdict, result.settings
    if result.winner is not None:
        folder.write_text("winner.json", dump(result.winner))
    else:
        folder.remove("winner.json")
    outcome = {
        "passed": verdict.passed,
        "budget_ms": settings.latency_budget_ms,
        "stat": settings.stat,
        "latency": verdict.latency,
        "name": verdict.spec.name if verdict.spec else None,
        "hash": verdict.record["hash"] if verdict.record else None,
        "accuracy": verdict.record["accuracy"] if verdict.record else None,
        "held_out": result.held_out,
        "reason": verdict.reason,
        "attempts": verdict.attempts,
        "finished": not result.interrupted,
        "trials": result.trials,
        "seconds": round(seconds, 3),
        "limits": _limits(settings),
        "device": result.facts,
    }
    folder.write("verdict.json", outcome)


def stored(folder: RunFolder, settings: Settings) -> Result | None:
    """The result of a finished search, or None where `settings` leave it something to do.

    Raises:
        SearchError: the files of the run contradict each other or cannot be read.
    """
    outcome = folder.read("verdict.json")
    if not outcome or not outcome["finished"] or _goes_on(settings, outcome):
        return None
    records = folder.records()
    record = next((found for found in records if found["hash"] == outcome["hash"]), None)
    if record is None and outcome["hash"] is not None:
        raise SearchError(f"{folder.path}/verdict.json names a network that trials.jsonl does not hold")
    spec = spec_of(record["spec"]) if record else None
    attempts, latency = outcome["attempts"], outcome["latency"]
    verdict = Verdict(outcome["passed"], spec, record, latency, attempts, outcome["reason"])
    return Result(folder.path, settings, records, folder.read("front.json") or [], verdict, False, outcome["device"])


def _goes_on(settings: Settings, outcome: dict[str, Any]) -> bool:
    """Whether both limits leave room beyond what was done under other ones."""
    if _limits(settings) == outcome["limits"]:
        return False
    more_trials = settings.trials is None or settings.trials > outcome["trials"]
    more_time = settings.time_s is None or settings.time_s > outcome["seconds"]
    return more_trials and more_time


def _limits(settings: Settings) -> dict[str, Any]:
    return {"trials": settings.trials, "time_s": settings.time_s}
