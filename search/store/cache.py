"""Results that outlive a run: no network is trained twice under equal settings. Latencies are measured in every run.

A result is a small JSON file, named by a hash of everything that it depends on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from archdsl.files import cache_folder, read_json, write_text
from archdsl.json_types import Json, JsonObject
from archdsl.latency.tables import kept
from archdsl.search.config import Settings
from archdsl.search.loaded_data import DataFacts
from archdsl.search.training_record import Training
from archdsl.training.fidelity import fidelity_of
from archdsl.training.recipe import RECIPE

_NAME = re.compile(r"[0-9a-f]{32}\.json")


def key(**facts: Json) -> str:
    """The name of a result, from everything that it depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def training_key(
    network_hash: str, settings: Settings, data: DataFacts, lengthen: float = 1.0, inheriting: JsonObject | None = None
) -> str:
    """The name of a proxy accuracy: all that it depends on, the network by its hash; the parent too, if there is one.

    On a CPU the batch is always the same, and what earlier versions trained there holds.
    """
    fidelity = fidelity_of(settings, data.images, lengthen)
    device = settings.device.partition(":")[0]
    batch = {"batch": fidelity.batch} if device == "cuda" else {}
    return key(
        network=network_hash,
        training=settings.training_key(),
        data=data.fingerprint,
        epochs=fidelity.epochs,
        device=device,
        torch=data.torch,
        recipe=RECIPE,
        **batch,
        **({} if inheriting is None else {"inheriting": inheriting}),
    )


def get(name: str) -> JsonObject | None:
    """A stored result, or None; one that cannot be read counts as absent."""
    with contextlib.suppress(RuntimeError):  # there is no home folder
        return read_json(_path(name))
    return None


def put(name: str, result: JsonObject) -> None:
    """Store a result; a cache that cannot be written is no reason to stop a search."""
    with contextlib.suppress(OSError, RuntimeError):  # the latter where there is no home folder
        path = _path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(result))


class StoredTraining(NamedTuple):
    """A training as the cache holds it: never with its weights."""

    accuracy: float
    seconds: float
    training: Training

    @classmethod
    def from_json(cls, result: JsonObject) -> StoredTraining | None:
        """Of a stored result; None where it is nothing whole."""
        accuracy, seconds, facts = (result.get(name) for name in ("accuracy", "seconds", "facts"))
        if result.keys() != _OF_A_TRAINING or not isinstance(facts, dict):
            return None
        if not isinstance(accuracy, int | float) or not isinstance(seconds, int | float):
            return None
        try:
            return cls(accuracy, seconds, Training.from_json(facts))
        except ValidationError:
            return None

    def as_json(self) -> JsonObject:
        """To be stored."""
        error, facts = self.training.error, self.training.as_json()
        return {"accuracy": self.accuracy, "error": error, "seconds": self.seconds, "facts": facts}


_OF_A_TRAINING = {"accuracy", "error", "seconds", "facts"}


def get_training(name: str) -> StoredTraining | None:
    """A stored training, or None."""
    result = get(name)
    return None if result is None else StoredTraining.from_json(result)


class Contents(NamedTuple):
    """What the cache holds."""

    folder: Path
    results: int
    bytes: int
    seconds: float
    """What the trainings took whose results are kept."""
    oldest: float | None
    """When the first and the last were written, in seconds since 1970."""
    newest: float | None
    tables: int
    """Files of `archdsl lut`: tables, and the times of parts."""
    table_bytes: int


def contents() -> Contents:
    """What is kept, counted."""
    files, tables = _files(), kept.files()
    entries = [(path.stat(), get(path.stem) or {}) for path in files if path.exists()]
    seconds = (result.get("seconds") for _, result in entries)
    times = [stat.st_mtime for stat, _ in entries]
    return Contents(
        folder=cache_folder(),
        results=len(entries),
        bytes=sum(stat.st_size for stat, _ in entries),
        seconds=sum(spent for spent in seconds if isinstance(spent, int | float)),
        oldest=min(times, default=None),
        newest=max(times, default=None),
        tables=len(tables),
        table_bytes=sum(path.stat().st_size for path in tables if path.exists()),
    )


def clear() -> int:
    """Remove every result and table, and nothing else that may lie in the folder; how many files there were.

    Raises:
        OSError: one cannot be removed.
    """
    files = _files() + kept.files()
    for path in files:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is in it
            path.parent.rmdir()
    return len(files)


def _path(name: str) -> Path:
    """The file of a result."""
    return cache_folder() / name[:2] / f"{name}.json"


def _files() -> list[Path]:
    """The files that `put` wrote."""
    paths = sorted(cache_folder().glob("[0-9a-f][0-9a-f]/*.json"))
    return [path for path in paths if _NAME.fullmatch(path.name) and path.name[:2] == path.parent.name]
