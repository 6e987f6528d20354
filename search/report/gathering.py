"""From a run's folder to its report."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import ValidationError

from archdsl.errors import ArchError
from archdsl.json_types import Json, JsonObject
from archdsl.language.document import Spec
from archdsl.load.spaces import choices_of
from archdsl.load.specs import parse_spec, spec_of
from archdsl.runtimes.by_name import runs_files, runtimes
from archdsl.runtimes.setting import with_runtime
from archdsl.search.network import has_spec
from archdsl.search.policy import SHIPPED, Policy
from archdsl.search.propose.study_facts import StudyFacts, study_facts
from archdsl.search.report.agreement import finals, prediction, scores
from archdsl.search.report.changes import winner_changes
from archdsl.search.report.facts import NextStep, Report, Rung, Verdict
from archdsl.search.report.library import LibraryLines, Tried, library_lines
from archdsl.search.report.next_steps import next_steps
from archdsl.search.report.reading import NoRun, RunFiles, items, mapping, number, read_files, text
from archdsl.search.report.reproduce import reproduce
from archdsl.search.report.trials import LONGER, TrialLine, trial_of
from archdsl.search.report.verdicts import verdict_of
from archdsl.search.store.front import front
from archdsl.search.trial import ONLY_OF_FILES, ONLY_OF_HEIRS, RUNGS
from archdsl.spaces.space import Space


def read_report(folder: str | os.PathLike[str], policy: Policy = SHIPPED) -> Report:
    """Everything that a run's folder holds; nothing in it is changed. `policy` is the one that the search went by.

    Raises:
        NoRun: no search was run there.
    """
    files = read_files(Path(folder))
    specs = _specs(files)
    records = _with_choices(files, specs)
    trials = _first_of_each([trial for trial in records if trial.rung != LONGER])
    longer = _last_of_each([trial for trial in records if trial.rung == LONGER])
    study = study_facts(files.folder, _objectives(files.settings), policy.report)
    verdict = verdict_of(files.verdict)
    noise, state = number(files.noise.get("noise")), _state(files.verdict)
    seconds = number(files.verdict.get("seconds")) or number(files.clock.get("seconds"))
    ranked = _front(files, trials)
    winner = _winner(files)
    inherited = _inherited(verdict, trials, longer)
    return Report(
        folder=str(files.folder),
        settings=files.settings,
        state=state,
        seconds=seconds,
        facts=with_runtime(mapping(files.verdict.get("device"))) or _device_of(trials),
        gate_ms=number(files.noise.get("gate_ms")),
        noise=noise,
        trials=trials,
        longer=longer,
        front=ranked,
        verdict=verdict,
        rungs=_rungs(trials, study),
        refused=study.reason,
        importance=study.importance,
        scores=scores(trials, specs, policy),
        finals=finals(trials, longer, policy.report),
        prediction=prediction(trials, specs, policy, by_formula=_runs_files(files.settings)),
        winner=winner,
        changes=winner_changes(files.folder, files.settings.get("space"), winner),
        inherited=inherited,
        library=_library(files, winner if inherited else None, Tried(trials, specs, verdict.parent)),
        next_steps=next_steps(files, state, verdict, trials, ranked, noise, seconds, policy.report),
        reproduce=reproduce(files, verdict),
        problems=files.problems,
    )


def steps_of(folder: Path, policy: Policy = SHIPPED) -> list[NextStep]:
    """What to do next with a run that has ended; none where its folder holds no run."""
    try:
        files = read_files(folder)
    except NoRun:
        return []
    trials = _first_of_each([trial for record in files.records if (trial := trial_of(record)).rung != LONGER])
    noise, seconds = number(files.noise.get("noise")), number(files.verdict.get("seconds"))
    verdict, state = verdict_of(files.verdict), _state(files.verdict)
    return next_steps(files, state, verdict, trials, _front(files, trials), noise, seconds, policy.report)


def _runs_files(settings: JsonObject) -> bool:
    """Whether networks were exported before they were measured."""
    runtime = text(settings.get("runtime"))
    return runtime in runtimes() and runs_files(runtime)


def _specs(files: RunFiles) -> dict[str, Spec]:
    """The networks by hash; one that this version cannot read is a problem, once, and is left out of what needs it."""
    specs, unread = dict[str, Spec](), dict[str, str]()
    for record in files.records:
        network_hash = text(record.get("hash"))
        if network_hash and network_hash not in specs and network_hash not in unread:
            if not has_spec(mapping(record.get("spec"))):
                continue
            try:
                specs[network_hash] = spec_of(record.get("spec"))
            except (ArchError, ValidationError, RecursionError) as error:
                unread[network_hash] = _first_line(error)
    if unread:
        first = next(iter(unread.values()))
        files.problems.append(
            f"trials.jsonl: this version of archdsl cannot read {len(unread)} networks; the first: {first}"
        )
    return specs


def _with_choices(files: RunFiles, specs: Mapping[str, Spec]) -> list[TrialLine]:
    choices = _choices(files.settings.get("space"), specs)
    return [trial_of(record, choices.get(text(record.get("hash")))) for record in files.records]


def _choices(document: Json, specs: Mapping[str, Spec]) -> dict[str, JsonObject]:
    """What each network chose of the space, by hash; nothing where the space cannot be read."""
    try:
        space = Space.model_validate(document)
        chosen = {
            network_hash: choices_of(
                space.model_copy(update={"channels": spec.channels, "classes": spec.classes}), spec
            )
            for network_hash, spec in specs.items()
        }
    except (ArchError, ValidationError, LookupError, TypeError, ValueError):
        return {}
    return {network_hash: {**choices} for network_hash, choices in chosen.items() if choices is not None}


def _first_of_each(trials: Iterable[TrialLine]) -> list[TrialLine]:
    """One a network and number."""
    return list({(trial.number, trial.hash): trial for trial in trials}.values())


def _last_of_each(trials: Iterable[TrialLine]) -> list[TrialLine]:
    """One a network: a finalist's mean over the most seeds."""
    return list({trial.hash: trial for trial in trials}.values())


def _objectives(settings: JsonObject) -> list[str]:
    written = items(mapping(settings.get("space")).get("objectives"))
    return [item for item in written if isinstance(item, str)] or ["max proxy_accuracy", "min latency"]


def _state(verdict: JsonObject) -> Literal["finished", "interrupted", "not ended"]:
    if not verdict:
        return "not ended"
    return "finished" if verdict.get("finished") is True else "interrupted"


def _device_of(trials: Iterable[TrialLine]) -> JsonObject:
    """The device that the first measurement was taken on."""
    return next((trial.timing.machine for trial in trials if trial.timing.machine), {})


def _front(files: RunFiles, trials: Sequence[TrialLine]) -> list[TrialLine]:
    """In the order in which `front.json` ranks it; computed where the search did not come so far."""
    trained = {trial.hash: trial for trial in trials if trial.accuracy is not None and trial.latency is not None}
    ranked = [text(mapping(item).get("hash")) for item in files.front]
    if any(network_hash in trained for network_hash in ranked):
        return [trained[network_hash] for network_hash in dict.fromkeys(ranked) if network_hash in trained]
    inside = {key: trial for key, trial in trained.items() if trial.inside_budget and has_spec(trial.spec)}
    points = [_Point(line.hash, line.accuracy, line.latency, line.params, line.macs) for line in inside.values()]
    complete = [point for point in points if None not in point]
    try:
        best = front(complete, _objectives(files.settings))
    except (ValueError, LookupError):  # an objective of a later version
        return []
    return [inside[point.network_hash] for point in best]


class _Point(NamedTuple):
    """What a front is computed from."""

    network_hash: str
    accuracy: float | None
    latency_ms: float | None
    params: float | None
    macs: float | None


def _rungs(trials: Sequence[TrialLine], study: StudyFacts) -> list[Rung]:
    """Every rung that a candidate can end at, and those that not every search has, or a later version's, if one did."""
    ended: dict[str, Counter[str]] = {}
    for (name, reason), times in study.refusals.items():
        ended.setdefault(name, Counter())[reason] += times
    for trial in trials:
        ended.setdefault(trial.last_rung, Counter())[_reason(trial)] += 1
    names = [name for name in RUNGS if name in ended or name not in (*ONLY_OF_FILES, *ONLY_OF_HEIRS)]
    names += sorted(set(ended) - set(RUNGS))
    spent = {name: sum(trial.seconds for trial in trials if trial.last_rung == name) for name in names}
    return [
        Rung(
            name,
            RUNGS.get(name, "a rung that this version of archdsl does not know"),
            sum(ended.get(name, Counter()).values()),
            spent[name] or None,
            [(reason, times) for reason, times in ended.get(name, Counter()).most_common() if reason],
        )
        for name in names
    ]


def _reason(trial: TrialLine) -> str:
    """Why it ended; of a latency over the gate the numbers differ each time, and stand with the trials."""
    return "" if trial.last_rung in ("latency", "zero_cost", "halving", "trained") else trial.reason


def _inherited(
    verdict: Verdict, trials: Sequence[TrialLine], longer: Sequence[TrialLine]
) -> list[tuple[str, str, str]]:
    """Of the winner's last training; empty where it did not inherit."""
    mine = [line for line in (*trials, *longer) if line.hash == verdict.hash and verdict.has_winner]
    rows = items(mine[-1].proxy.document.get("inherited_blocks")) if mine else []
    cells = [[text(cell) for cell in items(row)] for row in rows]
    return [(row[0], row[1], row[2]) for row in cells if len(row) == 3]


def _library(files: RunFiles, winner: Spec | None, tried: Tried) -> LibraryLines | None:
    if not files.library:
        return None
    try:
        return library_lines(files.library, files.folder, winner, tried)
    except ValueError as error:
        files.problems.append(f"library.json cannot be read: {_first_line(error)}")
        return None


def _winner(files: RunFiles) -> Spec | None:
    if files.winner is None:
        return None
    try:
        return parse_spec(files.winner, "winner.json")
    except (ArchError, ValidationError, RecursionError) as error:
        files.problems.append(f"winner.json cannot be read: {_first_line(error)}")
        return None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["unknown error"])[0]
