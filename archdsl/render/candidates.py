"""A trained network as a row of the search's table and as a point of its plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from archdsl.numbers import accuracy_text
from archdsl.render.columns import Column, Sheet
from archdsl.render.texts import counted
from archdsl.render.verdict import second_reading
from archdsl.search.trial import LIBRARY

if TYPE_CHECKING:
    from archdsl.search.store.winner import AttemptSummary
    from archdsl.search.trial import Trial


_MOST_UNTRAINED = 3
NEVER_CHOSEN = "models of timm are compared and never chosen: the files of a winner cannot be written for them"


def point(trial: Trial) -> tuple[float, float]:
    """(ms, %)"""
    return trial.latency_ms or 0.0, 100 * (trial.accuracy or 0.0)


def describe(trial: Trial) -> str:
    """A candidate in one line."""
    costs = f"{trial.params / 1e6:.2f} M params, {trial.macs / 1e6:.0f} M MACs"
    return f"{accuracy_text(trial.accuracy, trial.error)} at {trial.latency_ms:.2f} ms, {costs}"


def fidelity_text(trial: Trial) -> str:
    """The length of training that names the accuracy."""
    return "a training of unknown length" if trial.training is None else trial.training.lengths


def front_table(
    front: Sequence[Trial], longer: Mapping[str, Trial], stat: str, attempts: Sequence[AttemptSummary] = ()
) -> RenderableType:
    """The front, the best first; `longer` are finalists trained longer, by hash, `attempts` who was measured again."""
    again = [second_reading(attempts, trial.network_hash) for trial in front]
    accuracies = {trial.network_hash: accuracy_text(trial.accuracy, trial.error) for trial in longer.values()}
    columns = [
        Column("candidate", [Text(trial.label) for trial in front], least=0),
        Column("proxy acc.", [Text(accuracy_text(trial.accuracy, trial.error)) for trial in front], right=True),
        Column("longer", [Text(accuracies.get(trial.network_hash, "")) for trial in front], right=True, drop=1),
        Column(f"{stat} ms", [Text(f"{trial.latency_ms:.2f}") for trial in front], right=True),
        *([Column("again", [Text(text) for text in again], right=True)] if any(again) else []),
        Column("params M", [Text(f"{trial.params / 1e6:.2f}") for trial in front], right=True, drop=2),
        Column("MACs M", [Text(f"{trial.macs / 1e6:.0f}") for trial in front], right=True, drop=3),
    ]
    return Sheet(columns, names_left_out=True)


def baseline_lines(records: Sequence[Trial], shown: Sequence[Trial]) -> Iterator[str]:
    """Networks named beside the space that have no row in the table, each with its numbers or why it has none.

    Of those of a library that were not trained, which nobody named, the first ones are told.
    """
    rows = {trial.network_hash for trial in shown}
    beside = [trial for trial in records if trial.is_baseline and not trial.is_longer]
    of_library = [trial for trial in beside if trial.origin == LIBRARY]
    for trial in (trial for trial in beside if trial.network_hash not in rows):
        if trial.accuracy is None and trial.origin == LIBRARY:
            continue
        if trial.accuracy is None:
            yield f"{trial.label}: {trial.reason}"
        else:
            over = "" if trial.inside_budget else ", over the latency budget"
            yield f"also tried, not on the front: {trial.label}: {describe(trial)}{over}"
    untrained = [(trial.name, trial.reason or "") for trial in of_library if trial.accuracy is None]
    yield from untrained_text(len(of_library), untrained)
    if any(not trial.can_win for trial in beside):
        yield NEVER_CHOSEN


def untrained_text(tried: int, untrained: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Which networks of a library were dropped before they were trained, and why; nothing where none was."""
    if not untrained:
        return
    of_all = f"{len(untrained)} of the {counted(tried, 'network')} of the library that were tried"
    if tried == 1:
        of_all = "the network of the library that was tried"
    verb = "was" if len(untrained) == 1 else "were"
    yield f"{of_all} {verb} not trained:"
    for name, reason in untrained[:_MOST_UNTRAINED]:
        yield f"  {name}: {reason}"
    if len(untrained) > _MOST_UNTRAINED:
        yield f"  and {len(untrained) - _MOST_UNTRAINED} more, in trials.jsonl"


def proxy_line(first: Trial, longer: Sequence[Trial]) -> str:
    """The budgets that the accuracies are named by."""
    seeds = max((len(trial.training.per_seed) for trial in longer if trial.training is not None), default=0)
    several = f", the mean of up to {seeds} seeds" if seeds > 1 else ""
    lengths = " or ".join(dict.fromkeys(fidelity_text(trial) for trial in longer))
    further = f", longer: {lengths}{several}" if longer else ""
    data = f"{first.training.data}; " if first.training is not None and first.training.data else ""
    error = "± is one standard error, from the number of validation images alone"
    return f"proxy accuracy after {fidelity_text(first)}{further}; {data}{error}"
