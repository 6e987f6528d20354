"""A run as a person reads it in the terminal: what was found, how sure that is, and how to do it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from archdsl.cost import count
from archdsl.numbers import macs_text, params_text
from archdsl.render.columns import Column, Sheet, whole, wrapped
from archdsl.render.plot import Plot
from archdsl.render.report_texts import (
    IMPORTANCE_CAVEAT,
    agreement_text,
    balanced_line,
    class_rows,
    condition_lines,
    finals_text,
    heading,
    held_out_line,
    measured_text,
    ms_text,
    percent_text,
    prediction_text,
    provenance_lines,
    proxy_text,
    state_text,
    verdict_line,
)
from archdsl.render.search import clock
from archdsl.render.tree import show
from archdsl.render.verdict import STYLES

if TYPE_CHECKING:
    from archdsl.search.propose.study_facts import Importance
    from archdsl.search.report.facts import Report, Rung

_MOST_CLASSES = 40
"""Rows of the table of classes."""
_BAR = 20
"""Characters of the longest bar."""


def report_text(report: Report) -> RenderableType:
    """The whole report, fitted to the width at which it is printed; commands and paths are never broken.

    Print it with `soft_wrap`, or what is longer than a line is cut.
    """
    return _Parts(report)


class _Parts:
    def __init__(self, report: Report) -> None:
        self.report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        report = self.report
        yield _whole(heading(report), "bold")
        yield _whole(state_text(report))
        yield _whole(verdict_line(report), STYLES.get(report.verdict.word, "bold"))
        yield from (_whole(f"  {line}") for line in condition_lines(report))
        if line := held_out_line(report):
            yield _whole(line)
        for title, parts in _sections(report):
            yield Text()
            yield Text(title, style="bold")
            yield from parts


def _sections(report: Report) -> Iterator[tuple[str, Iterable[RenderableType]]]:
    """Titles with what stands below them; what there is nothing of is left out."""
    if report.problems:
        yield "Not readable", [_whole(problem) for problem in report.problems]
    if report.verdict.attempts:
        yield "Measured again in fresh processes", [_attempts(report)]
    yield "Front", _front(report)
    yield "Ladder", [_ladder(report)]
    yield "Parameter importance", _importance(report)
    yield "Proxy against final accuracy", _finals(report)
    yield "Predicted against measured latency", [_Prose(prediction_text(report.prediction))]
    yield "What ranks the proxy accuracy here", [_Prose(agreement_text(found)) for found in report.scores]
    if report.winner is not None:
        yield "Winner", [show(report.winner, count(report.winner))]
    if report.verdict.per_class:
        yield "Accuracy by class", [_classes(report)]
    yield "Where the numbers come from", [_Prose(line) for line in provenance_lines(report)]
    yield "How to reproduce", [line for what, command in report.reproduce for line in _command(what, command)]


def _attempts(report: Report) -> RenderableType:
    rows = report.verdict.attempts
    columns = [
        Column("network", _cells(row.name for row in rows), least=16),
        Column("", _cells(row.word for row in rows)),
        Column(f"{report.stat} ms", _cells(ms_text(row.latency) for row in rows), right=True),
        Column("in its trial", _cells(ms_text(row.gate_reading) for row in rows), right=True, drop=1),
    ]
    return Sheet(columns, [f"{row.name}: {row.reason}" for row in rows if row.reason])


def _front(report: Report) -> Iterator[RenderableType]:
    rows = report.front
    if not rows:
        yield _Prose("No network was trained inside the budgets.")
        return
    longer = {trial.hash: trial for trial in report.longer}
    columns = [
        Column("network", _cells(row.name for row in rows), least=16),
        Column("proxy acc.", _cells(percent_text(row.accuracy, row.error) for row in rows), right=True),
        Column("longer", _cells(_longer(longer.get(row.hash)) for row in rows), right=True, drop=1),
        Column(f"{report.stat} ms", _cells(measured_text(row) for row in rows), right=True),
        Column("params", _cells(_scaled(row.params, params_text) for row in rows), right=True, drop=2),
        Column("MACs", _cells(_scaled(row.macs, macs_text) for row in rows), right=True, drop=3),
    ]
    yield Sheet(columns, [proxy_text(report)])
    points = [(row.latency, 100 * row.accuracy) for row in rows if row.latency and row.accuracy is not None]
    if len(points) > 1:
        yield Plot(points, report.budget_ms)
    yield from (_Prose(f"{row.name}: {row.overrides}") for row in rows if row.choices)


def _longer(trial: Any) -> str:
    return percent_text(trial.accuracy, trial.error) if trial is not None else ""


def _scaled(value: float | None, texts: Any) -> str:
    return "" if value is None else str(texts(int(value)))


def _ladder(report: Report) -> RenderableType:
    rows = report.rungs
    most = max([row.ended for row in rows] + [1])
    met = [sum(later.ended for later in rows[place:]) for place in range(len(rows))]
    columns = [
        Column("rung", _cells(row.name for row in rows)),
        Column("met", _cells(str(count) for count in met), right=True),
        Column("ended", _cells(str(row.ended) for row in rows), right=True),
        Column("", _cells("█" * round(_BAR * row.ended / most) or ("▏" if row.ended else "") for row in rows), drop=1),
        Column("took", _cells("" if row.seconds is None else clock(row.seconds) for row in rows), right=True),
    ]
    notes = [_why(row) for row in rows if row.ended and row.name != row.meaning]
    if report.refused:
        notes.append(f"How many fell before they were measured is not known: {report.refused}.")
    return Sheet(columns, notes)


def _why(rung: Rung) -> str:
    told = [f"{times}x {_printable(reason)}" for reason, times in rung.reasons[:3]]
    return "; ".join([f"{rung.name}: {rung.meaning}", *told])


def _importance(report: Report) -> Iterator[RenderableType]:
    if not report.importance:
        yield _Prose(f"Not computed: {report.refused or 'the study has no such objective'}.")
        return
    for found in report.importance:
        yield _shares(found) if found.shares else _Prose(f"{found.metric}: not computed: {found.reason}.")
    if any(found.shares for found in report.importance):
        yield _Prose(IMPORTANCE_CAVEAT)


def _shares(found: Importance) -> RenderableType:
    rows = list(found.shares.items())
    columns = [
        Column("", _cells(name for name, _ in rows), least=16),
        Column(f"of {found.metric}, {found.trials} networks", _cells(f"{share:.0%}" for _, share in rows), right=True),
        Column("", _cells("█" * round(_BAR * share) for _, share in rows), drop=1),
    ]
    return Sheet(columns, [f"By chance alone the largest share would be {found.by_chance or 0:.0%}."])


def _finals(report: Report) -> Iterator[RenderableType]:
    pairs = report.finals.pairs
    if pairs:
        columns = [
            Column("finalist", _cells(before.name for before, _ in pairs), least=16),
            Column("proxy acc.", _cells(percent_text(a.accuracy, a.error) for a, _ in pairs), right=True),
            Column("after", _cells(a.fidelity for a, _ in pairs), least=8),
            Column("final acc.", _cells(percent_text(b.accuracy, b.error) for _, b in pairs), right=True),
            Column("after", _cells(b.fidelity for _, b in pairs), least=8),
        ]
        yield Sheet(columns)
    yield _Prose(finals_text(report.finals))


def _classes(report: Report) -> RenderableType:
    heads, rows = class_rows(report, _MOST_CLASSES)
    columns = [
        Column(head, _cells(row[place] for row in rows), right=place > 0, least=None if place else 16)
        for place, head in enumerate(heads)
    ]
    notes = [f"{balanced_line(report).capitalize()}; ± is one standard error."]
    if len(rows) < (total := len(report.verdict.per_class)):
        notes.append(f"The {len(rows)} least accurate of {total:,} classes; report.html has all.")
    return Sheet(columns, notes)


def _command(what: str, command: str) -> Iterator[RenderableType]:
    yield _Prose(f"{what}:")
    yield _whole(f"  {command}")


def _whole(text: str, style: str = "") -> Text:
    """A line that is never broken: it holds a path or a command."""
    return Text(_printable(text), style=style, no_wrap=True, overflow="ignore")


class _Prose:
    """A paragraph, broken between words."""

    def __init__(self, text: str) -> None:
        self.text = _printable(text)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from (whole(line) for line in wrapped(self.text, options.max_width))


def _printable(text: str) -> str:
    """Control characters as their escapes: what stands in a run's files may be anything."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _cells(texts: Iterable[str]) -> list[Text]:
    return [Text(_printable(text)) for text in texts]
