"""Trials of earlier runs in a new study: what they trained is known where it is a point of the new space.

A changed space is a new study, since its optimiser has other variables; the networks that were trained are the same.
An accuracy is taken over only if everything that it depends on is equal; a latency is measured anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from archdsl.errors import NotFound, SearchError, SpecError
from archdsl.json_types import JsonObject
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.spaces import choices_of, point
from archdsl.load.specs import spec_of
from archdsl.search.config import Settings
from archdsl.search.loaded_data import DataFacts
from archdsl.search.network import Choices
from archdsl.search.propose.trial_queue import FROM, RESULT
from archdsl.search.store import cache
from archdsl.search.store.folder import RunFolder, no_run
from archdsl.search.store.run_schema import KnownFile
from archdsl.search.trial import Trial
from archdsl.spaces.space import Space

_FEWER = "were never trained", "are not in this space", "were trained differently"
NEVER, ELSEWHERE, OTHERWISE = _FEWER


class EarlierRuns(NamedTuple):
    """What a run begins with."""

    points: list[tuple[Choices, JsonObject]]
    """Choices, each with what stands beside its trial."""
    origins: dict[str, str]
    """The folder that each network comes from, by hash."""


class EarlierResults(NamedTuple):
    """What earlier runs bring into a study."""

    choices: list[Choices]
    """Of the networks whose accuracy is known, the most accurate first."""
    origins: dict[str, str]
    """The folder that each of them comes from, by hash, in the same order."""
    notes: list[str]
    """A line for each folder: how many of how many, and why not the others."""


def load_earlier_runs(
    folder: RunFolder,
    space: Space,
    settings: Settings,
    data: DataFacts,
    note: Callable[[str], None],
    *,
    is_shared: bool,
    inheriting: JsonObject | None = None,
) -> EarlierRuns:
    """The choices that earlier runs bring into the run of `folder`, each with what goes with its trial.

    What they are is kept in the folder, for a search that is resumed. `is_shared` tells whether other machines work on
    the study, which need what was trained too; `inheriting` is how networks begin here where there is a parent.

    Raises:
        SearchError: as `earlier_results`.
    """
    kept = folder.read("known.json", KnownFile)
    if kept is None:
        return EarlierRuns([], {})
    choices, origins = kept.choices, kept.origins
    if choices is None:
        findings = earlier_results(kept.folders, space, settings, data, inheriting)
        choices, origins = findings.choices, findings.origins
        for line in findings.notes:
            note(line)
        kept = KnownFile(folders=kept.folders, choices=choices, origins=origins)
        folder.write("known.json", kept.model_dump())
    facts = list[JsonObject]()
    for network_hash, path in origins.items():
        trained = _result(network_hash, settings, data) if is_shared else {}
        facts.append({FROM: path, **trained})
    return EarlierRuns(list(zip(choices, facts, strict=True)), origins)


def earlier_latencies(folder: RunFolder, settings: Settings, device_name: str | None) -> list[tuple[Spec, float]]:
    """Networks with their ms, as the runs that the run of `folder` begins with measured them under the same conditions.

    They serve predictions alone. `device_name` is that of the device here; None where no worker told it.
    """
    kept = folder.read("known.json", KnownFile)
    measured = list[tuple[Spec, float]]()
    for path in () if kept is None else kept.folders:
        with suppress(SearchError):  # it was there when the run began
            before, records = RunFolder(Path(path)).settings(), RunFolder(Path(path)).records()
            if (before.measuring(), before.stat) == (settings.measuring(), settings.stat):
                measured += _latencies(records, device_name)
    return measured


def _latencies(records: Iterable[Trial], device_name: str | None) -> Iterator[tuple[Spec, float]]:
    """Of the trials whose latencies were measured on such a device, in rounds that nothing disturbed."""
    for trial in records:
        measurement = trial.measurement
        if trial.is_longer or trial.latency_ms is None or measurement is None or measurement.undisturbed == 0:
            continue
        if (measurement.provenance or {}).get("device_name") == device_name:
            with suppress(SpecError):  # a type of a package that is not installed here
                yield spec_of(trial.document), trial.latency_ms


def _result(network_hash: str, settings: Settings, data: DataFacts) -> JsonObject:
    """What was trained, with its name in the cache, for machines that do not have it."""
    key = cache.training_key(network_hash, settings, data)
    cached = cache.get(key)
    return {} if cached is None else {RESULT: [key, cached]}


def earlier_results(
    folders: Sequence[str],
    space: Space,
    settings: Settings,
    data: DataFacts,
    inheriting: JsonObject | None = None,
) -> EarlierResults:
    """What the runs in these folders know of a space, in the data's channels and classes; it goes into the cache.

    Raises:
        SearchError: a folder holds no run that can be read.
    """
    by_hash, notes = dict[str, tuple[float, str, Choices]](), list[str]()
    for path in folders:
        folder = RunFolder(Path(path))
        before, records = folder.settings(), folder.records()
        trials = [record for record in records if not record.is_longer]
        reasons = Counter[str]()
        for record in trials:
            choices = _taken(record, space, _Key(settings, data, inheriting), reasons)
            if choices is not None and record.network_hash not in by_hash:
                by_hash[record.network_hash] = record.accuracy or 0.0, path, choices
        notes.append(_line(path, len(trials), reasons, _difference(before, settings)))
    ranked = sorted(by_hash.items(), key=lambda item: -item[1][0])
    return EarlierResults(
        [choices for _, (_, _, choices) in ranked], {network_hash: path for network_hash, (_, path, _) in ranked}, notes
    )


class _Key(NamedTuple):
    """What names a short training in the cache."""

    settings: Settings
    data: DataFacts
    inheriting: JsonObject | None

    def of(self, network_hash: str) -> str:
        """The name of a network's."""
        return cache.training_key(network_hash, self.settings, self.data, inheriting=self.inheriting)


def _taken(trial: Trial, space: Space, training_key: _Key, reasons: Counter[str]) -> Choices | None:
    """The choices of a trial whose accuracy holds here, which is put into the cache; else why not is counted."""
    training = trial.training
    if trial.accuracy is None or training is None:
        reasons[NEVER] += 1
        return None
    try:
        spec = spec_of(trial.document)
    except SpecError:
        reasons[ELSEWHERE] += 1
        return None
    choices = choices_of(space, spec)
    if choices is None:
        reasons[ELSEWHERE] += 1
        return None
    key = training_key.of(canonical_hash(point(space, choices.__getitem__)[0]))
    if training.key != key:
        reasons[OTHERWISE] += 1
        return None
    cache.put(key, cache.StoredTraining(trial.accuracy, training.seconds or 0.0, training).as_json())
    return choices


def _line(path: str, trials: int, reasons: Counter[str], difference: str) -> str:
    """`runs/a: 12 of 20 trials can be reused; 5 were never trained, 3 are not in this space`."""
    parts = [f"{reasons[reason]} {reason}" for reason in _FEWER if reasons[reason]]
    if reasons[OTHERWISE]:
        parts[-1] += f" ({difference or 'other data, device type, torch or recipe'})"
    taken = trials - reasons.total()
    return f"{path}: {taken} of {trials} trials can be reused" + (f"; {', '.join(parts)}" if parts else "")


def _difference(before: Settings, now: Settings) -> str:
    """Settings of training in which two runs differ."""
    fields = ("data", "epochs", "least_steps", "images", "seed", "device", "parent")
    differ = [name for name in fields if getattr(before, name) != getattr(now, name)]
    return ", ".join(f"{name} {getattr(before, name)} there, {getattr(now, name)} here" for name in differ)


def check_folders(folders: Iterable[str]) -> None:
    """Refuse folders that hold no run, before anything is begun.

    Raises:
        NotFound: one of them holds none.
        SearchError: the settings in one cannot be read.
    """
    for path in map(Path, folders):
        try:
            RunFolder(path).settings()
        except NotFound:
            raise NotFound(no_run(path, "reuse")) from None
