"""The Pareto front: trained candidates inside the budgets that no other one beats in everything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Record = dict[str, Any]

ACCURACY = "max proxy_accuracy"
"""The objective that costs a training."""

_FIELDS = {"proxy_accuracy": "accuracy", "latency": "latency", "params": "params", "macs": "macs"}


def losses(record: Record, objectives: Sequence[str]) -> tuple[float, ...]:
    """A record's objectives, each so that less is better."""
    found = []
    for objective in objectives:
        direction, metric = objective.split()
        value = float(record[_FIELDS[metric]])
        found.append(-value if direction == "max" else value)
    return tuple(found)


def costs_no_more(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether nothing of the first is worse, each being so that less is better."""
    return all(a <= b for a, b in zip(one, other, strict=True))


def front(records: Iterable[Record], objectives: Sequence[str]) -> list[Record]:
    """The records that none dominates, one a network, the most accurate first."""
    points = {record["hash"]: (losses(record, objectives), record) for record in records}
    kept = [
        record for own, record in points.values() if not any(_dominates(other, own) for other, _ in points.values())
    ]
    return sorted(kept, key=lambda record: (-record["accuracy"], record["latency"]))


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and costs_no_more(one, other)
