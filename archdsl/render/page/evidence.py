"""What the page tells of how sure the results are: agreement, errors, provenance, and the way to do it again."""

from __future__ import annotations

from archdsl.cost import count
from archdsl.numbers import params_text
from archdsl.render.page.markup import Markup, details, element, listed, table, together
from archdsl.render.page.plot import Point, axis, diagonal
from archdsl.render.report_texts import (
    balanced_line,
    class_rows,
    finals_text,
    held_out_line,
    measured_text,
    percent_text,
    prediction_text,
    provenance_lines,
)
from archdsl.render.tree import show_text
from archdsl.search.report.facts import Report


def finals(report: Report) -> Markup:
    """Whether the search's ranking held."""
    pairs, parts = report.finals.pairs, []
    if pairs:
        heads = ["finalist", "proxy accuracy", "after", "final accuracy", "after"]
        rows = [
            (a.name, percent_text(a.accuracy, a.error), a.fidelity, percent_text(b.accuracy, b.error), b.fidelity)
            for a, b in pairs
        ]
        parts.append(table("Finalists, in the search and trained longer", heads, rows, [1, 3]))
    return together([*parts, element("p", finals_text(report.finals))])


def prediction(report: Report) -> Markup:
    """How far the latency model lay off."""
    found = report.prediction
    parts = [element("p", prediction_text(found))]
    if found.points:
        points = [
            Point(
                ms,
                guess,
                f"{name}\npredicted {guess:.2f} ms, measured {ms:.2f} ms: off by {guess / ms - 1:+.0%}",
                "other",
            )
            for name, guess, ms in found.points
        ]
        x, y = axis("measured ms", [point.x for point in points]), axis("predicted ms", [point.y for point in points])
        parts.append(diagonal("Predicted against measured latency", x, y, points))
    return together(parts)


def winner(report: Report) -> Markup:
    """The winner's graph, and its JSON."""
    spec = report.winner
    if spec is None:
        return element("p", "There is no winner." if report.verdict.passed is not None else "There is no winner yet.")
    label = f"The graph of {spec.name}, a line a node"
    told = [element("p", held_out_line(report))] if report.verdict.held_out else []
    drawn = element("pre", show_text(spec, count(spec)), tabindex="0", role="group", aria_label=label)
    return together([*told, *_classes(report), drawn, details("its JSON", spec.to_json())])


def _classes(report: Report) -> list[Markup]:
    """The accuracy of every class; nothing where the run does not tell it."""
    if not report.verdict.per_class:
        return []
    heads, rows = class_rows(report)
    every = table("Accuracy by class; ± is one standard error", heads, rows, list(range(1, len(heads))))
    return [element("p", balanced_line(report)), element("details", element("summary", "accuracy by class"), every)]


def provenance(report: Report) -> Markup:
    """What every number was taken on and with."""
    heads = ["network", "rung", "outcome", f"{report.stat}, ms", "accuracy", "params", "seconds", "reason", "measured"]
    rows = [
        (
            trial.name,
            trial.rung,
            trial.outcome,
            measured_text(trial),
            percent_text(trial.accuracy, trial.error),
            "-" if trial.params is None else params_text(int(trial.params)),
            f"{trial.seconds:.1f}",
            trial.reason,
            details("how", {"overrides": trial.choices, **trial.provenance}),
        )
        for trial in [*report.trials, *report.longer]
    ]
    every = table("Every finished rung, in order", heads, rows, [3, 4, 5, 6])
    folded = element("details", element("summary", f"every measurement, {len(rows)}"), every)
    return together([listed(provenance_lines(report)), folded])


def reproduce(report: Report) -> Markup:
    """Commands, versions, and the settings as they were."""
    parts = [part for what, command in report.reproduce for part in (element("p", f"{what}:"), element("pre", command))]
    parts.append(element("p", _versions(report)))
    return together([*parts, details("the settings and the space", report.settings)])


def _versions(report: Report) -> str:
    names = ("archdsl", "torch", "cuda", "python", "driver", "os")
    known = ", ".join(f"{name} {report.facts[name]}" for name in names if report.facts.get(name))
    return (
        f"Taken with {known or 'versions that the run does not tell'}. The seed fixes what is drawn and how it is "
        f"trained; latencies differ from run to run, and with them what passes the gate and what is drawn next."
    )
