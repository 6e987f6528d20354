"""Every measured trial of a study with all its objectives, in memory.

A candidate that fell at the gate was never trained, and one whose training was broken off has no accuracy either: both
are pruned in the study, which holds what was measured. Models need a value of every objective, and get one that was
filled in: the mean accuracy of the trials that were trained by then, and the least. Studies of earlier versions hold
the filled values as if they were measured, beside marks that tell these trials apart.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from optuna.trial import FrozenTrial, TrialState

from archdsl.search.propose.trial_queue import BUDGET, LATENCY
from archdsl.search.store.front import ACCURACY

GATED, BROKEN_OFF = "gated", "broken off"
"""What marks a trial that was measured and not trained to the end."""
ATTRIBUTES = {"latency": LATENCY, "params": "params", "macs": "macs"}
"""Under which name a trial carries an objective, by metric."""

Accuracies = Sequence[float]


class Measured(NamedTuple):
    """A measured trial and its objectives, in their order."""

    trial: FrozenTrial
    values: tuple[float, ...]
    excess: float
    """Over the budget by a factor of 1 + this, if it is more than 0."""
    is_trained: bool
    """Whether it was trained to the end; else the accuracy among its values is filled in."""


def measured_trials(trials: Iterable[FrozenTrial], objectives: Sequence[str]) -> list[Measured]:
    """Those that were measured, in the order of their numbers."""
    measured, accuracies = list[Measured](), list[tuple[int, float]]()
    for trial in sorted(trials, key=lambda trial: (trial.datetime_complete or datetime.max, trial.number)):
        excess = trial.constraints.get(BUDGET, 1.0)
        if trial.state == TrialState.COMPLETE:
            values, is_trained = tuple(trial.values), excess <= 0 and BROKEN_OFF not in trial.user_attrs
            measured.append(Measured(trial, values, excess, is_trained))
            if is_trained and ACCURACY in objectives:
                insort(accuracies, (trial.number, values[objectives.index(ACCURACY)]))
        elif (values_filled := _filled(trial, objectives, [accuracy for _, accuracy in accuracies])) is not None:
            measured.append(Measured(trial, values_filled, excess, is_trained=False))
    return sorted(measured, key=lambda measured: measured.trial.number)


def _filled(trial: FrozenTrial, objectives: Sequence[str], accuracies: Accuracies) -> tuple[float, ...] | None:
    """The objectives of a pruned trial; None where it was not measured."""
    fill = next((fill for mark, fill in _FILLS.items() if mark in trial.user_attrs), None)
    if trial.state != TrialState.PRUNED or fill is None:
        return None
    facts = [None if text == ACCURACY else trial.user_attrs.get(_attribute(text)) for text in objectives]
    values = [fill(accuracies) if text == ACCURACY else fact for text, fact in zip(objectives, facts, strict=True)]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    return tuple(numbers) if len(numbers) == len(objectives) else None


def _attribute(objective: str) -> str:
    """Under which name a trial carries an objective that is no accuracy."""
    metric = objective.split()[-1]
    return ATTRIBUTES.get(metric, metric)


def _mean(accuracies: Accuracies) -> float:
    return sum(accuracies) / len(accuracies) if accuracies else 0.0


def _least(accuracies: Accuracies) -> float:
    return min(accuracies, default=0.0)


_FILLS: dict[str, Callable[[Accuracies], float]] = {GATED: _mean, BROKEN_OFF: _least}
