"""What a report says of chance and of noise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportPolicy:
    """When a figure says something, and what the next steps assume."""

    importance_trials: int = 10
    """Networks below which no importance is told: the parameters are about as many."""
    importance_deals: int = 10
    """Deals of the values at random, whose mean is what chance gives."""
    exact_orders: int = 6
    """Up to so many networks all orders are tried."""
    orders: int = 1000
    """Random orders that are tried of more networks."""
    noise: float = 0.05
    """Of a machine whose noise the run does not say: the least that a search assumes."""
    far: float = 2.0
    """Times the budget: where the fastest network takes longer, a longer search will not find one inside it."""
