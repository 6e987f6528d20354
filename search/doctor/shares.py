"""How much of a space is inside its budgets, with how sure that is."""

from __future__ import annotations

import math
from typing import NamedTuple

from archdsl.search.doctor.feasible import inside

_Z = 1.96


class Share(NamedTuple):
    """How many of the networks looked at are inside a budget, or inside all."""

    metric: str
    budget: float | None
    inside: int
    of: int
    low: float
    high: float
    """The share lies between these: 95 % of the sampling, and of a latency also the prediction's median error."""


class KeptBudget(NamedTuple):
    """The latency budget that a share of the networks keeps."""

    share: float
    budget_ms: float
    low_ms: float
    high_ms: float
    """The budget lies between these: 95 % of the sampling, and the prediction's median error."""


def kept_budgets(latencies_ms: list[float], parts: tuple[float, ...], is_whole: bool, error: float) -> list[KeptBudget]:
    """For each share the budget that it keeps: quantiles of the latencies that are known, measured or predicted."""
    known = sorted(ms for ms in latencies_ms if ms < math.inf)
    if not known:
        return []
    budgets = []
    for share in parts:
        half = 0.0 if is_whole else _Z * math.sqrt(share * (1 - share) / len(known))
        low, high = _quantile(known, max(share - half, 0.0)), _quantile(known, min(share + half, 1.0))
        budgets.append(KeptBudget(share, _quantile(known, share), low * (1 - error), high * (1 + error)))
    return budgets


def _quantile(ordered: list[float], share: float) -> float:
    """The least value that so large a share does not exceed."""
    return ordered[min(max(math.ceil(share * len(ordered)) - 1, 0), len(ordered) - 1)]


def shares(rows: list[dict[str, float]], limits: dict[str, float], is_whole: bool, error: float) -> list[Share]:
    """The share inside each budget and, last, inside all of them."""
    several = [(metric, {metric: limit}) for metric, limit in limits.items()]
    by_budget = []
    for metric, bound in [*several, ("all", limits)] if limits else []:
        complete = [row for row in rows if all(row.get(name, math.inf) < math.inf for name in bound)]
        if not complete:
            continue
        counts = [sum(inside(row, _moved(bound, shift)) for row in complete) for shift in (-error, 0.0, error)]
        low, high = counts[0] / len(complete), counts[2] / len(complete)
        if not is_whole:
            low, high = _wilson(counts[0], len(complete))[0], _wilson(counts[2], len(complete))[1]
        by_budget.append(Share(metric, bound.get(metric), counts[1], len(complete), low, high))
    return by_budget


def _moved(bound: dict[str, float], shift: float) -> dict[str, float]:
    """Limits with that of the latency, which is predicted, moved by so much of it."""
    return {name: limit * (1 + shift) if name == "latency" else limit for name, limit in bound.items()}


def _wilson(inside: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share, by Wilson's score."""
    share, z = inside / of, _Z**2 / of
    middle = (share + z / 2) / (1 + z)
    half = math.sqrt(share * (1 - share) * z + z * z / 4) / (1 + z)
    return max(middle - half, 0.0), min(middle + half, 1.0)
