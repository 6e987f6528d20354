"""The commands that do a run's work again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from archdsl import zoo
from archdsl.search.report.facts import Verdict
from archdsl.search.report.reading import RunFiles, mapping, number, text

_MEASURED = ("device", "batch", "dtype", "runtime", "threads", "stat")
_PLAIN = (*_MEASURED, "data", "epochs", "images", "trials", "seed")
_UNITS = {
    "latency_budget_ms": ("latency-budget", "ms"),
    "throughput_budget": ("throughput-budget", "/s"),
    "time_s": ("time", "s"),
}
_COUNTED = {
    "params_budget": ("params-budget", 1e6, "M"),
    "macs_budget": ("macs-budget", 1e6, "M"),
    "memory_budget": ("memory-budget", 1e6, "MB"),
}


def reproduce(files: RunFiles, verdict: Verdict) -> list[tuple[str, str]]:
    """What each command does, and the command; those that the run has something for."""
    settings, folder = files.settings, files.folder
    space = mapping(settings.get("space"))
    if not space:
        return []
    name = text(space.get("name"), "space")
    shipped = _is_shipped(name, space)
    found = []
    if not shipped:
        code = "import json, sys; print(json.dumps(json.load(open(sys.argv[1]))['space']))"
        words = f"python -c {shlex.quote(code)} {shlex.quote(str(folder / 'run.json'))}"
        found.append(("the space, as it was searched", f"{words} > {shlex.quote(f'{name}.json')}"))
    found.append(("the search", search_command(settings, name if shipped else f"./{name}.json")))
    found.append(("this run's end once more, or more of it with a larger --trials or --time", _resume(folder)))
    if verdict.word in ("PASS", "UNSURE"):
        script = folder / "run_winner.py"
        if script.is_file():
            found.append(("the winner's verdict, without the search", f"python {shlex.quote(str(script))}"))
        else:  # a run of an earlier version
            found.append(("the winner's latency", _bench(settings, str(folder / "winner.json"))))
    return found


def search_command(settings: Mapping[str, Any], space: str) -> str:
    """`archdsl search` with every setting written out, so that no default of another version enters."""
    words = ["archdsl", "search", space]
    by_rate = number(settings.get("throughput_budget")) is not None  # the latency budget follows from it
    for field, (option, unit) in _UNITS.items():
        if by_rate and field == "latency_budget_ms":
            continue
        if (value := number(settings.get(field))) is not None:
            words += [f"--{option}", f"{_digits(value)}{unit}"]
    for field, (option, scale, unit) in _COUNTED.items():
        if (value := number(settings.get(field))) is not None:
            words += [f"--{option}", f"{_digits(value / scale)}{unit}"]
    is_default = bool(number(settings.get("least_steps")))  # epochs that are named would not be raised for small data
    words += _options(settings, tuple(name for name in _PLAIN if not (name == "epochs" and is_default)))
    return shlex.join(words)


def _options(settings: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    words = []
    for name in names:
        value = settings.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            words += [f"--{name}", _digits(value) if isinstance(value, float) else str(value)]
    return words


def _digits(value: float) -> str:
    """A number without digits that say nothing: 5.0 is `5`."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _resume(folder: Any) -> str:
    return shlex.join(["archdsl", "search", "--out", str(folder), "--resume"])


def _bench(settings: Mapping[str, Any], winner: str) -> str:
    winner = winner if "/" in winner else f"./{winner}"
    settings = {**settings, "threads": settings.get("threads") or settings.get("chosen_threads")}
    return shlex.join(["archdsl", "bench", winner, *_options(settings, _MEASURED)])


def _is_shipped(name: str, space: Mapping[str, Any]) -> bool:
    """Whether this archdsl ships the very same space under that name."""
    if name not in zoo.spaces():
        return False
    shipped = json.loads(zoo.text(name) or b"{}")
    return all(space.get(key) == value for key, value in shipped.items() if key != "$schema")
