"""How a network is judged, and when the search gives up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GivingUpPolicy:
    """When the fault is not the candidates'."""

    most_failures: int = 20
    """Trials in a row that failed."""
    first: int = 5
    """Trials that all fell at the gate, before the smallest network is looked for."""
    hopeless: float = 2.0
    """Times the budget that the fastest network takes, the smallest one among those that were measured."""
