"""Command lines for a run's work, with every setting written out, so that no default of another version enters."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from archdsl import zoo
from archdsl.json_types import Json, JsonObject
from archdsl.search.report.reading import RunFiles, items, mapping, number, text

_MEASURED = ("device", "batch", "dtype", "runtime", "features_only", "optimize", "threads", "stat")
_PLAIN = (*_MEASURED, "target", "data", "epochs", "images", "sampler", "trials", "seed")
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


def search_command(
    settings: Mapping[str, Json], space: str, earlier: Path | None = None, also: Sequence[str] = ()
) -> str:
    """`archdsl search`; `earlier` is a run whose trainings it takes over, `also` names networks beside the space."""
    is_default = bool(number(settings.get("least_steps")))  # epochs that are named would not be raised for small data
    plain = tuple(name for name in _PLAIN if not (name == "epochs" and is_default))
    taken = ["--from", str(earlier)] if earlier is not None else []
    taken += [word for path in also for word in ("--also", path)]
    parent = _parent_words(settings) + _library_words(settings)
    return shlex.join(["archdsl", "search", space, *_limits(settings), *_options(settings, plain), *parent, *taken])


def train_command(settings: Mapping[str, Json], weights: Path, out: Path) -> str:
    """`archdsl train` of trained weights on the search's data, for as long as the search took."""
    time_s = number(settings.get("time_s")) or 600.0
    words = ["archdsl", "train", str(weights), "--data", text(settings.get("data"), "shapetex")]
    return shlex.join([*words, "--time", f"{digits(time_s)}s", "-o", str(out)])


def _parent_words(settings: Mapping[str, Json]) -> list[str]:
    """The parent, or that there is none where a search would have one without being asked."""
    parent = settings.get("parent")
    if isinstance(parent, str):
        name = text(mapping(settings.get("space")).get("parent"))
        return ["--parent", name if name and str(zoo.shipped_parent(name)) == parent else parent]
    decides_by_itself = settings.get("trains_parent") is True
    return [] if decides_by_itself else ["--parent", "none"]


def _library_words(settings: Mapping[str, Json]) -> list[str]:
    """The library, or that there is none where a search with this parent would fit one without being asked."""
    library, decides_by_itself = settings.get("library"), settings.get("fits_library") is True
    if isinstance(library, str) and library:
        return ["--library", library]
    return [] if decides_by_itself or not isinstance(settings.get("parent"), str) else ["--library", "none"]


def resume_command(folder: Path, *options: str) -> str:
    """The run goes on, or prints its end once more."""
    return shlex.join(["archdsl", "search", "--out", str(folder), "--resume", *options])


def report_command(folder: Path) -> str:
    """`archdsl report` of a run."""
    return shlex.join(["archdsl", "report", str(folder)])


def bench_command(settings: Mapping[str, Json], document: Path, *options: str) -> str:
    """`archdsl bench` of a document under the search's conditions."""
    name = str(document) if "/" in str(document) else f"./{document}"
    settings = {**settings, "threads": settings.get("threads") or settings.get("chosen_threads")}
    if settings.get("target"):
        settings = {**settings, "device": "cpu"}  # where networks are trained is no part of it
    return shlex.join(["archdsl", "bench", name, *_options(settings, (*_MEASURED, "target")), *options])


def doctor_command(settings: Mapping[str, Json], space: str) -> str:
    """`archdsl doctor` of the space under the search's budgets; its own time limit is its default."""
    limits = _limits({**settings, "time_s": None})
    return shlex.join(["archdsl", "doctor", space, *limits, *_options(settings, (*_MEASURED, "data"))])


def space_argument(files: RunFiles) -> str:
    """What a command calls the searched space: the name of a shipped one, or the run's settings, which hold it."""
    name = text(mapping(files.settings.get("space")).get("name"), "space")
    path = str(files.folder / "run.json")
    return name if _is_shipped(name, mapping(files.settings.get("space"))) else path


def baselines_arguments(files: RunFiles) -> list[str]:
    """What `--also` is given for the networks that were named beside the space: the run's settings hold them."""
    return [str(files.folder / "run.json")] if items(files.settings.get("also")) else []


def digits(value: float) -> str:
    """A number without digits that say nothing: 5.0 is `5`."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _limits(settings: Mapping[str, Json]) -> list[str]:
    """The budgets and the time limit as options."""
    words = []
    by_rate = number(settings.get("throughput_budget")) is not None  # the latency budget follows from it
    share = number(settings.get("latency_share"))
    for field, (option, unit) in _UNITS.items():
        if field == "latency_budget_ms" and share is not None:
            words += [f"--{option}", f"{digits(100 * share)}%"]
            continue
        if by_rate and field == "latency_budget_ms":
            continue
        if (value := number(settings.get(field))) is not None:
            words += [f"--{option}", f"{digits(value)}{unit}"]
    for field, (option, scale, unit) in _COUNTED.items():
        if (value := number(settings.get(field))) is not None:
            words += [f"--{option}", f"{digits(value / scale)}{unit}"]
    return words


def _options(settings: Mapping[str, Json], names: tuple[str, ...]) -> list[str]:
    words = []
    for name in names:
        value = settings.get(name)
        if value is True:
            words.append(f"--{name.replace('_', '-')}")
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            words += [f"--{name}", digits(value) if isinstance(value, float) else str(value)]
    return words


def _is_shipped(name: str, space: JsonObject) -> bool:
    """Whether this archdsl ships the very same space under that name."""
    if name not in zoo.spaces():
        return False
    shipped = mapping(json.loads(zoo.text(name) or b"{}"))
    return all(space.get(key) == value for key, value in shipped.items() if key != "$schema")
