"""The two plots of the page: latency and accuracy of what was trained, predicted and measured latency."""

from __future__ import annotations

from archdsl.numbers import macs_text, params_text
from archdsl.render.page.plot import Drawing, Look, Point, axis, diagonal, scatter
from archdsl.render.report_texts import measured_text, percent_text
from archdsl.search.report.facts import Prediction, Report
from archdsl.search.report.trials import TrialLine


def front_plot(report: Report) -> Drawing | None:
    """Every trained network; those of the front larger, with the standard error of their accuracy; None for none."""
    points = [
        Point(trial.latency, 100 * trial.accuracy, _label(trial, report.stat), look, _error(trial, look))
        for trial in report.trials
        if trial.latency is not None and trial.accuracy is not None
        for look in [_look(trial, report)]
    ]
    if not points:
        return None
    limit = [report.budget_ms] if report.budget_ms is not None else []
    ends = [point.y + sign * (point.error or 0) for point in points for sign in (-1, 1)]
    x = axis(f"{report.stat} latency, ms per batch", [*(point.x for point in points), *limit], from_zero=True)
    name = "Trained networks: latency and proxy accuracy"
    return scatter(name, x, axis("proxy accuracy, %", ends), points, report.budget_ms)


def _look(trial: TrialLine, report: Report) -> Look:
    if report.verdict.has_winner and trial.hash == report.verdict.hash:
        return "winner"
    return "front" if any(trial.hash == best.hash for best in report.front) else "other"


def _error(trial: TrialLine, look: Look) -> float | None:
    return None if look == "other" or trial.proxy.error is None else 100 * trial.proxy.error


def _label(trial: TrialLine, stat: str) -> str:
    """What a point says: the numbers and the overrides."""
    fidelity = trial.proxy.fidelity or "a training of unknown length"
    lines = [
        trial.label,
        f"proxy accuracy {percent_text(trial.accuracy, trial.proxy.error)} after {fidelity}",
        f"{stat} {measured_text(trial)} ms",
    ]
    if trial.params is not None and trial.macs is not None:
        lines.append(f"{params_text(int(trial.params))} params, {macs_text(int(trial.macs))} MACs")
    return "\n".join([*lines, trial.overrides] if trial.choices else lines)


def prediction_plot(prediction: Prediction) -> Drawing | None:
    """Each network at what was measured and what was predicted of it; None where nothing was predicted."""
    if not prediction.points:
        return None
    points = [
        Point(ms, guess, f"{name}\npredicted {guess:.2f} ms, measured {ms:.2f} ms: {guess / ms - 1:+.0%}", "other")
        for name, guess, ms in prediction.points
    ]
    x, y = axis("measured ms", [point.x for point in points]), axis("predicted ms", [point.y for point in points])
    return diagonal("Predicted and measured latency", x, y, points)
