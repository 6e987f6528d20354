"""What a search found, and what became of its promise; also as it stands in a run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from archdsl import late
from archdsl.errors import MeasureError, SearchError
from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.latency.provenance import Provenance
from archdsl.load.specs import spec_of
from archdsl.search.config import Settings
from archdsl.search.policy.evaluate import FinalReadingPolicy
from archdsl.search.store.budget_share import BudgetShare
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.machine_load import Disturbed
from archdsl.search.store.parent import ParentSummary
from archdsl.search.store.reading import NO_READING, Reading
from archdsl.search.store.run_schema import LimitsFile, VerdictFile, validation_message
from archdsl.search.store.shortened import shortened_facts
from archdsl.search.store.verdict import Verdict
from archdsl.search.store.winner import AttemptSummary, HeldOutAccuracy, Tie, WinnerAccuracy, Word
from archdsl.search.store.winner_files import write_winner
from archdsl.search.trial import Trial


class Result(NamedTuple):
    """A finished search."""

    folder: Path
    settings: Settings
    records: list[Trial]
    """Every trial, and what finalists gave that were trained longer."""
    front: list[Trial]
    verdict: Verdict
    interrupted: bool
    facts: Provenance | None
    """The device that networks were measured on; None where `verdict.json` does not tell it."""
    disturbed: Disturbed = Disturbed(0, 0)
    """Readings that a busy machine disturbed."""
    budget_share: BudgetShare | None = None
    """How much of the space the latency budget leaves; None without one, and where too little was measured."""
    parent: ParentSummary | None = None
    """The trained network that candidates inherited from."""
    is_stored: bool = False
    """Whether the search had ended before, so that nothing was done now."""
    seconds: float = 0.0
    """What the search took, over all resumes; waiting for the device is not counted."""

    def _repr_html_(self) -> str:
        """What a notebook shows: what the search prints at its end."""
        html: str = late.call("result_html", self)
        return html

    @property
    def winner(self) -> Spec | None:
        """The backbone that is handed over: it kept the budget when it was measured again, or may keep it (UNSURE)."""
        return self.verdict.spec if self.verdict.has_winner else None

    @property
    def trials(self) -> int:
        """Distinct networks that were measured, or failed before."""
        return trials_in(self.records)

    @property
    def held_out(self) -> HeldOutAccuracy | None:
        """The winner's accuracy on images that nothing was chosen by: of the weights that are handed over."""
        accuracy = self.verdict.accuracy
        return None if accuracy is None else accuracy.held_out

    def as_json(self) -> JsonObject:
        """The facts for programs."""
        verdict = self.verdict
        return {
            "folder": str(self.folder),
            "space": self.settings.space["name"],
            **_judged(verdict),
            "winner": self.winner.to_json() if self.winner else None,
            "nearest_miss": verdict.spec.to_json() if verdict.spec and not verdict.has_winner else None,
            "stat": self.settings.stat,
            "budget_ms": self.settings.budgets.latency_ms,
            "front": [trial.as_json() for trial in self.front],
            "trials": self.trials,
            "disturbed_readings": list(self.disturbed),
            "budget_share": None if self.budget_share is None else self.budget_share.as_json(),
            **_parent_facts(self.parent),
            **shortened_facts(self.records),
            "interrupted": self.interrupted,
        }


def _judged(verdict: Verdict) -> JsonObject:
    """What `verdict.json` and `--json` say of the promise alike."""
    return {
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "passed": verdict.passed,
        "latency": verdict.latency,
        **(NO_READING if verdict.reading is None else verdict.reading.as_json()),
        **(verdict.accuracy or WinnerAccuracy()).as_json(),
        "ties": [tie.as_json() for tie in verdict.ties],
    }


def trials_in(records: Sequence[Trial]) -> int:
    """The number of trials; a finalist that was trained longer is none of its own, nor what an earlier run knew."""
    return len({record.network_hash for record in records if record.origin is None or record.is_baseline})


def keep(folder: RunFolder, result: Result, policy: FinalReadingPolicy) -> None:
    """Write `verdict.json` and the winner's files; where there is no winner, `nearest.json` in their place."""
    verdict, settings = result.verdict, result.settings
    write_winner(folder, settings, policy, verdict)
    validation = None if verdict.accuracy is None else verdict.accuracy.validation
    shown = validation or verdict.record
    outcome: JsonObject = {
        **_judged(verdict),
        "budget_ms": settings.budgets.latency_ms,
        "stat": settings.stat,
        "name": verdict.spec.name if verdict.spec else None,
        "hash": verdict.record.network_hash if verdict.record else None,
        "accuracy": shown.accuracy if shown else None,
        "attempts": [attempt.as_json() for attempt in verdict.attempts],
        "finished": not result.interrupted,
        "trials": result.trials,
        "disturbed_readings": list(result.disturbed),
        "budget_share": None if result.budget_share is None else result.budget_share.as_json(),
        **_parent_facts(result.parent),
        **shortened_facts(result.records),
        "seconds": round(result.seconds, 3),
        "limits": _limits(settings).model_dump(),
        "device": {} if result.facts is None else result.facts.as_json(),
    }
    folder.write("verdict.json", outcome)


def stored(folder: RunFolder, settings: Settings) -> Result | None:
    """The result of a finished search, or None where `settings` leave it something to do.

    Raises:
        SearchError: the files of the run contradict each other or cannot be read.
    """
    outcome = folder.read("verdict.json", VerdictFile)
    if outcome is None or not outcome.finished or _goes_on(settings, outcome):
        return None
    records = folder.records()
    record = next((each for each in records if each.network_hash == outcome.hash), None)
    if record is None and outcome.hash is not None:
        raise SearchError(f"{folder.path}/verdict.json names a network that trials.jsonl does not hold")
    try:
        verdict = _verdict(outcome, record)
        share = None if outcome.budget_share is None else BudgetShare.from_json(outcome.budget_share)
        parent = ParentSummary.from_json(outcome.parent)
    except ValidationError as error:
        raise SearchError(f"{folder.path}/verdict.json is damaged: {validation_message(error)}") from None
    disturbed, device = Disturbed(*outcome.disturbed_readings), _device(outcome)
    return Result(
        folder.path,
        settings,
        records,
        folder.front(),
        verdict,
        False,
        device,
        disturbed,
        share,
        parent,
        seconds=outcome.seconds,
    )


def _parent_facts(parent: ParentSummary | None) -> JsonObject:
    """What `verdict.json` and `--json` say of the parent, in a search that has one."""
    return {} if parent is None else {"parent": parent.as_json()}


def _device(outcome: VerdictFile) -> Provenance | None:
    """None where the file does not tell of the device what this version needs to know."""
    try:
        return Provenance.from_json(outcome.device)
    except MeasureError:
        return None


def _verdict(outcome: VerdictFile, record: Trial | None) -> Verdict:
    """As `verdict.json` tells it; those of earlier versions say PASS or FAIL by `passed` alone.

    Raises:
        ValidationError: a part is of another type.
    """
    beside = outcome.model_extra or {}
    word: Word | None = "PASS" if outcome.passed else "FAIL"
    return Verdict(
        outcome.verdict if "verdict" in outcome.model_fields_set else word,
        outcome.reason,
        spec_of(record.document) if record else None,
        record,
        Reading.from_json(beside),
        [AttemptSummary.from_json(attempt) for attempt in outcome.attempts],
        WinnerAccuracy.from_json(beside),
        [Tie.from_json(tie) for tie in outcome.ties],
        stored_latency=outcome.latency,
    )


def _goes_on(settings: Settings, outcome: VerdictFile) -> bool:
    """Whether both limits leave room beyond what was done under other ones; time alone where only time was missing."""
    if _limits(settings) == outcome.limits:
        return False
    more_trials = settings.trials is None or settings.trials > outcome.trials
    more_time = settings.time_s is None or settings.time_s > outcome.seconds
    return more_time and (more_trials or outcome.is_out_of_time)


def _limits(settings: Settings) -> LimitsFile:
    return LimitsFile(trials=settings.trials, time_s=settings.time_s)
