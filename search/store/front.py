"""The Pareto front: trained candidates inside the budgets that no other one beats in everything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

ACCURACY = "max proxy_accuracy"
"""The objective that costs a training."""

_ATTRIBUTES = {"proxy_accuracy": "accuracy", "latency": "latency_ms", "params": "params", "macs": "macs"}


class Judged(Protocol):
    """What objectives are read of; `archdsl.search.trial.Trial` is one."""

    @property
    def network_hash(self) -> str:
        """Of the network's canonical form."""
        ...

    @property
    def accuracy(self) -> float | None:
        """Proxy accuracy, 0 to 1."""
        ...

    @property
    def latency_ms(self) -> float | None:
        """Ms a batch."""
        ...

    @property
    def params(self) -> float | None:
        """Parameters."""
        ...

    @property
    def macs(self) -> float | None:
        """Multiply-adds of one image."""
        ...


J = TypeVar("J", bound=Judged)


def losses(trial: Judged, objectives: Sequence[str]) -> tuple[float, ...]:
    """A trial's objectives, each so that less is better.

    Raises:
        ValueError: it does not tell one of them.
        KeyError: an objective is not known.
    """
    signed = []
    for objective in objectives:
        direction, metric = objective.split()
        value: float | None = getattr(trial, _ATTRIBUTES[metric])
        if value is None:
            raise ValueError(f"trial of {trial.network_hash}: no {metric} is known")
        signed.append(-float(value) if direction == "max" else float(value))
    return tuple(signed)


def costs_no_more(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether nothing of the first is worse, each being so that less is better."""
    return all(a <= b for a, b in zip(first, second, strict=True))


def front(trials: Iterable[J], objectives: Sequence[str]) -> list[J]:
    """The trials that none dominates, one a network, the most accurate first."""
    points = {trial.network_hash: (losses(trial, objectives), trial) for trial in trials}
    kept = [
        trial for mine, trial in points.values() if not any(_dominates(other, mine) for other, _ in points.values())
    ]
    return sorted(kept, key=by_accuracy)


def by_accuracy(trial: Judged) -> tuple[float, float]:
    """The order of trained networks: the most accurate first, of equal ones the fastest."""
    return -(trial.accuracy or 0.0), trial.latency_ms or 0.0


def _dominates(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return first != second and costs_no_more(first, second)
