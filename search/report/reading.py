"""The files of a run's folder, taken as they are found: damaged, cut off, or of a later version."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from archdsl.errors import WrongUse, nearest
from archdsl.runtimes.setting import with_runtime

_OF_A_RUN = ("run.json", "trials.jsonl")


class NoRun(WrongUse):
    """The folder is not there, or no search was run in it."""


class RunFiles(NamedTuple):
    """What the folder holds; an empty value stands for what is missing or cannot be read."""

    folder: Path
    settings: dict[str, Any]
    records: list[dict[str, Any]]
    front: list[Any]
    verdict: dict[str, Any]
    noise: dict[str, Any]
    clock: dict[str, Any]
    winner: bytes | None
    problems: list[str]
    """What could not be read, each with its file."""


def read_files(folder: Path) -> RunFiles:
    """The files of a run; nothing is changed in the folder.

    Raises:
        NoRun: no search was run there.
    """
    if not any((folder / name).is_file() for name in _OF_A_RUN):
        raise NoRun(_no_run(folder))
    problems: list[str] = []
    objects = (_json(folder / f"{name}.json", dict, problems) for name in ("run", "verdict", "noise", "clock"))
    settings, verdict, noise, clock = objects
    settings = with_runtime(settings)
    if not (folder / "run.json").is_file():
        problems.append("run.json is missing: what was asked for is not known")
    records = _records(folder / "trials.jsonl", problems)
    front = _json(folder / "front.json", list, problems)
    winner = _bytes(folder / "winner.json", problems)
    return RunFiles(folder, settings, records, front, verdict, noise, clock, winner, problems)


def number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def text(value: Any, default: str = "") -> str:
    """A text, or the default."""
    return value if isinstance(value, str) else default


def mapping(value: Any) -> dict[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def timing_of(value: Any) -> dict[str, Any]:
    """How a latency was measured; what an earlier version calls `mode` is its runtime."""
    timing = mapping(value)
    origin = timing.get("provenance")
    return timing | {"provenance": with_runtime(origin)} if isinstance(origin, dict) else timing


def numbers(value: Any) -> list[float]:
    """The finite numbers of a list."""
    found = (number(item) for item in value) if isinstance(value, list) else ()
    return [item for item in found if item is not None]


def _no_run(folder: Path) -> str:
    if not folder.exists():
        known = [path.parent.name for path in folder.parent.glob("*/run.json")]
        hint = nearest(folder.name, known) if known else ""
        return f"no such folder: {folder}" + (f"; {hint}" if hint else "")
    return f"{folder} holds no run: {' and '.join(_OF_A_RUN)} are not there; name a folder that archdsl search made"


def _bytes(path: Path, problems: list[str]) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        problems.append(f"{path.name} cannot be read: {error.strerror or error}")
        return None


def _json(path: Path, kind: type, problems: list[str]) -> Any:
    """The content of a JSON file if it is of that kind, else an empty one."""
    data = _bytes(path, problems)
    if data is None:
        return kind()
    try:
        found = _plain(json.loads(data))
    except (ValueError, RecursionError) as error:
        problems.append(f"{path.name} cannot be read: {_first_line(error)}")
        return kind()
    if not isinstance(found, kind):
        problems.append(f"{path.name} holds no {'list' if kind is list else 'object'}")
        return kind()
    return found


def _records(path: Path, problems: list[str]) -> list[dict[str, Any]]:
    """The lines that can be read; the others are told, a last one that a kill cut off as such."""
    data = _bytes(path, problems) or b""
    lines = data.split(b"\n")
    found = []
    for place, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = _plain(json.loads(line))
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            found.append(record)
        elif place == len(lines):
            problems.append(f"{path.name}:{place}: the last line was cut off, as by a kill; it is left out")
        else:
            problems.append(f"{path.name}:{place}: no record; the line is left out")
    return found


def _plain(value: Any) -> Any:
    """The same without what strict JSON and UTF-8 do not have: NaN, infinities, halves of surrogate pairs."""
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
