"""Every measurement of a run as a CSV: a row a finished rung, and a row a network measured again."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from archdsl.search.report.facts import AGAIN, Attempt, Report, Trial
from archdsl.search.report.reading import mapping
from archdsl.search.worker.scores.every import NAMES

_OWN = (
    "number",
    "name",
    "hash",
    "rung",
    "outcome",
    "reason",
    "overrides",
    "params",
    "macs",
    "inside_budget",
    "seconds",
)
_TIMING = ("min_ms", "p10_ms", "p50_ms", "p90_ms", "spread", "unstable", "samples")
_PROXY = ("fidelity", "data", "seed", "threads", "device", "torch", "seconds", "steps", "loss")
_MACHINE = (
    "device",
    "device_name",
    "driver",
    "dtype",
    "batch",
    "runtime",
    "threads",
    "archdsl",
    "torch",
    "cuda",
    "cudnn",
    "python",
    "os",
    "cpu_share",
    "load_average",
    "clocks",
    "date",
)
COLUMNS = (
    *_OWN,
    "latency_ms",
    "stat",
    *_TIMING,
    "readings_ms",
    "accuracy",
    "accuracy_error",
    *(f"proxy_{name}" for name in _PROXY),
    *NAMES[2:],
    *_MACHINE,
)
"""The columns, in order. Latencies in ms a batch, accuracies 0 to 1, MACs of one image, times in seconds."""


def csv_text(report: Report) -> str:
    """The rows under their heading."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    known = {trial.hash: trial for trial in report.trials}
    rows = [_row(trial, report.stat) for trial in [*report.trials, *report.longer]]
    rows += [_again(attempt, known.get(attempt.hash), report.stat) for attempt in report.verdict.attempts]
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def write_csv(report: Report, path: Path) -> None:
    """The rows to a file, in UTF-8.

    Raises:
        OSError: it cannot be written.
    """
    path.write_text(csv_text(report), encoding="utf-8", newline="")


def _row(trial: Trial, stat: str) -> dict[str, Any]:
    row = {name: getattr(trial, name) for name in _OWN} | {"latency_ms": trial.latency}
    row |= {"accuracy": trial.accuracy, "accuracy_error": trial.error} | trial.scores
    row |= {f"proxy_{name}": trial.proxy.get(name) for name in _PROXY}
    return row | _timing(trial.timing, stat)


def _again(attempt: Attempt, trial: Trial | None, stat: str) -> dict[str, Any]:
    """A measurement in a fresh process; what the network costs is as in its trial."""
    same = ("number", "overrides", "params", "macs")
    row = {name: getattr(trial, name) for name in same} if trial is not None else {}
    outcome = {"PASS": "passed", "UNSURE": "unsure"}.get(attempt.word, "failed")
    row |= {"name": attempt.name, "hash": attempt.hash, "rung": AGAIN, "outcome": outcome, "reason": attempt.reason}
    return row | {"inside_budget": attempt.passed, "latency_ms": attempt.latency} | _timing(attempt.timing, stat)


def _timing(timing: dict[str, Any], stat: str) -> dict[str, Any]:
    machine = mapping(timing.get("provenance"))
    row = {name: timing.get(name) for name in _TIMING} | {name: machine.get(name) for name in _MACHINE}
    return row | {"readings_ms": timing.get("readings"), "stat": stat if timing else None}


def _cell(value: Any) -> Any:
    """One cell: lists parted by blanks, objects as `name=value`, nothing for nothing."""
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    if isinstance(value, dict):
        return " ".join(f"{name}={item}" for name, item in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) > 1e3 else value
