"""Networks in the table of a run, and what can be said of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from archdsl.numbers import accuracy_text, macs_text, params_text, plain_text
from archdsl.render.budgets import budget_texts
from archdsl.render.candidates import fidelity_text
from archdsl.render.columns import Column, Sheet
from archdsl.render.prose import Prose
from archdsl.render.verdict import condition_texts

if TYPE_CHECKING:
    from archdsl.search.comparison.result import AgainstWinner, Scored, Scores
    from archdsl.search.trial import Trial

MARK = "->"
"""Before the rows that were added to the table of the run."""
_INDENT = "  "


class _Row(NamedTuple):
    """A network in the table: of the run, or one that is compared with it."""

    name: str
    trial: Trial
    longer: Trial | None
    is_inside: bool
    is_added: bool


def comparison(scores: Scores) -> RenderableType:
    """The run's table with the networks in it, then a paragraph for each network."""
    settings = scores.run.settings
    title = f"run {scores.folder}: space {settings.space['name']}, {', '.join(budget_texts(settings)) or 'no budget'}"
    parts: list[RenderableType] = [Prose(title)]
    if rows := _rows(scores):
        parts += [_table(rows, settings.stat), Prose(_legend(rows), "dim")]
    for network in scores.networks:
        parts += [Prose(line, indent=_INDENT * (number > 0)) for number, line in enumerate(_lines(network, scores))]
    parts.append(Prose(", ".join(condition_texts(scores.conditions))))
    parts += [Prose(f"note: {note}", "yellow") for note in scores.notes]
    return Group(*parts)


def _rows(scores: Scores) -> list[_Row]:
    """The most accurate first; where networks were trained longer, those that were come first."""
    run, longer = scores.run, scores.run.longer
    rows = [
        _Row(
            f"{trial.label} (winner)" if trial == run.winner else trial.label,
            trial,
            longer.get(trial.network_hash),
            bool(trial.inside_budget),
            is_added=False,
        )
        for trial in run.front
    ]
    added = [
        _Row(network.name, network.trial, network.longer, network.over_budget is None, is_added=True)
        for network in scores.networks
        if network.trial is not None
    ]
    by_longer = any(row.longer is not None for row in added)

    def key(row: _Row) -> tuple[bool, float, bool]:
        longest = row.longer if by_longer and row.longer is not None else row.trial
        return by_longer and row.longer is None, -(longest.accuracy or 0.0), row.is_added

    return sorted([*rows, *added], key=key)


def _table(rows: list[_Row], stat: str) -> RenderableType:
    longer = [Text("" if row.longer is None else accuracy_text(row.longer.accuracy, row.longer.error)) for row in rows]
    return Sheet(
        [
            Column("", [Text(MARK if row.is_added else "") for row in rows]),
            Column("network", [Text(row.name) for row in rows]),
            Column(
                "proxy acc.", [Text(accuracy_text(row.trial.accuracy, row.trial.error)) for row in rows], right=True
            ),
            Column("longer", longer, right=True, drop=1),
            Column(f"{stat} ms", [Text(f"{row.trial.latency_ms or 0.0:.2f}") for row in rows], right=True),
            Column("budget", [Text("inside" if row.is_inside else "over") for row in rows]),
            Column("params M", [Text(f"{row.trial.params / 1e6:.2f}") for row in rows], right=True, drop=2),
            Column("MACs M", [Text(f"{row.trial.macs / 1e6:.0f}") for row in rows], right=True, drop=3),
        ]
    )


def _legend(rows: list[_Row]) -> str:
    longer = next((row.longer for row in rows if row.longer is not None), None)
    further = "" if longer is None else f", longer: {fidelity_text(longer)}"
    error = "± is one standard error, from the number of validation images alone"
    return f"{MARK} compared with the run; proxy accuracy after {fidelity_text(rows[0].trial)}{further}; {error}"


def _lines(network: Scored, scores: Scores) -> Iterator[str]:
    """A network in words: its rank, its latency, its accuracy, and the winner beside it."""
    trial, training = network.trial, network.training
    if trial is None or training is None:
        failure = network.failure or ""
        yield failure if failure.startswith(network.name) else f"{network.name}: {failure}"
        return
    kind = "accuracy after longer training" if network.longer is not None else "proxy accuracy"
    rank = "no rank" if network.rank is None else f"rank {network.rank} by {kind}"
    yield f"{network.name}: {rank}; {network.over_budget or _inside(network, scores)}"
    yield _latency(trial, scores.run.settings.stat)
    held_out = None if training.training is None else training.training.held_out
    held = "" if held_out is None else f", {accuracy_text(held_out)} on held-out images"
    cached = " (from the cache)" if training.outcome == "cached" else ""
    value = accuracy_text(training.accuracy, training.error)
    yield f"accuracy {value} on validation images{held}, after {fidelity_text(training)}{cached}"
    if network.against is not None:
        yield _against(network.against)
    elif network.not_compared is not None:
        yield f"not compared with the winner by McNemar's test: {network.not_compared}"
    known = scores.run.trial_of(trial.network_hash)
    if known is not None:
        yield f"the same network is trial {known.number} of the run: {known.name}"


def _inside(network: Scored, scores: Scores) -> str:
    budget, gate_ms = scores.run.settings.budgets.latency_ms, scores.run.gate_ms
    if budget is None:
        return "the run has no latency budget"
    text = f"inside the budget of {plain_text(budget)} ms"
    over = f", but over the gate ({gate_ms:.2f} ms): a search would not have trained it" if gate_ms else ""
    return text + over * network.is_over_gate


def _latency(trial: Trial, stat: str) -> str:
    measurement = trial.measurement
    interval = None if measurement is None else measurement.interval_ms
    between = "" if interval is None else f" [{interval[0]:.2f}, {interval[1]:.2f}]"
    counts = ""
    if measurement is not None and measurement.rounds is not None:
        counts = f", {measurement.undisturbed} of {measurement.rounds} rounds undisturbed"
        counts += "; the latency is unstable" * bool(measurement.unstable)
    costs = f"{params_text(trial.params)} params, {macs_text(trial.macs)} MACs"
    return f"{stat} {trial.latency_ms or 0.0:.2f} ms{between}{counts}; {costs}"


def _against(against: AgainstWinner) -> str:
    test = f"McNemar's test on {against.images:,} validation images, two standard errors"
    winner = f"the winner ({accuracy_text(against.winner_accuracy)} after {against.fidelity})"
    if against.result == "indistinguishable":
        return f"accuracy not distinguishable from that of {winner}: {test}"
    return f"{'more' if against.result == 'better' else 'less'} accurate than {winner}: {test}"
