"""What was found of a space before it is searched, section by section."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from archdsl.numbers import bytes_text, macs_text, params_text
from archdsl.render.columns import Column, Sheet
from archdsl.render.search import clock, heading

_NAMES = {"params": "params", "macs": "MACs", "memory": "memory", "latency": "latency", "all": "all budgets"}


def report(found: Any, dead: Sequence[str]) -> RenderableType:
    """The examination of a space; `dead` is a line for each dead value."""
    facts = found.timed.facts if found.timed else {}
    parts: list[RenderableType] = [_line(heading(found.settings, facts)), _line(f"data  {found.data.description}")]
    parts += [_line(_size(found)), _costs(found)]
    if found.timed is not None:
        parts.append(_line(_measured(found)))
    parts += [_line(line) for line in _dead(found, dead)]
    if found.shares:
        parts.append(_shares(found))
    if found.search_s is not None:
        parts += [_line(line) for line in _time(found)]
    parts.append(_verdict(found))
    return Group(*parts)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _size(found: Any) -> str:
    size, survey = found.survey.size, found.survey
    looked = f"{survey.looked_at:,} choices"
    if survey.is_whole:
        return f"size  {survey.looked_at:,} combinations, {size.points:,.0f} valid, {size.networks:,} distinct networks"
    told = f"size  about {size.points:.3g} +- {size.error:.1g} points (standard error of {looked} drawn)"
    if size.continuous:
        told += f", times infinitely many values of {', '.join(size.continuous)}"
    return told


def _costs(found: Any) -> RenderableType:
    rows = list(found.ranges.items())
    columns = [
        Column("", [Text(_NAMES[metric]) for metric, _ in rows], least=8),
        *(
            Column(title, [Text(_text(metric, getattr(ends, name))) for metric, ends in rows], right=True)
            for title, name in (("least", "least"), ("median", "median"), ("most", "most"))
        ),
    ]
    sampled, settings = f"{len(found.survey.found):,}", found.settings
    ends = f"Counted by formula on all {sampled} points."
    if not found.survey.is_whole:
        ends = (
            f"Counted by formula on {sampled} points drawn; least and most were also searched for: found, not proven."
        )
    notes = [
        ends,
        f"MACs for one image; memory of weights and activations in {settings.dtype} at batch {settings.batch}.",
    ]
    return Sheet(columns, notes)


def _text(metric: str, value: float) -> str:
    if metric == "latency":
        return f"{value:.3g} ms"
    return {"params": params_text, "macs": macs_text, "memory": bytes_text}[metric](round(value))


def _measured(found: Any) -> str:
    """How latencies were found, and how far they may be off."""
    timed = found.timed
    count = len(timed.measured)
    told = f"latency  {found.settings.stat} measured on {count} networks"
    if timed.unstable:
        told += f", {timed.unstable} of them unstable on this machine"
    if timed.failed:
        told += f", {timed.failed} failed"
    if not timed.errors:
        least = min((ms for _, ms in timed.measured), default=0.0)
        return f"{told}, the least {least:.3g} ms; too few to predict the others"
    off = f"off by {median(timed.errors):.0%} in the median and {timed.errors[-1]:.0%} at most"
    return f"{told}; the others predicted, {off} on networks left out"


def _dead(found: Any, dead: Sequence[str]) -> list[str]:
    if not dead:
        return ["dead  nothing: every value occurs in a valid network"]
    return [f"dead  {len(dead)} value{'s' * (len(dead) != 1)}", *(f"  {line}" for line in dead)]


def _shares(found: Any) -> RenderableType:
    shares = found.shares
    intervals = [f"{_percent(share.low)} and {_percent(share.high)}" for share in shares]
    budgets = ["" if share.budget is None else _text(share.metric, share.budget) for share in shares]
    columns = [
        Column("inside", [Text(_name(found, share.metric)) for share in shares], least=8),
        Column("budget", [Text(text) for text in budgets], right=True),
        Column("share", [Text(_percent(share.inside / share.of)) for share in shares], right=True),
        Column("between", [Text(text) for text in intervals], right=True, drop=1),
    ]
    exact = "Of all points" if found.survey.is_whole else f"Of {shares[-1].of:,} points drawn, 95 % interval"
    error = "; the latency's share moves with the prediction's median error" if "latency" in found.ranges else ""
    return Sheet(columns, [f"{exact}{error}."])


def _name(found: Any, metric: str) -> str:
    return "all but latency" if metric == "all" and _is_latency_open(found) else _NAMES[metric]


def _is_latency_open(found: Any) -> bool:
    """Whether there is a latency budget of which too few measurements say who keeps it."""
    return found.settings.latency_budget_ms is not None and all(share.metric != "latency" for share in found.shares)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _time(found: Any) -> list[str]:
    timed, (low, high) = found.timed, found.search_s
    least, most = min(timed.train_s), max(timed.train_s)
    beside = f", {found.workers} side by side," if found.workers > 1 else ""
    return [
        f"time  {found.trials:,} trials{beside} take {clock(low)} if the share above is trained, "
        f"{clock(high)} if all are",
        f"  a trial measures {timed.measure_s:.1f} s and trains {least:.0f} to {most:.0f} s "
        f"({found.training}, from some steps of {len(timed.train_s)} networks);",
        "  longer trainings of the finalists are included; loading data and the optimiser's own time are not",
    ]


def _verdict(found: Any) -> Text:
    if found.remedies:
        told = "; or ".join(str(remedy) for remedy in found.remedies)
        if any(remedy.metric == "latency" for remedy in found.remedies) and found.timed.unstable:
            told += "; measurements were unstable: ask again on a quiet machine"
        return _line(
            f"INFEASIBLE  nothing found keeps {'it' if len(found.remedies) == 1 else 'them together'}: {told}",
            "bold red",
        )
    if found.unmeasured:
        return _line("feasible  as far as it was counted; latencies were not measured", "bold")
    if _is_latency_open(found):
        told = "too few networks were measured to say which keep the latency budget; give a longer --time"
        return _line(f"feasible  as far as it was counted; {told}", "bold")
    if not found.shares and found.settings.latency_budget_ms is None:
        return _line("feasible  there is no budget to keep")
    return _line("feasible  something was found inside all budgets", "bold green")
