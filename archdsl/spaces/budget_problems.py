"""What is wrong with the budgets of a space, told with what was meant: the bound of the metric, and its unit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from pydantic import ValidationError

from archdsl.errors import Problem, ShapeError, nearest_only, one_of, short
from archdsl.json_types import Json, JsonObject
from archdsl.spaces.space import MEASURED, UNITS, Budget, bounds_of

_USUAL_UNITS = {"latency": "ms", "throughput": "/s", "params": "M", "macs": "G", "memory": "MB"}
_USUAL_BOUNDS = {"min": "100", "max": "5"}
_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,2})?)\s*([A-Za-zµ]*(?:/s)?)\s*")
_FORMER_NAMES = ("mode",)


def budget_problems(in_header: Sequence[Problem], budgets: Json) -> list[Problem]:
    """The problems of a header, those of its budgets in the words of their metrics, and what budgets say to each other.

    Where a remedy writes the bound and its unit, a missing unit is not told by itself.
    """
    written = budgets if isinstance(budgets, list) else []
    told = [problem for problem in in_header if problem.keys[:1] != ("budgets",) or len(problem.keys) < 2]
    for index, budget in enumerate(written):
        found = [problem for problem in in_header if problem.keys[:2] == ("budgets", index)]
        metric = budget.get("metric") if isinstance(budget, dict) else None
        if isinstance(budget, dict) and isinstance(metric, str) and metric in UNITS:
            told += _of_one(found, budget, metric)
        else:  # the metric decides which units there are
            told += [problem._replace(remedy=None) if _lacks_unit(problem) else problem for problem in found]
    return [*told, *_between(written)]


def _of_one(found: list[Problem], budget: JsonObject, metric: str) -> Iterator[Problem]:
    """The problems that the header found in a budget whose metric is known."""
    wanted, other = bounds_of(metric)
    is_swapped = budget.get(other) is not None
    has_unit_in_bound = _quantity(budget.get(wanted), metric) is not None
    for problem in found:
        field = problem.keys[2] if len(problem.keys) > 2 else None
        if _lacks_unit(problem):
            if not is_swapped and not has_unit_in_bound:
                yield problem._replace(remedy=f'add "unit": "{_USUAL_UNITS[metric]}"')
        elif field == "unit":
            remedy = nearest_only(str(budget["unit"]), UNITS[metric])
            yield problem._replace(rule=f"unit must be {_quoted_units(metric)} for {metric}", remedy=remedy)
        elif field == wanted and isinstance(written := budget[wanted], str):
            yield problem._replace(remedy=_with_unit(wanted, written, metric) or problem.remedy)
        elif field != other:
            yield problem


def _lacks_unit(problem: Problem) -> bool:
    return problem.rule == "unit is required" and len(problem.keys) == 2


def _with_unit(bound: str, written: str, metric: str) -> str | None:
    """How a bound that is written with its unit, such as "1ms", is written; None where it has no unit."""
    if (quantity := _quantity(written, metric)) is not None:
        return f'write "{bound}": {quantity[0]}, "unit": "{quantity[1]}"'
    match = _QUANTITY.fullmatch(written)
    if match is None or not match[2]:
        return None
    return f'write a number, and beside it "unit": {_quoted_units(metric)}'


def _quoted_units(metric: str) -> str:
    return one_of([f'"{unit}"' for unit in UNITS[metric]])


def _quantity(written: Json, metric: str) -> tuple[str, str] | None:
    """The number, as JSON, and the unit in a text such as "1ms", if the metric has that unit."""
    match = _QUANTITY.fullmatch(written) if isinstance(written, str) else None
    if match is None or not math.isfinite(number := float(match[1])):
        return None
    name = match[2].replace("µ", "u")
    exact = [unit for unit in UNITS[metric] if unit == name]
    units = exact or [unit for unit in UNITS[metric] if unit.lower() == name.lower()]
    return (f"{number:.12g}", units[0]) if units else None


def _swapped(index: int, budget: JsonObject) -> Problem | None:
    """A bound that the metric does not have; the remedy writes the budget with the one that it has."""
    metric = budget.get("metric")
    if not isinstance(metric, str) or metric not in UNITS:
        return None
    wanted, other = bounds_of(metric)
    if (written := budget.get(other)) is None:
        return None
    rule, keys = f"a {metric} budget has '{wanted}', not '{other}'", ("budgets", index, other)
    if budget.get(wanted) is not None:
        return Problem(keys, rule, None, f"remove '{other}'", at_key=True)
    number, unit = _quantity(written, metric) or (_USUAL_BOUNDS[wanted], _USUAL_UNITS[metric])
    if isinstance(written, int | float) and not isinstance(written, bool):
        number, unit = short(written), str(budget["unit"]) if budget.get("unit") in UNITS[metric] else unit
    others = {name: value for name, value in budget.items() if name in (*Budget.model_fields, *_FORMER_NAMES)}
    kept = [f', "{name}": {short(value)}' for name, value in others.items() if name not in ("metric", "unit", other)]
    remedy = f'write {{"metric": "{metric}", "{wanted}": {number}, "unit": "{unit}"{"".join(kept)}}}'
    return Problem(keys, rule, None, remedy, at_key=True)


def _between(budgets: list[Json]) -> Iterator[Problem]:
    """What the fields of a budget say to each other, and budgets to each other."""
    metrics: list[str] = []
    for index, written in enumerate(budgets):
        swapped = _swapped(index, written) if isinstance(written, dict) else None
        if swapped is not None:
            yield swapped
        with suppress(ValidationError):
            budget = Budget.model_validate(written)
            if budget.metric in metrics:
                yield _doubled(index, budget.metric, "each metric must have only one budget")
            elif budget.metric in MEASURED and set(MEASURED) & set(metrics):
                rule = "a document bounds latency or throughput: a throughput is the batch over the latency"
                yield _doubled(index, budget.metric, rule)
            metrics.append(budget.metric)
            if swapped is None:
                yield from _checked(index, budget, written)


def _checked(index: int, budget: Budget, written: Json) -> Iterator[Problem]:
    """What a budget has and its metric has not."""
    try:
        budget.check()
    except ShapeError as error:
        former = isinstance(written, dict) and "runtime" not in written
        keys = ("mode" if key == "runtime" and former else key for key in error.keys)  # as written
        yield Problem(("budgets", index, *keys), error.rule, error.value, error.remedy)


def _doubled(index: int, metric: str, rule: str) -> Problem:
    return Problem(("budgets", index), rule, short(metric), "remove one of the two")
