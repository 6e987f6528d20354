"""The winner's accuracy by class, as `verdict.json` tells it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archdsl.search.report.facts import ClassAccuracy
from archdsl.search.report.reading import mapping
from archdsl.training.accuracy import balanced_accuracy

SETS = ("validation", "held_out")


def classes_of(raw: Any) -> list[ClassAccuracy]:
    """The classes in their order; what cannot be read is left out, and all of it where a run does not tell it."""
    counts = {name: _counts(mapping(raw).get(name)) for name in SETS}
    names = dict.fromkeys(name for classes in counts.values() for name in classes)
    return [ClassAccuracy(name, *(counts[of].get(name) for of in SETS)) for name in names]


def balanced_of(per_class: Sequence[ClassAccuracy]) -> dict[str, float]:
    """The mean of the classes' recalls, by the set of images."""
    balanced = {}
    for of in SETS:
        counts = {row.name: count for row in per_class if (count := getattr(row, of)) is not None}
        if counts:
            balanced[of] = balanced_accuracy(counts)
    return balanced


def _counts(raw: Any) -> dict[str, tuple[int, int]]:
    """`{class: [right, of]}`"""
    return {name: (count[0], count[1]) for name, count in mapping(raw).items() if _is_count(count)}


def _is_count(value: Any) -> bool:
    whole = isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value)
    return whole and 0 <= value[0] <= value[1] and value[1] > 0
