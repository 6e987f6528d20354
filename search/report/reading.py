"""The files of a run's folder, taken as they are: damaged, cut off, or of a later version."""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import dataclass
from pathlib import Path

from archdsl.errors import WrongUse
from archdsl.json_types import Json, JsonObject
from archdsl.runtimes.setting import with_runtime

_FILES_OF_A_RUN = ("run.json", "trials.jsonl")
_MOST_NAMED = 3


class NoRun(WrongUse):
    """The folder is not there, or no search was run in it."""


@dataclass(frozen=True)
class RunFiles:
    """What the folder holds; an empty value stands for what is missing or cannot be read."""

    folder: Path
    settings: JsonObject
    records: list[JsonObject]
    front: list[Json]
    verdict: JsonObject
    noise: JsonObject
    clock: JsonObject
    library: JsonObject
    winner: bytes | None
    problems: list[str]
    """What could not be read, each with its file."""


def read_files(folder: Path) -> RunFiles:
    """The files of a run; nothing is changed in the folder.

    Raises:
        NoRun: no search was run there.
    """
    check_run(folder)
    problems: list[str] = []
    settings, verdict, noise, clock, library = (
        _object(folder / f"{name}.json", problems) for name in ("run", "verdict", "noise", "clock", "library")
    )
    if not (folder / "run.json").is_file():
        problems.append("run.json is missing: the settings of the search are unknown")
    return RunFiles(
        folder=folder,
        settings=with_runtime(settings),
        records=_records(folder / "trials.jsonl", problems),
        front=_list(folder / "front.json", problems),
        verdict=verdict,
        noise=noise,
        clock=clock,
        library=library,
        winner=_bytes(folder / "winner.json", problems),
        problems=problems,
    )


def check_run(folder: Path) -> None:
    """Refuse a folder in which no search was run.

    Raises:
        NoRun: it has none of the files that every run has.
    """
    if not any((folder / name).is_file() for name in _FILES_OF_A_RUN):
        raise NoRun(_no_run(folder))


def number(value: Json) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def text(value: Json, default: str = "") -> str:
    """A text, or the default."""
    return value if isinstance(value, str) else default


def mapping(value: Json) -> JsonObject:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Json) -> list[Json]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else []


def numbers(value: Json) -> list[float]:
    """The finite numbers of a list."""
    return [item for item in map(number, items(value)) if item is not None]


def _no_run(folder: Path) -> str:
    if not folder.exists():
        return f"no such folder: {folder}{_runs_beside(folder)}"
    missing = " and ".join(_FILES_OF_A_RUN)
    return f"{folder} holds no run: {missing} are not there; name a folder that archdsl search made"


def _runs_beside(folder: Path) -> str:
    """The run that was meant, by its path, else the newest ones that lie where this one was looked for."""
    runs = {path.parent.name: path.stat().st_mtime for path in folder.parent.glob("*/run.json")}
    close = difflib.get_close_matches(folder.name, runs, n=1)
    if close:
        return f"; did you mean {folder.parent / close[0]}?"
    newest = sorted(runs, key=lambda name: runs[name], reverse=True)[:_MOST_NAMED]
    return f"; the newest runs there: {', '.join(str(folder.parent / name) for name in newest)}" if newest else ""


def _bytes(path: Path, problems: list[str]) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        problems.append(f"{path.name} cannot be read: {error.strerror or error}")
        return None


def _object(path: Path, problems: list[str]) -> JsonObject:
    content = _json(path, {}, problems)
    if not isinstance(content, dict):
        problems.append(f"{path.name} holds no object")
        return {}
    return content


def _list(path: Path, problems: list[str]) -> list[Json]:
    content = _json(path, [], problems)
    if not isinstance(content, list):
        problems.append(f"{path.name} holds no list")
        return []
    return content


def _json(path: Path, default: Json, problems: list[str]) -> Json:
    """The content of a JSON file, or the default where there is none that can be read."""
    data = _bytes(path, problems)
    if data is None:
        return default
    try:
        return _strict(json.loads(data))
    except (ValueError, RecursionError) as error:
        problems.append(f"{path.name} cannot be read: {(str(error).splitlines() or [type(error).__name__])[0]}")
        return default


def _records(path: Path, problems: list[str]) -> list[JsonObject]:
    """The lines that can be read; each other line is a problem, a last one that a kill cut off is named as such."""
    lines = (_bytes(path, problems) or b"").split(b"\n")
    records = []
    for place, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = _strict(json.loads(line))
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            records.append(record)
        elif place == len(lines):
            problems.append(
                f"{path.name}:{place}: the last line is cut off, perhaps because the search was killed; it is left out"
            )
        else:
            problems.append(f"{path.name}:{place}: not a record; the line is left out")
    return records


def _strict(value: Json) -> Json:
    """The same without what strict JSON and UTF-8 do not have: NaN, infinities, halves of surrogate pairs."""
    if isinstance(value, dict):
        return {_utf8(key): _strict(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_strict(inner) for inner in value]
    if isinstance(value, str):
        return _utf8(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _utf8(value: str) -> str:
    return value.encode("utf-8", "replace").decode()
