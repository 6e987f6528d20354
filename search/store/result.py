"""What a search found, and what became of its promise; also as it stands in a run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from archdsl.errors import SearchError
from archdsl.language.document import Spec
from archdsl.load.specs import spec_of
from archdsl.search.config import Settings
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.front import Record
from archdsl.search.store.machine_load import Disturbed
from archdsl.search.store.reading import NO_READING, Reading
from archdsl.search.store.verdict import Verdict
from archdsl.search.store.winner_files import write_winner


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
    disturbed: Disturbed = Disturbed(0, 0)
    """Readings that a busy machine disturbed."""

    @property
    def winner(self) -> Spec | None:
        """The backbone that is handed over: it kept the budget when it was measured again, or may keep it (UNSURE)."""
        return self.verdict.spec if self.verdict.has_winner else None

    @property
    def trials(self) -> int:
        """Distinct networks that were measured, or failed before."""
        return trials_in(self.records)

    @property
    def held_out(self) -> dict[str, Any] | None:
        """The winner's accuracy on images that no choice has seen: of the weights that are handed over."""
        accuracy = self.verdict.accuracy
        return None if accuracy is None else accuracy["held_out"]

    def as_json(self) -> dict[str, Any]:
        """The facts for programs."""
        verdict = self.verdict
        return {
            "folder": str(self.folder),
            "space": self.settings.space["name"],
            **_judged(verdict),
            "winner": self.winner.to_json() if self.winner else None,
            "nearest_miss": verdict.spec.to_json() if verdict.spec and not verdict.has_winner else None,
            "stat": self.settings.stat,
            "budget_ms": self.settings.latency_budget_ms,
            "front": self.front,
            "trials": self.trials,
            "disturbed_readings": list(self.disturbed),
            "interrupted": self.interrupted,
        }


def _judged(verdict: Verdict) -> dict[str, Any]:
    """What `verdict.json` and `--json` say of the promise alike."""
    accuracy = verdict.accuracy or {}
    return {
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "passed": verdict.passed,
        "latency": verdict.latency,
        **(NO_READING if verdict.reading is None else verdict.reading.as_json()),
        **{name: accuracy.get(name) for name in ("held_out", "validation", "chance", "per_class", "balanced_accuracy")},
        "ties": list(verdict.ties),
    }


def trials_in(records: list[Record]) -> int:
    """The number of trials; a finalist that was trained longer is none of its own, nor what an earlier run knew."""
    return len({record["hash"] for record in records if "from" not in record["provenance"]})


def keep(folder: RunFolder, result: Result, seconds: float) -> None:
    """Write `verdict.json` and the winner's files; where there is no winner, `nearest.json` in their place."""
    verdict, settings = result.verdict, result.settings
    write_winner(folder, settings, verdict)
    validation = (verdict.accuracy or {}).get("validation")
    outcome = {
        **_judged(verdict),
        "budget_ms": settings.latency_budget_ms,
        "stat": settings.stat,
        "name": verdict.spec.name if verdict.spec else None,
        "hash": verdict.record["hash"] if verdict.record else None,
        "accuracy": validation["accuracy"] if validation else verdict.record["accuracy"] if verdict.record else None,
        "attempts": list(verdict.attempts),
        "finished": not result.interrupted,
        "trials": result.trials,
        "disturbed_readings": list(result.disturbed),
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
    verdict = Verdict(
        _verdict_of(outcome),
        outcome["reason"],
        spec,
        record,
        Reading.from_json(outcome),
        outcome["attempts"],
        _accuracy_of(outcome),
        outcome.get("ties", ()),
        stored_latency=outcome["latency"],
    )
    disturbed = Disturbed(*outcome.get("disturbed_readings", (0, 0)))
    front = folder.read("front.json") or []
    return Result(folder.path, settings, records, front, verdict, False, outcome["device"], disturbed)


def _verdict_of(outcome: dict[str, Any]) -> Literal["PASS", "FAIL", "UNSURE"] | None:
    """As `verdict.json` says it; those of earlier versions say PASS or FAIL by `passed` alone."""
    if "verdict" in outcome:
        verdict: Literal["PASS", "FAIL", "UNSURE"] | None = outcome["verdict"]
        return verdict
    return "PASS" if outcome["passed"] else "FAIL"


def _accuracy_of(outcome: dict[str, Any]) -> dict[str, Any] | None:
    if outcome.get("held_out") is None and outcome.get("validation") is None:
        return None
    return {name: outcome.get(name) for name in ("validation", "held_out", "chance", "per_class", "balanced_accuracy")}


def _goes_on(settings: Settings, outcome: dict[str, Any]) -> bool:
    """Whether both limits leave room beyond what was done under other ones."""
    if _limits(settings) == outcome["limits"]:
        return False
    more_trials = settings.trials is None or settings.trials > outcome["trials"]
    more_time = settings.time_s is None or settings.time_s > outcome["seconds"]
    return more_trials and more_time


def _limits(settings: Settings) -> dict[str, Any]:
    return {"trials": settings.trials, "time_s": settings.time_s}
