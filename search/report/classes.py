"""The winner's accuracy by class, as `verdict.json` says it."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.json_types import Json
from archdsl.search.report.facts import ClassAccuracy
from archdsl.search.report.reading import mapping
from archdsl.training.accuracy import PerClass, balanced_accuracy


def classes_of(written: Json) -> list[ClassAccuracy]:
    """The classes in their order; what cannot be read is left out, and all of it where a run does not say it."""
    sets = mapping(written)
    validation, held_out = _counts(sets.get("validation")), _counts(sets.get("held_out"))
    names = dict.fromkeys([*validation, *held_out])
    return [ClassAccuracy(name, validation.get(name), held_out.get(name)) for name in names]


def balanced_of(per_class: Sequence[ClassAccuracy]) -> dict[str, float]:
    """The mean of the classes' recalls, by the set of images."""
    sets: dict[str, PerClass] = {
        "validation": {row.name: row.validation for row in per_class if row.validation is not None},
        "held_out": {row.name: row.held_out for row in per_class if row.held_out is not None},
    }
    return {name: balanced_accuracy(counts) for name, counts in sets.items() if counts}


def _counts(written: Json) -> PerClass:
    """`{class: [right, of]}`"""
    counts = {name: _count(value) for name, value in mapping(written).items()}
    return {name: count for name, count in counts.items() if count is not None}


def _count(value: Json) -> tuple[int, int] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    right, of = value
    if type(right) is not int or type(of) is not int:  # a bool is an int
        return None
    return (right, of) if 0 <= right <= of and of > 0 else None
