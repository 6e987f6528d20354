"""A run as a person reads it in the terminal: what was found, how sure that is, and how to do it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from archdsl.cost import count
from archdsl.render import library_texts
from archdsl.render import report_texts as texts
from archdsl.render.agreement_texts import agreement_lines, finals_text, prediction_text
from archdsl.render.columns import Column, Sheet, whole
from archdsl.render.diff import diff_lines, totals_sheet
from archdsl.render.exchanges import exchanges, front_sheet
from archdsl.render.plot import Plot
from archdsl.render.prose import Command, Prose
from archdsl.render.provenance_texts import provenance_lines
from archdsl.render.texts import clock, printable
from archdsl.render.tree import show
from archdsl.render.verdict import STYLES

if TYPE_CHECKING:
    from archdsl.search.propose.study_facts import Importance
    from archdsl.search.report.changes import WinnerChanges
    from archdsl.search.report.facts import Report

_MOST_CLASSES = 40
"""Rows of the table of classes."""
_MOST_REASONS = 3
_BAR = 20
"""Characters of the longest bar."""
_INDENT = "  "


def report_text(report: Report) -> RenderableType:
    """The whole report, fitted to the width at which it is printed; a path or a word is never broken.

    Print it with `soft_wrap`, or what is longer than a line is cut.
    """
    return _Parts(report)


class _Parts:
    def __init__(self, report: Report) -> None:
        self.report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        report = self.report
        yield Prose(texts.heading(report), "bold", hanging=_INDENT)
        yield Prose(texts.state_text(report))
        yield whole(printable(report.folder))
        yield Prose(texts.verdict_line(report), STYLES.get(report.verdict.word, "bold"), hanging=_INDENT)
        yield from (Prose(line, indent=_INDENT) for line in texts.condition_lines(report))
        for line in filter(None, (texts.held_out_line(report), texts.parent_line(report))):
            yield Prose(line)
        yield from (Prose(line, "yellow") for line in texts.warning_lines(report))
        for title, parts in _sections(report):
            yield Text()
            yield Prose(title, "bold")
            yield from parts


def _sections(report: Report) -> Iterator[tuple[str, Iterable[RenderableType]]]:
    """Titles with what stands below them; a section without content is left out, or says why it has none."""
    tried = any(rung.ended for rung in report.rungs)
    if report.next_steps:
        yield "What next", _commands((step.text, step.command) for step in report.next_steps)
    if report.problems:
        yield "Not readable", [Prose(problem, hanging=_INDENT) for problem in report.problems]
    if report.verdict.attempts:
        yield texts.ATTEMPTS, [_attempts(report)]
    yield "Front", _front(report)
    if report.library is not None:
        yield library_texts.FRONT, [front_sheet(report.library)]
    yield "Where candidates ended", [_rungs(report)] if tried else [Prose(text) for text in texts.no_rung_texts(report)]
    yield "Parameter importance", _importance(report)
    yield "Proxy against final accuracy", _finals(report)
    yield "Predicted against measured latency", [Prose(prediction_text(report.prediction))]
    yield "What ranks the proxy accuracy here", [Prose(line) for line in agreement_lines(report.scores)]
    if report.winner is not None:
        yield "Winner", [show(report.winner, count(report.winner))]
    if report.winner is not None and report.library is not None and report.library.exchanged:
        yield library_texts.REPLACED, exchanges(report.winner, report.library)
    if report.changes is not None:
        yield texts.changes_title(report.changes), [*_changes(report.changes)]
    if report.inherited:
        yield texts.INHERITED, [_inherited(report)]
    if report.verdict.per_class:
        yield "Accuracy by class", [_classes(report)]
    yield "Where the numbers come from", [Prose(line) for line in provenance_lines(report)]
    if report.reproduce:
        yield "How to reproduce", _commands((f"{what}:", command) for what, command in report.reproduce)


def _attempts(report: Report) -> RenderableType:
    rows = report.verdict.attempts
    columns = [
        Column("network", _cells(row.name for row in rows), least=16),
        Column("", _cells(row.word for row in rows)),
        Column("again ms", _cells(texts.ms_text(row.latency) for row in rows), right=True),
        Column("in its trial", _cells(texts.ms_text(row.gate_reading) for row in rows), right=True, drop=1),
    ]
    verdict = texts.verdict_line(report)  # which has one of the reasons
    return Sheet(columns, [printable(f"{row.name}: {row.reason}") for row in rows if row.reason not in verdict])


def _front(report: Report) -> Iterator[RenderableType]:
    yield from _front_rows(report)
    yield from (Prose(line, hanging=_INDENT) for line in texts.baseline_lines(report))


def _front_rows(report: Report) -> Iterator[RenderableType]:
    rows = report.front
    if not rows:
        yield Prose("No network was trained inside the budgets.")
        return
    longer = {trial.hash: texts.percent_text(trial.accuracy, trial.proxy.error) for trial in report.longer}
    accuracies = (texts.percent_text(row.accuracy, row.proxy.error) for row in rows)
    columns = [
        Column("network", _cells(row.label for row in rows), least=16),
        Column("proxy acc.", _cells(accuracies), right=True),
        Column("longer", _cells(longer.get(row.hash, "") for row in rows), right=True, drop=1),
        Column(f"{report.stat} ms", _cells(texts.measured_text(row) for row in rows), right=True),
        Column("params", _cells(texts.cost_text(row.params, "params", "") for row in rows), right=True, drop=2),
        Column("MACs", _cells(texts.cost_text(row.macs, "macs", "") for row in rows), right=True, drop=3),
    ]
    yield Sheet(columns, [printable(texts.proxy_text(report))], names_left_out=True)
    points = {row.hash: (row.latency, 100 * row.accuracy) for row in rows if row.latency and row.accuracy is not None}
    if len(points) > 1:
        winner = points.get(report.verdict.hash) if report.verdict.has_winner else None
        yield Plot(list(points.values()), report.budget_ms, winner, report.stat)
    yield from (Prose(f"{row.label}: {row.overrides}", hanging=_INDENT) for row in rows if row.choices)


def _rungs(report: Report) -> RenderableType:
    rows = report.rungs
    most = max([row.ended for row in rows] + [1])
    reached = [sum(later.ended for later in rows[place:]) for place in range(len(rows))]
    columns = [
        Column("rung", _cells(row.name for row in rows)),
        Column("reached", _cells(str(number) for number in reached), right=True),
        Column("ended", _cells(str(row.ended) for row in rows), right=True),
        Column("", _cells("█" * round(_BAR * row.ended / most) or ("▏" if row.ended else "") for row in rows), drop=1),
        Column("took", _cells("" if row.seconds is None else clock(row.seconds) for row in rows), right=True),
    ]
    notes = [
        printable("; ".join([f"{row.name}: {row.meaning}", *texts.rung_reasons(row, _MOST_REASONS)]))
        for row in rows
        if row.ended and row.name != row.meaning
    ]
    return Sheet(columns, [*notes, *([texts.refused_text(report)] if report.refused else [])])


def _importance(report: Report) -> Iterator[RenderableType]:
    if not report.importance:
        yield Prose(texts.no_importance_text(report))
        return
    for importance in report.importance:
        yield _shares(importance) if importance.shares else Prose(texts.importance_text(importance))
    if any(importance.shares for importance in report.importance):
        yield Prose(texts.IMPORTANCE_CAVEAT)


def _shares(importance: Importance) -> RenderableType:
    rows, of = list(importance.shares.items()), f"of {importance.metric}, {importance.trials} networks"
    columns = [
        Column("", _cells(name for name, _ in rows), least=16),
        Column(of, _cells(f"{share:.0%}" for _, share in rows), right=True),
        Column("", _cells("█" * round(_BAR * share) for _, share in rows), drop=1),
    ]
    return Sheet(columns, [texts.importance_text(importance)])


def _finals(report: Report) -> Iterator[RenderableType]:
    pairs = report.finals.pairs
    if pairs:
        accuracies = [[texts.percent_text(trial.accuracy, trial.proxy.error) for trial in pair] for pair in pairs]
        columns = [
            Column("finalist", _cells(before.label for before, _ in pairs), least=16),
            Column("proxy acc.", _cells(before for before, _ in accuracies), right=True),
            Column("after", _cells(before.proxy.fidelity for before, _ in pairs), drop=2),
            Column("final acc.", _cells(after for _, after in accuracies), right=True),
            Column("after", _cells(after.proxy.lengths for _, after in pairs), drop=1),
        ]
        yield Sheet(columns)
    yield Prose(finals_text(report.finals))


def _classes(report: Report) -> RenderableType:
    heads, rows = texts.class_rows(report, _MOST_CLASSES)
    columns = [
        Column(head, _cells(row[place] for row in rows), right=place > 0, least=None if place else 16)
        for place, head in enumerate(heads)
    ]
    notes = [f"{texts.balanced_line(report).capitalize()}; ± is one standard error."]
    if len(rows) < (total := len(report.verdict.per_class)):
        notes.append(f"The {len(rows)} least accurate of {total:,} classes; report.html has all.")
    return Sheet(columns, notes)


def _changes(changes: WinnerChanges) -> Iterator[RenderableType]:
    """What differs, node by node, and the costs of both; report.html has those of each node."""
    for line in diff_lines(changes.diff, costs=False):
        text = line.plain.lstrip()
        yield Prose(text, str(line.style), " " * (len(line.plain) - len(text)), _INDENT)
    yield totals_sheet(changes.diff)


def _inherited(report: Report) -> RenderableType:
    """Where the winner's blocks came from, before the fine-tuning."""
    heads = texts.INHERITED_HEADS
    columns = [Column(head, _cells(row[place] for row in report.inherited)) for place, head in enumerate(heads)]
    return Sheet(columns)


def _commands(pairs: Iterable[tuple[str, str]]) -> Iterator[RenderableType]:
    """A sentence, and the command that does it."""
    for sentence, command in pairs:
        yield Prose(sentence)
        yield Command(command)


def _cells(cells: Iterable[str]) -> list[Text]:
    return [Text(printable(cell)) for cell in cells]
