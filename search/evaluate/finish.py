"""The end of a search: the winner's file is measured in fresh processes, and if it fails, the next network's is."""

from __future__ import annotations

from typing import Any, NamedTuple

from archdsl.language.document import Spec
from archdsl.load.specs import spec_of
from archdsl.numbers import accuracy_text, standard_error
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.final_reading import read_winner
from archdsl.search.evaluate.finalists import Finalists
from archdsl.search.evaluate.held_out import accuracy_facts
from archdsl.search.evaluate.kept_weights import (
    KeptWeights,
    beats_chance,
    indistinguishable,
    recorded_training,
    weights_of,
)
from archdsl.search.evaluate.measuring import was_disturbed
from archdsl.search.store.front import Record
from archdsl.search.store.reading import Reading
from archdsl.search.store.verdict import Verdict
from archdsl.search.worker.process import Failed, OutOfTime, WorkerGone
from archdsl.timing.verdict import Judgement

MORE_TRAINING = "train for longer (--epochs), on more images, or check the labels of the data"


class Attempt(NamedTuple):
    """A network that could be the winner, and what became of it."""

    spec: Spec
    record: Record
    kept: KeptWeights | None
    judged: Judgement | None
    """None where it was not measured again; `reason` says why."""
    reading: Reading | None
    reason: str
    is_by_chance: bool = False
    """Whether its accuracy is no better than always naming the largest class."""

    @property
    def verdict(self) -> str:
        """PASS, FAIL or UNSURE."""
        return "FAIL" if self.judged is None else self.judged.verdict

    def as_json(self, stat: str) -> dict[str, Any]:
        """As `verdict.json` lists it."""
        reading = self.reading
        return {
            "name": self.spec.name,
            "hash": self.record["hash"],
            "verdict": self.verdict,
            "passed": self.verdict == "PASS",
            "reason": self.reason,
            "gate_reading": self.record["latency"],
            "latency": None if reading is None else reading.value_ms,
            "interval_ms": None if reading is None or reading.interval_ms is None else list(reading.interval_ms),
            "provenance": {} if reading is None else _provenance(reading, stat),
        }


def _provenance(reading: Reading, stat: str) -> dict[str, Any]:
    """How a network was measured again, under the names that a trial's reading has."""
    statistics = {f"{name}_ms": value for name, value in reading.latency_ms.items() if name != "all_rounds"}
    facts = {"stat": stat, "interval_ms": reading.interval_ms and list(reading.interval_ms)}
    counts = {"rounds": reading.rounds, "undisturbed": reading.undisturbed, "processes": reading.processes}
    return {**statistics, **facts, **counts, "provenance": reading.conditions}


def settle(context: Context, finalists: Finalists) -> Verdict:
    """Write the front, and find the first network that keeps the budget when its file is measured again.

    Finalists are tried first, then the others of the front. The next one is tried after a FAIL and after an interval
    that contains the budget; where the machine is what leaves it open, the next would be UNSURE as well. If none
    passes, the first UNSURE one is the winner. Once the time is over, only the fastest of those that are left is tried.
    """
    ranked = finalists.ranked()
    context.state.front = finalists.front()
    context.folder.write("front.json", context.state.front)
    if context.options.role == "train":
        return Verdict(None, "this machine only trains; a machine that measures chooses the winner", None, None)
    attempts: list[Attempt] = []
    left = list(ranked)
    while left and not context.is_ending:
        late = bool(attempts) and context.clock.left is not None and context.clock.left < 0
        record = min(left, key=lambda other: other["latency"]) if late else left[0]
        left = [] if late else [other for other in left if other is not record]
        attempt = _attempt(context, record)
        attempts.append(attempt)
        if attempt.verdict == "PASS" or (attempt.judged is not None and attempt.judged.is_disturbed):
            break
    return _verdict(context, ranked, attempts)


def _attempt(context: Context, record: Record) -> Attempt:
    """A network's weights, then its latency as they are handed over."""
    spec, kept = spec_of(record["spec"]), None
    context.doing(spec.name, "measuring the winner in fresh processes")
    if "chance" not in context.data:
        return Attempt(spec, record, None, None, None, "the data was not loaded, on which its accuracy is judged")
    try:
        kept = weights_of(context, record)
        chance = float(context.data["chance"])
        if not beats_chance(kept, chance):
            return Attempt(spec, record, kept, None, None, _no_better_than_chance(kept, chance), is_by_chance=True)
        context.doing(spec.name, "measuring the winner in fresh processes")
        judged, reading = read_winner(context, spec, kept.path, record["latency"])
    except (Failed, WorkerGone, OutOfTime) as error:
        what = "train it again for its weights" if kept is None else "measure it again"
        return Attempt(spec, record, kept, None, None, str(error) or f"there was no time to {what}")
    except KeyboardInterrupt:
        if context.is_interrupted:  # once more stops at once
            raise
        context.is_interrupted = context.is_ending = True
        return Attempt(spec, record, kept, None, None, "the search was interrupted before it was measured again")
    context.watcher(context.state, f"{spec.name}: {judged.verdict}: {judged.reason}")
    return Attempt(spec, record, kept, judged, reading, judged.reason)


def _no_better_than_chance(kept: KeptWeights, chance: float) -> str:
    which = "validation" if kept.held_out_accuracy is None else "held-out"
    value = f"{which} accuracy {accuracy_text(kept.accuracy, kept.error)}"
    return f"{value} is not two standard errors above {accuracy_text(chance)}, the share of the largest class"


def _verdict(context: Context, ranked: list[Record], attempts: list[Attempt]) -> Verdict:
    """PASS of the last attempt, else the first UNSURE one, else FAIL with the nearest miss."""
    told = [attempt.as_json(context.settings.stat) for attempt in attempts]
    if attempts:
        _keep_in_front(context, attempts)
    passed = next((attempt for attempt in attempts if attempt.verdict == "PASS"), None)
    winner = passed or next((attempt for attempt in attempts if attempt.verdict == "UNSURE"), None)
    if winner is not None:
        assert winner.kept is not None
        return Verdict(
            winner.verdict,  # type: ignore[arg-type]  # it is one of the three
            winner.reason,
            winner.spec,
            winner.record,
            winner.reading,
            told,
            accuracy_facts(context.records, winner.record["hash"], winner.kept, float(context.data["chance"])),
            _ties(context, ranked, winner),
            str(winner.kept.path),
        )
    measured = [attempt for attempt in attempts if attempt.reading is not None]
    if not measured:
        return _nearest_miss(context, attempts, told)
    nearest = min(measured, key=lambda attempt: attempt.reading.value_ms if attempt.reading else 0.0)
    return Verdict("FAIL", nearest.reason, nearest.spec, nearest.record, nearest.reading, told)


def _keep_in_front(context: Context, attempts: list[Attempt]) -> None:
    """Networks that were measured again stand in the table, also where longer trainings put another ahead of them."""
    shown = {record["hash"] for record in context.state.front}
    missing = [attempt.record for attempt in attempts if attempt.record["hash"] not in shown]
    if missing:
        context.state.front = [*context.state.front, *missing]
        context.folder.write("front.json", context.state.front)


def _ties(context: Context, ranked: list[Record], winner: Attempt) -> list[dict[str, Any]]:
    """Networks trained as long as the winner whose accuracy the validation images cannot tell from its."""
    assert winner.kept is not None
    ties = []
    for record in ranked:
        training = recorded_training(context, record)
        if record["hash"] == winner.record["hash"] or training is None:
            continue
        if indistinguishable(winner.kept, training):
            facts = {"name": record["spec"]["name"], "hash": record["hash"], "latency": record["latency"]}
            error = standard_error(training.accuracy, len(training.answers))
            ties.append(facts | {"validation_accuracy": training.accuracy, "error": error})
    return ties


def _nearest_miss(context: Context, attempts: list[Attempt], told: list[dict[str, Any]]) -> Verdict:
    """Where nothing was measured again: the fastest that was measured at all, and why it is no winner."""
    below_chance = [attempt for attempt in attempts if attempt.is_by_chance]
    if below_chance:
        first = below_chance[0]
        return Verdict("FAIL", f"{first.reason}; {MORE_TRAINING}", first.spec, first.record, None, told)
    measured = [record for record in context.trials if record["latency"] is not None]
    reasons = [record["reason"] for record in context.trials if record["outcome"] == "failed"]
    reasons += [attempt.reason for attempt in attempts]
    reason = reasons[-1] if reasons else None
    if not measured:
        return Verdict("FAIL", reason or "there was no time for a trial", None, None, None, told)
    record = min(measured, key=lambda other: other["latency"])
    over = record["outcome"] == "fell" and record["rung"] == "latency"
    timing = record["provenance"].get("latency") or {}
    if over and was_disturbed(timing):
        few = f"only {timing['undisturbed']} of {timing['rounds']} rounds were undisturbed, fewer than a quarter"
        return Verdict("UNSURE", f"{record['reason']}, but {few}", spec_of(record["spec"]), record, None, told)
    why = record["reason"] if over else record["reason"] or reason or "it was not trained"
    return Verdict("FAIL", why, spec_of(record["spec"]), record, None, told)
