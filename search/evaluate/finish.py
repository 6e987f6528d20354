"""The end of a search: the winner's file is measured in fresh processes, and if it fails, the next network's is."""

from __future__ import annotations

import math
import shlex
from dataclasses import replace
from typing import NamedTuple

from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.load.specs import spec_of
from archdsl.numbers import accuracy_text, standard_error
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.final_reading import read_winner
from archdsl.search.evaluate.finalists import Finalists
from archdsl.search.evaluate.float32_reading import with_float32_latency
from archdsl.search.evaluate.handed_over import HandedOver
from archdsl.search.evaluate.held_out import winner_accuracy
from archdsl.search.evaluate.kept_weights import (
    KeptWeights,
    beats_chance,
    indistinguishable,
    retraining_s,
)
from archdsl.search.evaluate.trial_run import lost
from archdsl.search.store.clock import more_time_s
from archdsl.search.store.reading import Reading
from archdsl.search.store.verdict import Verdict
from archdsl.search.store.winner import AttemptSummary, Tie, Word
from archdsl.search.trial import Trial
from archdsl.search.worker.process import Failed, OutOfTime, TargetLost, WorkerGone
from archdsl.timing.verdict import Judgement

MORE_TRAINING = "train for longer (--epochs), on more images, or check the labels of the data"


class Attempt(NamedTuple):
    """A network that could be the winner, and what became of it."""

    spec: Spec
    trial: Trial
    kept: KeptWeights | None
    judged: Judgement | None
    """None where it was not measured again; `reason` says why."""
    reading: Reading | None
    reason: str
    is_by_chance: bool = False
    """Whether its accuracy is no better than always naming the largest class."""
    is_left_open: bool = False
    """Whether it is inside the budget by its trial, and was not measured again: the time was over, or the search was
    interrupted.
    """

    @property
    def verdict(self) -> Word:
        """PASS, FAIL or UNSURE."""
        if self.judged is None:
            return "UNSURE" if self.is_left_open else "FAIL"
        return self.judged.verdict

    def summary(self, stat: str) -> AttemptSummary:
        """What `verdict.json` tells of it."""
        name, reading = self.spec.name, self.reading
        unread = AttemptSummary(name, self.trial.network_hash, self.verdict, self.reason, self.trial.latency_ms)
        if reading is None:
            return unread
        timing = _timing(reading, stat)
        return replace(unread, latency_ms=reading.value_ms, interval_ms=reading.interval_ms, timing=timing)


def _timing(reading: Reading, stat: str) -> JsonObject:
    """How a network was measured again, under the names that a trial's reading has."""
    statistics = {f"{name}_ms": value for name, value in reading.latency_ms.items()}
    facts: JsonObject = {"stat": stat, "interval_ms": None if reading.interval_ms is None else [*reading.interval_ms]}
    counts = {"rounds": reading.rounds, "undisturbed": reading.undisturbed, "processes": reading.processes}
    return {**statistics, **facts, **counts, "provenance": reading.conditions}


def settle(context: Context, finalists: Finalists) -> Verdict:
    """Write the front, and find the first network that keeps the budget when its file is measured again.

    Finalists are tried first, then the others of the front; one whose weights are not here, and that there is no time
    to train again, is tried when all others are. The next one is tried after a FAIL and after an interval that contains
    the budget; where the machine is what leaves it open, the next would be UNSURE as well. If none passes, the first
    UNSURE one that was measured is the winner. Once the time is over, only the fastest of those that are left is tried.
    """
    context.clock.keep_for_retraining(0.0)  # now is the time that was kept
    handed_over = HandedOver(context)
    ranked = handed_over.ranked(finalists.ranked())
    context.state.front = finalists.front()
    context.folder.write_front(context.state.front)
    if context.options.role == "train":
        return Verdict(None, "this machine only trains; a machine that measures chooses the winner", None, None)
    attempts: list[Attempt] = []
    left = list(ranked)
    while left and not context.is_ending:
        late = bool(attempts) and context.clock.left is not None and context.clock.left < 0
        ready = [trial for trial in left if _has_weights_in_time(context, trial)]
        trial = min(ready or left, key=_latency) if late else (ready or left)[0]
        left = [] if late else [other for other in left if other is not trial]
        attempt = _attempt(context, trial, handed_over)
        attempts.append(attempt)
        if attempt.verdict == "PASS" or (attempt.judged is not None and attempt.judged.is_disturbed):
            break
    return with_float32_latency(context, _verdict(context, ranked, attempts, handed_over))


def _has_weights_in_time(context: Context, trial: Trial) -> bool:
    """Whether a network's weights are here, or there is time to train it again for them."""
    left, needed_s = context.clock.left_to_train, retraining_s(context, trial)
    return left is None or needed_s == 0 or needed_s <= left


def _latency(trial: Trial) -> float:
    return math.inf if trial.latency_ms is None else trial.latency_ms


def _attempt(context: Context, trial: Trial, handed_over: HandedOver) -> Attempt:
    """A network's weights, then its latency as they are handed over."""
    spec, kept = spec_of(trial.document), None
    context.doing(spec.name, "measuring the winner in fresh processes")
    if context.data is None:
        return Attempt(spec, trial, None, None, None, "its accuracy cannot be computed, since the data was not loaded")
    try:
        kept, chance = handed_over.of(trial), context.data.chance
        if not beats_chance(kept, chance):
            return Attempt(spec, trial, kept, None, None, _no_better_than_chance(kept, chance), is_by_chance=True)
        context.doing(spec.name, "measuring the winner in fresh processes")
        judged, reading = read_winner(context, spec, kept.path, trial.latency_ms or 0.0)
    except OutOfTime:
        return Attempt(spec, trial, kept, None, None, _out_of_time(context, trial, kept), is_left_open=True)
    except TargetLost as error:
        raise lost(context, error) from error
    except (Failed, WorkerGone) as error:
        return Attempt(spec, trial, kept, None, None, str(error))
    except KeyboardInterrupt:
        if context.is_interrupted:  # once more stops at once
            raise
        context.is_interrupted = context.is_ending = True
        interrupted = f"{_inside_text(context, trial)}, but the search was interrupted before it was measured again"
        return Attempt(spec, trial, kept, None, None, interrupted, is_left_open=True)
    context.watcher(context.state, f"{spec.name}: {judged.verdict}: {judged.reason}")
    return Attempt(spec, trial, kept, judged, reading, judged.reason)


def _out_of_time(context: Context, trial: Trial, kept: KeptWeights | None) -> str:
    """Why a network inside the budget is neither handed over nor refused."""
    missing = "there was no time to measure it again"
    if kept is None:
        is_cached = "since its accuracy came from the cache, which keeps no weights, " * (trial.outcome == "cached")
        missing = f"its weights are not here, {is_cached}and there was no time to train it again"
    return f"{_inside_text(context, trial)}, but {missing}"


def _inside_text(context: Context, trial: Trial) -> str:
    trial_ms = "" if trial.latency_ms is None else f" ({context.settings.stat} {trial.latency_ms:.2f} ms in its trial)"
    return f"it is inside the budget{trial_ms}"


def _no_better_than_chance(kept: KeptWeights, chance: float) -> str:
    which = "validation" if kept.held_out_accuracy is None else "held-out"
    value = f"{which} accuracy {accuracy_text(kept.accuracy, kept.error)}"
    return f"{value} is not two standard errors above {accuracy_text(chance)}, the share of the largest class"


def _verdict(context: Context, ranked: list[Trial], attempts: list[Attempt], handed_over: HandedOver) -> Verdict:
    """PASS of the last attempt, else the first UNSURE one, else FAIL with the nearest miss."""
    summaries = [attempt.summary(context.settings.stat) for attempt in attempts]
    if attempts:
        _keep_in_front(context, attempts)
    passed = next((attempt for attempt in attempts if attempt.verdict == "PASS"), None)
    unsure = [attempt for attempt in attempts if attempt.verdict == "UNSURE"]
    winner = passed or next((attempt for attempt in unsure if attempt.judged is not None), None)
    if winner is not None:
        assert winner.kept is not None
        network_hash = winner.trial.network_hash
        return Verdict(
            winner.verdict,
            winner.reason,
            winner.spec,
            winner.trial,
            winner.reading,
            summaries,
            winner_accuracy(context.records, network_hash, winner.kept, context.loaded.chance),
            _ties(ranked, winner, handed_over),
            str(winner.kept.path),
        )
    if unsure:
        reason = f"{unsure[0].reason}; {_how_to_go_on(context)}"
        return Verdict("UNSURE", reason, unsure[0].spec, unsure[0].trial, None, summaries)
    measured = [(attempt.reading.value_ms, attempt) for attempt in attempts if attempt.reading is not None]
    if not measured:
        return _nearest_miss(context, attempts, summaries)
    _, nearest = min(measured, key=lambda pair: pair[0])
    return Verdict("FAIL", nearest.reason, nearest.spec, nearest.trial, nearest.reading, summaries)


def _how_to_go_on(context: Context) -> str:
    """What to do where the search ended before it could tell."""
    command = ["archdsl", "search", "--out", str(context.folder.path), "--resume"]
    if context.is_interrupted:
        return f"to continue: {shlex.join(command)}"
    more_s = more_time_s(context.clock.limit or 0.0, context.clock.elapsed)
    return f"give more time: {shlex.join([*command, '--time', f'{more_s}s'])}"


def _nothing_measured(context: Context, summaries: list[AttemptSummary]) -> Verdict:
    """UNSURE where the search ended before its first trial: it shows nothing of any network."""
    if context.is_interrupted:
        why = "the search was interrupted before its first trial"
    elif context.clock.limit is not None:
        why = "the time limit was reached before the first trial ended"
    else:
        return Verdict("FAIL", "no trial ended", None, None, None, summaries)
    return Verdict("UNSURE", f"{why}; {_how_to_go_on(context)}", None, None, None, summaries)


def _keep_in_front(context: Context, attempts: list[Attempt]) -> None:
    """Networks that were measured again stand in the table, also where longer trainings put another ahead of them."""
    shown = {trial.network_hash for trial in context.state.front}
    missing = [attempt.trial for attempt in attempts if attempt.trial.network_hash not in shown]
    if missing:
        context.state.front = [*context.state.front, *missing]
        context.folder.write_front(context.state.front)


def _ties(ranked: list[Trial], winner: Attempt, handed_over: HandedOver) -> list[Tie]:
    """Networks trained as long as the winner whose accuracy the validation images cannot tell from its."""
    assert winner.kept is not None
    ties = []
    for trial in ranked:
        training = handed_over.compared(trial)
        if trial.network_hash == winner.trial.network_hash or training is None or trial.latency_ms is None:
            continue
        if indistinguishable(winner.kept, training):
            accuracy = training.validation_accuracy if isinstance(training, KeptWeights) else training.accuracy
            error = standard_error(accuracy, len(training.answers))
            ties.append(Tie(trial.name, trial.network_hash, trial.latency_ms, accuracy, error))
    return ties


def _nearest_miss(context: Context, attempts: list[Attempt], summaries: list[AttemptSummary]) -> Verdict:
    """Where nothing was measured again: the fastest that was measured at all, and why it is no winner."""
    below_chance = [attempt for attempt in attempts if attempt.is_by_chance]
    if below_chance:
        first = below_chance[0]
        return Verdict("FAIL", f"{first.reason}; {MORE_TRAINING}", first.spec, first.trial, None, summaries)
    measured = [trial for trial in context.trials if trial.can_win and trial.latency_ms is not None]
    reasons = [trial.reason for trial in context.trials if trial.outcome == "failed"]
    reasons += [attempt.reason for attempt in attempts]
    reason = reasons[-1] if reasons else None
    if not measured:
        if reason is None:
            return _nothing_measured(context, summaries)
        return Verdict("FAIL", reason, None, None, None, summaries)
    trial = min(measured, key=_latency)
    spec, reading = spec_of(trial.document), trial.measurement
    if trial.is_over_gate and reading is not None and reading.is_disturbed:
        few = f"only {reading.undisturbed} of {reading.rounds} rounds were undisturbed, fewer than a quarter"
        return Verdict("UNSURE", f"{trial.reason}, but {few}", spec, trial, None, summaries)
    why = trial.reason if trial.is_over_gate else trial.reason or reason or "it was not trained"
    return Verdict("FAIL", why, spec, trial, None, summaries)
