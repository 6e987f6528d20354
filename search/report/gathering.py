"""From a run's folder to its report."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from archdsl.errors import ArchError
from archdsl.language.document import Spec
from archdsl.load.spaces import choices_of
from archdsl.load.specs import parse_spec, spec_of
from archdsl.runtimes.setting import with_runtime
from archdsl.search.propose.study_facts import StudyFacts, study_facts
from archdsl.search.report.agreement import finals, prediction, scores
from archdsl.search.report.classes import balanced_of, classes_of
from archdsl.search.report.facts import LONGER, Attempt, Report, Rung, Trial, Verdict, trial_of
from archdsl.search.report.reading import RunFiles, mapping, number, numbers, read_files, text, timing_of
from archdsl.search.report.reproduce import reproduce
from archdsl.search.store.front import front
from archdsl.search.store.machine_load import Disturbed
from archdsl.search.store.reading import Reading
from archdsl.search.trial import RUNGS
from archdsl.spaces.space import Space


def read_report(folder: str | os.PathLike[str]) -> Report:
    """Everything that a run's folder tells; nothing in it is changed.

    Raises:
        NoRun: no search was run there.
    """
    files = read_files(Path(folder))
    specs = _specs(files)
    records = _with_choices(files, specs)
    trials = _first_of_each([trial for trial in records if trial.rung != LONGER])
    longer = _last_of_each([trial for trial in records if trial.rung == LONGER])
    study = study_facts(files.folder, _objectives(files.settings))
    verdict = _verdict(files.verdict)
    return Report(
        folder=str(files.folder),
        settings=files.settings,
        state=_state(files.verdict),
        seconds=number(files.verdict.get("seconds")) or number(files.clock.get("seconds")),
        facts=with_runtime(mapping(files.verdict.get("device"))) or _device_of(trials),
        gate_ms=number(files.noise.get("gate_ms")),
        noise=number(files.noise.get("noise")),
        trials=trials,
        longer=longer,
        front=_front(files, trials),
        verdict=verdict,
        rungs=_rungs(trials, study),
        refused=study.reason,
        importance=study.importance,
        scores=scores(trials, specs),
        finals=finals(trials, longer),
        prediction=prediction(trials, specs),
        winner=_winner(files),
        reproduce=reproduce(files, verdict),
        problems=files.problems,
    )


def _specs(files: RunFiles) -> dict[str, Spec]:
    """The networks by hash; one that this version cannot read is told once, and does without what needs it."""
    found, unread = dict[str, Spec](), dict[str, str]()
    for record in files.records:
        known = text(record.get("hash"))
        if known and known not in found and known not in unread:
            try:
                found[known] = spec_of(record.get("spec"))
            except (ArchError, ValidationError, RecursionError) as error:
                unread[known] = (str(error).splitlines() or ["unreadable"])[0]
    if unread:
        first = next(iter(unread.values()))
        files.problems.append(f"trials.jsonl: networks that this archdsl cannot read: {len(unread)}; one: {first}")
    return found


def _with_choices(files: RunFiles, specs: Mapping[str, Spec]) -> list[Trial]:
    chosen = _choices(files.settings.get("space"), specs)
    return [trial_of(record, chosen.get(text(record.get("hash")))) for record in files.records]


def _choices(document: Any, specs: Mapping[str, Spec]) -> dict[str, dict[str, Any]]:
    """What each network chose of the space, by hash; nothing where the space cannot be read."""
    try:
        space = Space.model_validate(document)
        found = {
            known: choices_of(space.model_copy(update={"channels": spec.channels, "classes": spec.classes}), spec)
            for known, spec in specs.items()
        }
    except (ArchError, ValidationError, LookupError, TypeError, ValueError):
        return {}
    return {known: choices for known, choices in found.items() if choices is not None}


def _first_of_each(trials: Iterable[Trial]) -> list[Trial]:
    """One a network and number."""
    return list({(trial.number, trial.hash): trial for trial in trials}.values())


def _last_of_each(trials: Iterable[Trial]) -> list[Trial]:
    """One a network: a finalist's mean over the most seeds."""
    return list({trial.hash: trial for trial in trials}.values())


def _objectives(settings: Mapping[str, Any]) -> list[str]:
    written = mapping(settings.get("space")).get("objectives")
    known = [item for item in written if isinstance(item, str)] if isinstance(written, list) else []
    return known or ["max proxy_accuracy", "min latency"]


def _state(verdict: Mapping[str, Any]) -> str:
    if not verdict:
        return "not ended"
    return "finished" if verdict.get("finished") is True else "interrupted"


def _device_of(trials: Iterable[Trial]) -> dict[str, Any]:
    """The device that the first measurement was taken on."""
    return next((found for trial in trials if (found := mapping(trial.timing.get("provenance")))), {})


def _front(files: RunFiles, trials: Sequence[Trial]) -> list[Trial]:
    """In the order in which `front.json` ranks it; computed where the search did not come so far."""
    kept = {trial.hash: trial for trial in trials if trial.accuracy is not None and trial.latency is not None}
    ranked = [text(mapping(item).get("hash")) for item in files.front]
    if any(known in kept for known in ranked):
        return [kept[known] for known in dict.fromkeys(ranked) if known in kept]
    inside = {known: trial for known, trial in kept.items() if trial.inside_budget}
    points = [_Point(t.hash, t.accuracy, t.latency, t.params, t.macs) for t in inside.values()]
    complete = [point for point in points if None not in point]
    try:
        found = front(complete, _objectives(files.settings))
    except (ValueError, LookupError):  # an objective of a later version
        return []
    return [inside[point.network_hash] for point in found]


class _Point(NamedTuple):
    """What a front is made of."""

    network_hash: str
    accuracy: float | None
    latency_ms: float | None
    params: float | None
    macs: float | None


def _verdict(raw: Mapping[str, Any]) -> Verdict:
    attempts = raw.get("attempts")
    passed = None if "verdict" in raw and raw["verdict"] is None else raw.get("passed")
    return Verdict(
        passed=passed if isinstance(passed, bool) else None,
        word=_word(raw) if isinstance(passed, bool) else "",
        name=text(raw.get("name")),
        hash=text(raw.get("hash")),
        latency=number(raw.get("latency")),
        accuracy=number(raw.get("accuracy")),
        reason=text(raw.get("reason")),
        attempts=[_attempt(mapping(item)) for item in attempts] if isinstance(attempts, list) else [],
        reading=_reading(raw),
        disturbed=_disturbed(raw.get("disturbed_readings")),
        held_out=_held_out(mapping(raw.get("held_out"))),
        per_class=(per_class := classes_of(raw.get("per_class"))),
        balanced=balanced_of(per_class),
    )


def _word(raw: Mapping[str, Any]) -> str:
    """PASS, FAIL or UNSURE; earlier versions said whether it passed alone."""
    word = raw.get("verdict")
    return word if word in ("PASS", "FAIL", "UNSURE") else "PASS" if raw.get("passed") is True else "FAIL"


def _reading(raw: Mapping[str, Any]) -> Reading | None:
    """None where a part of it cannot be read."""
    try:
        return Reading.from_json(raw)
    except ValidationError:
        return None


def _disturbed(raw: Any) -> str:
    counts = numbers(raw)
    return str(Disturbed(int(counts[0]), int(counts[1]))) if len(counts) == 2 else ""


def _held_out(raw: Mapping[str, Any]) -> dict[str, Any]:
    """All of it, or nothing where a part cannot be read."""
    found: dict[str, Any] = {name: number(raw.get(name)) for name in ("accuracy", "seeds")}
    if None in found.values():
        return {}
    others = {name: number(raw.get(name)) for name in ("error", "images", "mean", "least", "most")}
    found |= {name: value for name, value in others.items() if value is not None}
    found |= {"images": int(found["images"])} if "images" in found else {}
    return found | {"seeds": int(found["seeds"]), "fidelity": text(raw.get("fidelity"), "a training of unknown length")}


def _attempt(raw: Mapping[str, Any]) -> Attempt:
    return Attempt(
        name=text(raw.get("name"), "unnamed"),
        hash=text(raw.get("hash")),
        latency=number(raw.get("latency")),
        word=_word(raw),
        reason=text(raw.get("reason")),
        timing=timing_of(raw.get("provenance")),
        gate_reading=number(raw.get("gate_reading")),
    )


def _rungs(trials: Sequence[Trial], study: StudyFacts) -> list[Rung]:
    """Every rung that a candidate can end at, and those of a later version that one did."""
    ended: dict[str, Counter[str]] = {}
    for (name, reason), times in study.refusals.items():
        ended.setdefault(name, Counter())[reason] += times
    for trial in trials:
        ended.setdefault(trial.end, Counter())[_reason(trial)] += 1
    names = [*RUNGS, *sorted(set(ended) - set(RUNGS))]
    spent = {name: sum(trial.seconds for trial in trials if trial.end == name) for name in names}
    return [
        Rung(
            name,
            RUNGS.get(name, "a rung that this archdsl does not know"),
            sum(ended.get(name, Counter()).values()),
            spent[name] or None,
            [(reason, times) for reason, times in ended.get(name, Counter()).most_common() if reason],
        )
        for name in names
    ]


def _reason(trial: Trial) -> str:
    """Why it ended; of a latency over the gate the numbers differ each time, and stand with the trials."""
    return "" if trial.end in ("latency", "zero_cost", "halving", "trained") else trial.reason


def _winner(files: RunFiles) -> Spec | None:
    if files.winner is None:
        return None
    try:
        return parse_spec(files.winner, "winner.json")
    except (ArchError, ValidationError, RecursionError) as error:
        files.problems.append(f"winner.json cannot be read: {(str(error).splitlines() or [''])[0]}")
        return None
