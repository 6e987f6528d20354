"""The examination of a space before it is searched, section by section."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from archdsl.data.agreement import classes_note
from archdsl.numbers import plain_text
from archdsl.render.columns import Column, Sheet
from archdsl.render.prose import Prose
from archdsl.render.search import heading
from archdsl.render.texts import clock, counted
from archdsl.search.config import COST_TEXTS

if TYPE_CHECKING:
    from archdsl.search.doctor.doctor import Examination
    from archdsl.search.doctor.shares import Share
    from archdsl.search.doctor.timing import Timed

_NAMES = {"params": "params", "macs": "MACs", "memory": "memory", "latency": "latency", "all": "all budgets"}
_INDENT = "  "
_HALF = 0.5


def report(examination: Examination, dead: Sequence[str]) -> RenderableType:
    """The examination of a space; `dead` is a line for each dead value."""
    timed = examination.timed
    parts: list[RenderableType] = [
        Prose(heading(examination.settings, timed.provenance if timed else None), hanging=_INDENT),
        Prose(f"data  {examination.data.description}", hanging=_INDENT),
        *(Prose(note, indent=_INDENT) for note in [_classes(examination)] if note is not None),
        Prose(_size(examination), hanging=_INDENT),
        _costs(examination),
    ]
    if timed is not None:
        parts.append(Prose(_measured(timed, examination.settings.stat, examination.settings.runtime), hanging=_INDENT))
    parts += _dead(dead)
    if examination.shares:
        parts.append(_shares(examination))
    if timed is not None and examination.kept_budgets and examination.settings.budgets.latency_ms is None:
        parts.append(_kept_budgets(examination))
    if timed is not None and examination.search_s is not None:
        parts += _time(examination, timed, *examination.search_s)
    return Group(*parts, _verdict(examination), *_half(examination))


def _classes(examination: Examination) -> str | None:
    return classes_note(examination.settings.space_document, examination.data.classes)


def _size(examination: Examination) -> str:
    size, survey = examination.survey.size, examination.survey
    if survey.is_whole:
        return f"size  {survey.looked_at:,} combinations, {size.points:,.0f} valid, {size.networks:,} distinct networks"
    sampled = f"estimated from {survey.looked_at:,} sampled combinations"
    points = f"{plain_text(size.points, 3)} ± {plain_text(size.error, 1)}"
    size_text = f"size  about {points} valid combinations (standard error, {sampled})"
    if size.continuous:
        size_text += f", times infinitely many values of {', '.join(size.continuous)}"
    return size_text


def _costs(examination: Examination) -> RenderableType:
    rows, settings = list(examination.ranges.items()), examination.settings
    columns = [
        Column("", [Text(_NAMES[metric]) for metric, _ in rows], least=8),
        Column("least", [Text(_text(metric, costs.least)) for metric, costs in rows], right=True),
        Column("median", [Text(_text(metric, costs.median)) for metric, costs in rows], right=True),
        Column("most", [Text(_text(metric, costs.most)) for metric, costs in rows], right=True),
    ]
    valid = f"{len(examination.survey.valid):,}"
    counted_on = f"Counted by formula on all {valid} valid combinations."
    if not examination.survey.is_whole:
        counted_on = (
            f"Counted by formula on {valid} sampled combinations. Least and most were also searched for: they are the "
            f"most extreme values found, not proven bounds."
        )
    memory = f"weights and activations in {settings.dtype} at batch {settings.batch}"
    return Sheet(columns, [counted_on, f"MACs for one image; memory of {memory}."])


def _text(metric: str, value: float) -> str:
    return f"{plain_text(value, 3)} ms" if metric == "latency" else COST_TEXTS[metric](round(value))


def _measured(timed: Timed, stat: str, runtime: str) -> str:
    """How many latencies were measured, and the error of those that were predicted."""
    line = f"latency  {stat} measured on {len(timed.measured)} networks in {runtime}"
    if timed.unstable:
        line += f", {timed.unstable} of them unstable on this machine"
    if timed.failed:
        line += f", {timed.failed} failed"
    if not timed.errors:
        least = min((ms for _, ms in timed.measured), default=0.0)
        return f"{line}, the fastest at {plain_text(least, 3)} ms; these are too few to predict the others"
    errors = f"median error {median(timed.errors):.0%}, largest {timed.errors[-1]:.0%}, on networks left out of the fit"
    return f"{line}; the others are predicted by {timed.method} ({errors})"


def _dead(dead: Sequence[str]) -> list[RenderableType]:
    if not dead:
        return [Prose("dead  none: every value occurs in a valid network")]
    lines = [Prose(line, indent=_INDENT, hanging=_INDENT) for line in dead]
    return [Prose(f"dead  {counted(len(dead), 'value')} that no valid network has"), *lines]


def _shares(examination: Examination) -> RenderableType:
    shares = examination.shares
    intervals = [f"{_percent(share.low)} to {_percent(share.high)}" for share in shares]
    budgets = ["" if share.budget is None else _text(share.metric, share.budget) for share in shares]
    columns = [
        Column("inside", [Text(_name(examination, share.metric)) for share in shares], least=8),
        Column("budget", [Text(text) for text in budgets], right=True),
        Column("share", [Text(_percent(share.inside / share.of)) for share in shares], right=True),
        Column("interval", [Text(text) for text in intervals], right=True, drop=1),
    ]
    of = (
        "Of all valid combinations"
        if examination.survey.is_whole
        else f"Of {shares[-1].of:,} sampled combinations; 95 % interval"
    )
    if examination.timed is None or all(share.metric != "latency" for share in shares):
        return Sheet(columns, [f"{of}."])
    error = "the latency's interval includes the median prediction error"
    return Sheet(columns, [f"{of}; {error}."])


def _kept_budgets(examination: Examination) -> RenderableType:
    """Without a latency budget: the budgets that shares of the combinations keep."""
    kept = examination.kept_budgets
    columns = [
        Column("inside", [Text(f"{budget.share:.0%}") for budget in kept], least=8),
        Column("latency budget", [Text(_text("latency", budget.budget_ms)) for budget in kept], right=True),
        Column(
            "interval",
            [Text(f"{budget.low_ms:.3g} to {_text('latency', budget.high_ms)}") for budget in kept],
            right=True,
        ),
    ]
    valid = f"{len(examination.survey.valid):,}"
    of, interval = f"{valid} sampled combinations", "95 % intervals, which include the median prediction error"
    if examination.survey.is_whole:
        of, interval = f"all {valid} valid combinations", "the intervals are the median prediction error"
    return Sheet(columns, [f"Latency budgets by the share of {of} inside; {interval}."])


def _name(examination: Examination, metric: str) -> str:
    return "all but latency" if metric == "all" and _is_latency_open(examination) else _NAMES[metric]


def _is_latency_open(examination: Examination) -> bool:
    """Whether there is a latency budget of which too few measurements say who keeps it."""
    has_budget = examination.settings.budgets.latency_ms is not None
    return has_budget and all(share.metric != "latency" for share in examination.shares)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _time(examination: Examination, timed: Timed, low_s: float, high_s: float) -> list[RenderableType]:
    parallel = f" with {examination.workers} workers" if examination.workers > 1 else ""
    takes = f"{clock(high_s)} if every network is trained"
    if _is_latency_open(examination):
        takes += "; what share is inside the budgets, and need be trained, is unknown"
    elif low_s < high_s:
        takes = f"{clock(low_s)} if only the share inside the budgets is trained, {clock(high_s)} if every network is"
    return [
        Prose(
            f"time  {_trials(examination, parallel)} {takes}",
            hanging=_INDENT,
        ),
        Prose(
            f"a trial measures for {timed.measure_s:.1f} s and trains for {_seconds(timed.train_s)} "
            f"({examination.training}; estimated from the first steps of {counted(len(timed.train_s), 'network')})",
            indent=_INDENT,
        ),
        Prose(
            "the finalists' longer trainings are included; loading data and the search algorithm's own time are not",
            indent=_INDENT,
        ),
    ]


def _trials(examination: Examination, parallel: str) -> str:
    """`100 trials take`; of a space that holds no more networks `all 54 networks take`."""
    if not examination.tries_all:
        return f"{counted(examination.trials, 'trial')}{parallel} {'takes' if examination.trials == 1 else 'take'}"
    if examination.trials == 1:
        return f"the only network{parallel} takes"
    about = "" if examination.survey.is_whole else "about "
    return f"all {about}{examination.trials:,} networks of the space{parallel} take"


def _seconds(values: Sequence[float]) -> str:
    """`2 to 5 s`, or `2 s` where both ends are written alike; below a second with one decimal place."""
    low, high = (f"{value:.1f}" if value < 1 else f"{value:.0f}" for value in (min(values), max(values)))
    return f"{high} s" if low == high else f"{low} to {high} s"


def _verdict(examination: Examination) -> RenderableType:
    word, reason, style = _verdict_parts(examination)
    return Prose(f"{word}  {reason}", style, hanging=_INDENT)


def _verdict_parts(examination: Examination) -> tuple[str, str, str]:
    """The word, its reason, and its style."""
    if remedies := examination.remedies:
        reason = "; or ".join(str(remedy) for remedy in remedies)
        timed = examination.timed
        if timed is not None and timed.unstable and any(remedy.metric == "latency" for remedy in remedies):
            reason += "; the measurements were unstable: repeat this on a quiet machine"
        budgets = "the budget" if len(remedies) == 1 else "all budgets together"
        return "INFEASIBLE", f"none of the networks that were examined meets {budgets}: {reason}", "bold red"
    if examination.unmeasured:
        return "feasible", "by the counted costs; latencies were not measured", "bold"
    if _is_latency_open(examination):
        reason = "too few networks were measured to say which meet the latency budget; give a longer --time"
        return "feasible", f"by the counted costs; {reason}", "bold"
    if not examination.shares and examination.settings.budgets.latency_ms is None:
        return "feasible", "there is no budget to meet", ""
    return "feasible", _met(examination.shares), "bold green"


def _met(shares: Sequence[Share]) -> str:
    """That the budgets can be met, and by how many of the networks; the last share is that of all budgets."""
    every = shares[-1]
    can, them = ("the budget can be met", "it") if len(shares) == 2 else ("the budgets can be met together", "them")
    if not every.inside:
        few = f"none of the {every.of:,} networks that were drawn, but one that was searched for, meets {them}"
        return f"{can}, by very few networks: {few}"
    return f"{can}: about {plain_text(100 * every.inside / every.of, 2)} % of the networks meet {them}"


def _half(examination: Examination) -> list[RenderableType]:
    """Where a latency is bounded, the budget that half of the networks meet; of those measured where too few were."""
    timed = examination.timed
    if timed is None or examination.settings.budgets.latency_ms is None or not timed.measured:
        return []
    half = next((kept.budget_ms for kept in examination.kept_budgets if kept.share == _HALF), None)
    of = "half of the networks meet"
    if half is None:
        half = median(ms for _, ms in timed.measured)
        of = f"half of the {counted(len(timed.measured), 'network')} that were measured meet"
    return [Prose(f"{of} a latency budget of {_text('latency', half)}", indent=_INDENT)]
