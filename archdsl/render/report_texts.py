"""The sentences of a report, the same in the terminal and on the page: each number with its unit and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from archdsl.errors import ArchError
from archdsl.latency.result import LEAST_ROUNDS
from archdsl.numbers import accuracy_text, plain_text, standard_error
from archdsl.render.budget_share import budget_share_text
from archdsl.render.budgets import budget_texts, origin, rate_text
from archdsl.render.candidates import NEVER_CHOSEN, untrained_text
from archdsl.render.texts import clock, counted
from archdsl.render.tried import few_trials_text
from archdsl.render.verdict import (
    exported_text,
    far_below_text,
    float32_text,
    held_out_text,
    parent_text,
    parent_warnings,
    reading_lines,
)
from archdsl.render.verdict_line import Judged
from archdsl.render.verdict_line import verdict_line as judged_line
from archdsl.search.config import COST_TEXTS, Settings
from archdsl.search.network import has_spec
from archdsl.search.report.reading import number
from archdsl.search.store.winner import QUANTISED

if TYPE_CHECKING:
    from archdsl.search.propose.study_facts import Importance
    from archdsl.search.report.changes import WinnerChanges
    from archdsl.search.report.facts import Report, Rung
    from archdsl.search.report.trials import TrialLine

IMPORTANCE_CAVEAT = (
    "Shares by PED-ANOVA (arXiv:2304.10255), Optuna's default: how unevenly the best tenth of the networks is "
    "distributed over a parameter's values. The search samples good networks more often than others, so a share "
    "describes this run's networks alone. It shows neither a cause nor a direction, and means nothing where it is near "
    "the share that chance gives."
)
ATTEMPTS = "Networks that were tried as the winner"
"""Heading of a table in which a network may stand that was not measured again."""
INHERITED = "What the winner inherited from its parent"
INHERITED_HEADS = ("node or block", "of the parent", "tensors")

_STATIC_BUDGETS = {
    "params": "params",
    "macs": "MACs for one image",
    "memory": "memory of weights and peak activations",
}
_ENDS = {
    "finished": "",
    "interrupted": " until it was interrupted",
    "not ended": "; the search has not ended: it is still running, or was killed (--resume continues it)",
}


def heading(report: Report) -> str:
    """What was searched, for what, on what."""
    settings, facts = report.settings, report.facts
    name, device = facts.get("device_name"), settings.get("device") or facts.get("device") or "unknown device"
    setting = [f"batch {settings['batch']}"] if "batch" in settings else []
    setting += [str(settings[name]) for name in ("dtype", "runtime") if name in settings]
    setting += ["features only"] * bool(settings.get("features_only"))
    setting += ["optimized"] * bool(settings.get("optimize"))
    setting.append(f"{device} ({name})" if name else str(device))
    return f"space {report.space}: {', '.join([*_budgets(report), *setting])}"


def _budgets(report: Report) -> list[str]:
    """Every budget with its origin; where the settings cannot be read, the latency budget alone."""
    if (settings := _settings(report)) is not None:
        return budget_texts(settings)
    return [] if report.budget_ms is None else [f"{report.stat} <= {plain_text(report.budget_ms)} ms"]


def _settings(report: Report) -> Settings | None:
    """The search's settings; None where this version cannot read them or their space."""
    try:
        settings = Settings.model_validate(report.settings)
        return settings if settings.space_document.name else None
    except (ArchError, ValueError):
        return None


def state_text(report: Report) -> str:
    """How far it came."""
    trials = counted(_tried(report), "trial")
    took = f" in {clock(report.seconds)}" if report.seconds is not None else ""
    return f"{trials}{took}{_ENDS[report.state]}"


def _tried(report: Report) -> int:
    return len({trial.number for trial in report.trials})


def verdict_line(report: Report) -> str:
    """PASS, FAIL or UNSURE, with the numbers: the line that the search printed."""
    verdict, settings = report.verdict, _settings(report)
    if verdict.passed is None or verdict.word == "":
        return verdict.reason or "no verdict: the winner was not measured again"
    judged = Judged(
        word=verdict.word,
        reason=verdict.reason,
        name=verdict.name or None,
        reading=verdict.reading,
        latency_ms=verdict.latency,
        stat=report.stat,
        budget_ms=report.budget_ms,
        is_inside=any(trial.hash == verdict.hash and trial.inside_budget for trial in report.trials),
        rate="" if settings is None else rate_text(settings),
    )
    return judged_line(judged)


def condition_lines(report: Report) -> list[str]:
    """The statistics and the conditions that the verdict holds under, and what the budget leaves of the space.

    A run of an earlier version tells neither.
    """
    verdict = report.verdict
    lines = [] if verdict.reading is None else list(reading_lines(verdict.reading))
    share = budget_share_text(verdict.budget_share, report.budget_ms, str(report.settings.get("runtime")))
    return [
        *lines,
        *([share] * bool(share)),
        *([f"the machine was busy: {verdict.disturbed}"] * bool(verdict.disturbed)),
    ]


def held_out_line(report: Report) -> str:
    """The winner's accuracy on images that nothing was chosen by; empty where there is no winner, or an older run's."""
    verdict = report.verdict
    if not verdict.has_winner or verdict.held_out is None:
        return ""
    exported = exported_text(verdict.reading)
    if verdict.float32 is not None:
        return f"{held_out_text(verdict.held_out, QUANTISED)}; {float32_text(verdict.float32, report.stat)}"
    return held_out_text(verdict.held_out) + (f"; {exported}" if exported else "")


def parent_line(report: Report) -> str:
    """What the parent of the winner reaches; empty where there is no winner, or no parent."""
    verdict = report.verdict
    return parent_text(verdict.parent, report.stat, verdict.latency) if verdict.has_winner else ""


def changes_title(changes: WinnerChanges) -> str:
    """`How it differs from its parent`"""
    return f"How the winner differs from {'its parent' if changes.origin == 'parent' else 'the nearest seed'}"


def warning_lines(report: Report) -> list[str]:
    """What makes the result a doubtful one, a line each."""
    settings = _settings(report)
    few = ""
    if settings is not None and report.verdict.has_winner:
        origins = (trial.origin for trial in report.trials)
        slow = sum(trial.last_rung == "latency" for trial in report.trials)
        few = few_trials_text(settings.space_document, _tried(report), origins, slow)
    below = far_below_text(report.verdict.parent, report.verdict.held_out)
    return [*([few] * bool(few)), *parent_warnings(report.verdict.parent), *([below] * bool(below))]


def budget_rows(report: Report) -> list[tuple[str, str]]:
    """What is bounded, from where, and by what."""
    settings = _settings(report)
    limits = [("latency", f"{report.stat} latency per batch", report.budget_ms)]
    limits += [(name, shown, number(report.settings.get(f"{name}_budget"))) for name, shown in _STATIC_BUDGETS.items()]
    rows = []
    for metric, shown, limit in limits:
        if limit is not None:
            text = f"{plain_text(limit)} ms" if metric == "latency" else COST_TEXTS[metric](round(limit))
            rows.append((shown if settings is None else f"{shown} ({origin(settings, metric)})", text))
    return rows


def balanced_line(report: Report) -> str:
    """`balanced accuracy, the mean over 20 classes: 61.8 % on held-out images, 63.1 % on validation images`."""
    balanced = report.verdict.balanced
    sets = (("held_out", "held-out"), ("validation", "validation"))
    texts = [f"{accuracy_text(balanced[name])} on {shown} images" for name, shown in sets if name in balanced]
    classes = counted(len(report.verdict.per_class), "class", "classes")
    return f"balanced accuracy, the mean over {classes}: {', '.join(texts)}" if texts else ""


def class_rows(report: Report, most: int | None = None) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row a class: its name, and of each set of images how many the winner names rightly, of how many,
    with the standard error. Where there are more than `most` classes, the least accurate ones.
    """
    columns = [
        (heading, [(row.name, getattr(row, name)) for row in report.verdict.per_class])
        for name, heading in (("held_out", "held-out"), ("validation", "validation"))
        if name in report.verdict.balanced
    ]
    places = list(range(len(report.verdict.per_class)))
    if most is not None and len(places) > most:
        places = sorted(places, key=lambda place: _recall(columns[0][1][place][1]))[:most]
    rows = [
        [report.verdict.per_class[place].name, *(_class_text(counts[place][1]) for _, counts in columns)]
        for place in places
    ]
    return ["class", *(heading for heading, _ in columns)], rows


def _recall(count: tuple[int, int] | None) -> float:
    return 1.0 if count is None else count[0] / count[1]


def _class_text(count: tuple[int, int] | None) -> str:
    if count is None:
        return "-"
    right, of = count
    return f"{accuracy_text(right / of, standard_error(right / of, of))} ({right:,} of {of:,})"


def ms_text(value: float | None) -> str:
    """Milliseconds; a dash for none."""
    return "-" if value is None else f"{value:.2f}"


def percent_text(value: float | None, error: float | None = None) -> str:
    """`39.1 ± 1.5 %`; a dash for none."""
    return accuracy_text(value, error)


def cost_text(value: float | None, metric: str, missing: str = "-") -> str:
    """A number of `params` or `macs`."""
    return missing if value is None else COST_TEXTS[metric](int(value))


def measured_text(trial: TrialLine) -> str:
    """A latency with its spread, (p50 - p10) / p10, or with its interval where too few rounds count for a spread.

    A `~` marks an unstable measurement.
    """
    if trial.latency is None:
        return "-"
    timing = trial.timing
    text = f"{'~' if timing.is_unstable else ''}{trial.latency:.2f}"
    if timing.undisturbed is not None and timing.undisturbed < LEAST_ROUNDS:
        return text if timing.interval is None else f"{text} [{timing.interval[0]:.2f}, {timing.interval[1]:.2f}]"
    return text if timing.spread is None else f"{text} +{timing.spread:.0%}"


def proxy_text(report: Report) -> str:
    """The budget that the accuracies are named by, and what stands beside a latency."""
    proxies = {trial.proxy.fidelity: trial.proxy for trial in report.front if trial.proxy.fidelity}
    lengths = " or ".join(proxies) or "a training of unknown length"
    data = next((proxy.data for proxy in proxies.values() if proxy.data), "unknown data")
    return (
        f"Proxy accuracy is the validation accuracy after {lengths}; {data}. ± is one standard error, from the number "
        f"of validation images alone. +N% after a latency is its spread, (p50 - p10) / p10, or [a, b] its interval "
        f"where fewer than {LEAST_ROUNDS} rounds count; ~ marks an unstable measurement."
    )


def baseline_lines(report: Report) -> Iterator[str]:
    """Networks named beside the space that are not on the front, each with its numbers or why it has none.

    Of those of a library that were not trained, which nobody named, the first ones are told.
    """
    rows = {trial.hash for trial in report.front}
    beside = [trial for trial in report.trials if trial.is_baseline]
    of_library = [trial for trial in beside if trial.is_of_library]
    for trial in (trial for trial in beside if trial.hash not in rows):
        if trial.accuracy is None and trial.is_of_library:
            continue
        if trial.accuracy is None or trial.latency is None:
            yield f"{trial.label}: {trial.reason}"
            continue
        accuracy = percent_text(trial.accuracy, trial.proxy.error)
        costs = f"{cost_text(trial.params, 'params')} params, {cost_text(trial.macs, 'macs')} MACs"
        yield f"{trial.label}: {accuracy} at {measured_text(trial)} ms, {costs}"
    untrained = [(trial.name, trial.reason) for trial in of_library if trial.accuracy is None]
    yield from untrained_text(len(of_library), untrained)
    if any(not has_spec(trial.spec) for trial in beside):
        yield NEVER_CHOSEN


def rung_reasons(rung: Rung, most: int) -> list[str]:
    """The commonest reasons with their counts."""
    return [f"{times} x {reason}" for reason, times in rung.reasons[:most]]


def no_rung_texts(report: Report) -> list[str]:
    """Instead of a table without a candidate."""
    return ["No candidate was tried.", *filter(None, [refused_text(report)])]


def refused_text(report: Report) -> str:
    """Why the count of candidates is incomplete; empty where it is not."""
    text = "The number of candidates that were rejected before they were measured is unknown"
    return f"{text}: {report.refused}." if report.refused else ""


def no_importance_text(report: Report) -> str:
    """Why there is no importance of any parameter."""
    return f"Not computed: {report.refused or 'the study has neither of the objectives accuracy and latency'}."


def importance_text(importance: Importance) -> str:
    """What the shares are of, or why there are none."""
    if not importance.shares:
        return f"{importance.metric}: not computed: {importance.reason}."
    by_chance, largest = importance.by_chance or 0.0, max(importance.shares.values())
    text = f"If values were assigned at random, the largest share would be {by_chance:.0%}"
    if largest > by_chance:
        return f"{text}."
    return f"{text}: the largest share here, {largest:.0%}, is not above that, so these shares mean nothing."
