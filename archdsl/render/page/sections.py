"""The sections of the page, in the order of the terminal's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from archdsl.numbers import bytes_text, macs_text, params_text
from archdsl.render.page import evidence
from archdsl.render.page.markup import Markup, bar, details, element, listed, table, together
from archdsl.render.page.plot import Point, axis, scatter
from archdsl.render.report_texts import (
    IMPORTANCE_CAVEAT,
    agreement_text,
    measured_text,
    ms_text,
    percent_text,
    proxy_text,
)
from archdsl.render.search import clock
from archdsl.search.propose.study_facts import Importance
from archdsl.search.report.facts import Attempt, Report, Rung, Trial
from archdsl.search.report.reading import number

Section = tuple[str, Markup]


def sections(report: Report) -> Iterator[Section]:
    """Titles and what stands below them."""
    if report.problems:
        yield "Not readable", element("ul", *(element("li", problem) for problem in report.problems))
    yield "Budgets", _budgets(report)
    yield "Front", _front(report)
    yield "Ladder", _ladder(report)
    yield "Parameter importance", _importance(report)
    yield "Proxy against final accuracy", evidence.finals(report)
    yield "Predicted against measured latency", evidence.prediction(report)
    yield "What ranks the proxy accuracy here", listed(agreement_text(found) for found in report.scores)
    yield "Winner", evidence.winner(report)
    yield "Where the numbers come from", evidence.provenance(report)
    yield "How to reproduce", evidence.reproduce(report)


def _budgets(report: Report) -> Markup:
    texts: dict[str, tuple[str, Callable[[int], str]]] = {
        "params_budget": ("params", params_text),
        "macs_budget": ("MACs of an image", macs_text),
        "memory_budget": ("weights and peak activations", bytes_text),
    }
    rows = [] if report.budget_ms is None else [(f"{report.stat} a batch", f"{report.budget_ms:g} ms")]
    for name, (what, text) in texts.items():
        if (limit := number(report.settings.get(name))) is not None:
            rows.append((what, text(int(limit))))
    parts = [table("Budgets", ["of", "at most"], rows, [1]) if rows else element("p", "No budget was set.")]
    if report.verdict.attempts:
        heads = ["network", "verdict", f"{report.stat}, ms", "in its trial, ms", "why", "measured"]
        again = [_attempt(attempt) for attempt in report.verdict.attempts]
        parts.append(table("Measured again in fresh processes", heads, again, [2, 3]))
    return together(parts)


def _attempt(attempt: Attempt) -> Sequence[object]:
    verdict = element("span", attempt.word, class_=attempt.word.lower())
    latencies = ms_text(attempt.latency), ms_text(attempt.gate_reading)
    return attempt.name, verdict, *latencies, attempt.reason, details("how", attempt.timing)


def _front(report: Report) -> Markup:
    rows = report.front
    if not rows:
        return element("p", "No network was trained inside the budgets.")
    longer = {trial.hash: trial for trial in report.longer}
    heads = ["network", "proxy accuracy", "trained longer", f"{report.stat}, ms", "params", "MACs", "overrides"]
    cells = [
        (
            row.name,
            percent_text(row.accuracy, row.error),
            percent_text(longer[row.hash].accuracy, longer[row.hash].error) if row.hash in longer else "",
            measured_text(row),
            "-" if row.params is None else params_text(int(row.params)),
            "-" if row.macs is None else macs_text(int(row.macs)),
            row.overrides,
        )
        for row in rows
    ]
    note = element("p", proxy_text(report), class_="dim")
    front = table("The front, the best first", heads, cells, [1, 2, 3, 4, 5])
    return together([_front_plot(report), note, front])


def _front_plot(report: Report) -> Markup:
    """Every trained network; those of the front larger, with the standard error of their accuracy."""
    best = {trial.hash for trial in report.front}
    winner = report.verdict.hash if report.verdict.word in ("PASS", "UNSURE") else None
    points = [
        Point(
            trial.latency,
            100 * trial.accuracy,
            _told(trial, report.stat),
            "winner" if trial.hash == winner else "front" if trial.hash in best else "other",
            100 * trial.error if trial.error is not None and trial.hash in best else None,
        )
        for trial in report.trials
        if trial.latency is not None and trial.accuracy is not None
    ]
    if not points:
        return Markup()
    limit = [report.budget_ms] if report.budget_ms is not None else []
    ends = [point.y + sign * (point.error or 0) for point in points for sign in (-1, 1)]
    x, y = (
        axis(f"{report.stat}, ms a batch", [*(point.x for point in points), *limit], from_zero=True),
        axis("proxy accuracy, %", ends),
    )
    return scatter("Trained networks: latency and proxy accuracy", x, y, points, report.budget_ms)


def _told(trial: Trial, stat: str) -> str:
    """What a point tells: the numbers and the overrides."""
    lines = [
        trial.name,
        f"proxy accuracy {percent_text(trial.accuracy, trial.error)} after {trial.fidelity or 'an unknown training'}",
        f"{stat} {measured_text(trial)} ms",
    ]
    if trial.params is not None and trial.macs is not None:
        lines.append(f"{params_text(int(trial.params))} params, {macs_text(int(trial.macs))} MACs")
    return "\n".join([*lines, trial.overrides] if trial.choices else lines)


def _ladder(report: Report) -> Markup:
    rows = report.rungs
    most = max([row.ended for row in rows] + [1])
    met = [sum(later.ended for later in rows[place:]) for place in range(len(rows))]
    cells = [
        (
            row.name,
            count,
            row.ended,
            bar(row.ended / most),
            "" if row.seconds is None else clock(row.seconds),
            _why(row),
        )
        for row, count in zip(rows, met, strict=True)
    ]
    heads = ["rung", "met it", "ended there", "", "took", "why"]
    parts = [table("Where candidates ended, the cheapest rung first", heads, cells, [1, 2, 4])]
    if report.refused:
        unknown = f"How many fell before they were measured is not known: {report.refused}."
        parts.append(element("p", unknown))
    return together(parts)


def _why(rung: Rung) -> Markup:
    reasons = (element("li", f"{times} x {reason}") for reason, times in rung.reasons[:8])
    return together([element("span", rung.meaning), element("ul", *reasons)] if rung.reasons else [rung.meaning])


def _importance(report: Report) -> Markup:
    if not report.importance:
        return element("p", f"Not computed: {report.refused or 'the study has no such objective'}.")
    parts = [_shares(found) for found in report.importance]
    if any(found.shares for found in report.importance):
        parts.append(element("p", IMPORTANCE_CAVEAT, class_="dim"))
    return together(parts)


def _shares(found: Importance) -> Markup:
    if not found.shares:
        return element("p", f"{found.metric}: not computed: {found.reason}.")
    rows = [(name, f"{share:.0%}", bar(share)) for name, share in found.shares.items()]
    chance = f"by chance alone the largest share would be {found.by_chance or 0:.0%}"
    return table(f"Of {found.metric}, {found.trials} networks; {chance}", ["parameter", "share", ""], rows, [1])
