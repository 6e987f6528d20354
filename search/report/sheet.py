"""Every measurement of a run as a CSV: a row a finished rung, and a row a network measured again."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from archdsl.json_types import Json, JsonObject
from archdsl.search.report.facts import Attempt, Report
from archdsl.search.report.trials import AGAIN, Timing, TrialLine
from archdsl.search.worker.scores.every import NAMES

_TRIAL = (
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
    *_TRIAL,
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
"""The columns, in order. Latencies in ms per batch, accuracies 0 to 1, MACs of one image, times in seconds."""


def csv_text(report: Report) -> str:
    """The rows under their heading."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    by_hash = {trial.hash: trial for trial in report.trials}
    rows = [_trial_row(trial, report.stat) for trial in [*report.trials, *report.longer]]
    rows += [_attempt_row(attempt, by_hash.get(attempt.hash), report.stat) for attempt in report.verdict.attempts]
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def write_csv(report: Report, path: Path) -> None:
    """The rows to a file, in UTF-8.

    Raises:
        OSError: it cannot be written.
    """
    path.write_text(csv_text(report), encoding="utf-8", newline="")


def _trial_row(trial: TrialLine, stat: str) -> JsonObject:
    row: JsonObject = {name: getattr(trial, name) for name in _TRIAL} | {"latency_ms": trial.latency}
    row |= {"accuracy": trial.accuracy, "accuracy_error": trial.proxy.error, **trial.scores}
    row |= {f"proxy_{name}": trial.proxy.document.get(name) for name in _PROXY}
    return row | _timing_cells(trial.timing, stat)


def _attempt_row(attempt: Attempt, trial: TrialLine | None, stat: str) -> JsonObject:
    """A measurement in a fresh process; what the network costs is as in its trial."""
    row: JsonObject = {}
    if trial is not None:
        row = {"number": trial.number, "overrides": trial.overrides, "params": trial.params, "macs": trial.macs}
    outcome = {"PASS": "passed", "UNSURE": "unsure"}.get(attempt.word, "failed")
    row |= {"name": attempt.name, "hash": attempt.hash, "rung": AGAIN, "outcome": outcome, "reason": attempt.reason}
    row |= {"inside_budget": attempt.passed, "latency_ms": attempt.latency}
    return row | _timing_cells(attempt.measured, stat)


def _timing_cells(timing: Timing, stat: str) -> JsonObject:
    document, machine = timing.document, timing.machine
    cells = {name: document.get(name) for name in _TIMING} | {name: machine.get(name) for name in _MACHINE}
    return cells | {"readings_ms": document.get("readings"), "stat": stat if document else None}


def _cell(value: Json) -> Json:
    """One cell: lists parted by blanks, objects as `name=value`, nothing for nothing."""
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    if isinstance(value, dict):
        return " ".join(f"{name}={item}" for name, item in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) > 1e3 else value
