"""Trials of earlier runs in a new study: what they trained is known where it is a point of the new space.

A changed space is a new study, since its optimiser has other variables; the networks that were trained are the same.
An accuracy is taken over only if everything that it depends on is equal; a latency is measured anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from archdsl.errors import SearchError, SpecError
from archdsl.load import spec_of
from archdsl.schema.canonical import canonical_hash
from archdsl.schema.space import Space
from archdsl.search import cache
from archdsl.search.front import Record
from archdsl.search.ladder import training_key
from archdsl.search.run_folder import RunFolder
from archdsl.search.settings import Settings
from archdsl.spaces import choices_of, point

_FEWER = "were never trained", "are no points of this space", "were trained otherwise"
NEVER, ELSEWHERE, OTHERWISE = _FEWER


class Known(NamedTuple):
    """What earlier runs bring into a study."""

    choices: list[dict[str, Any]]
    """Of the networks whose accuracy is known, the most accurate first."""
    origins: dict[str, str]
    """The folder that each of them comes from, by hash."""
    told: list[str]
    """A line for each folder: how many of how many, and why not the others."""


def known_from(folders: Sequence[str], space: Space, settings: Settings, data: dict[str, Any]) -> Known:
    """What the runs in these folders know of a space, in the data's channels and classes; it goes into the cache.

    Raises:
        SearchError: a folder holds no run that can be read.
    """
    found, origins, told = list[tuple[float, dict[str, Any]]](), dict[str, str](), list[str]()
    for path in folders:
        folder = RunFolder(Path(path))
        before, records = folder.settings(), folder.records()
        trials = [record for record in records if record["rung"] != "train_longer"]
        reasons = Counter[str]()
        for record in trials:
            choices = _taken(record, space, settings, data, reasons)
            if choices is not None and record["hash"] not in origins:
                origins[record["hash"]] = path
                found.append((record["accuracy"], choices))
        told.append(_line(path, len(trials), reasons, _difference(before, settings)))
    found.sort(key=lambda pair: -pair[0])
    return Known([choices for _, choices in found], origins, told)


def _taken(
    record: Record, space: Space, settings: Settings, data: dict[str, Any], reasons: Counter[str]
) -> dict[str, Any] | None:
    """The choices of a trial whose accuracy holds here, which is put into the cache; else why not is counted."""
    facts = record["provenance"].get("proxy")
    if record["accuracy"] is None or facts is None:
        reasons[NEVER] += 1
        return None
    try:
        spec = spec_of(record["spec"])
    except SpecError:
        reasons[ELSEWHERE] += 1
        return None
    choices = choices_of(space, spec)
    if choices is None:
        reasons[ELSEWHERE] += 1
        return None
    key = training_key(canonical_hash(point(space, choices.__getitem__)[0]), settings, data, settings.epochs)
    if facts.get("key") != key:
        reasons[OTHERWISE] += 1
        return None
    values = {name: facts[name] for name in ("error", "seconds")}
    cache.put(key, {"accuracy": record["accuracy"], **values, "facts": facts})
    return choices


def _line(path: str, trials: int, reasons: Counter[str], difference: str) -> str:
    """`runs/a: 12 of 20 trials are known here; 5 were never trained, 3 are no points of this space`."""
    parts = [f"{reasons[reason]} {reason}" for reason in _FEWER if reasons[reason]]
    if reasons[OTHERWISE]:
        parts[-1] += f" ({difference or 'other data, device type, torch or recipe'})"
    taken = trials - reasons.total()
    return f"{path}: {taken} of {trials} trials are known here" + (f"; {', '.join(parts)}" if parts else "")


def _difference(before: Settings, now: Settings) -> str:
    """Settings of training in which two runs differ."""
    fields = ("data", "epochs", "images", "seed", "device")
    differ = [name for name in fields if getattr(before, name) != getattr(now, name)]
    return ", ".join(f"{name} {getattr(before, name)} there, {getattr(now, name)} here" for name in differ)


def check_folders(folders: Iterable[str]) -> None:
    """Refuse folders that hold no run, before anything is begun.

    Raises:
        SearchError: one of them holds none.
    """
    for path in folders:
        try:
            RunFolder(Path(path)).settings()
        except SearchError as error:
            raise SearchError(str(error).replace("no run to resume", "no run to take trials from")) from None
