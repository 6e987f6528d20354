"""What a person is told of a latency budget that nearly every network of the space keeps, or hardly any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.numbers import plain_text

if TYPE_CHECKING:
    from archdsl.search.store.budget_share import BudgetShare


def budget_share_text(share: BudgetShare | None, budget_ms: float | None, runtime: str) -> str:
    """One or two sentences with the figures; empty where the budget excludes some networks and leaves others."""
    if share is None or budget_ms is None or not (share.is_loose or share.is_tight):
        return ""
    excludes = "almost nothing" if share.is_loose else "almost everything"
    basis = f"{share.networks} measured networks"
    if share.predicted:
        error = "" if share.median_error is None else f" (median error {share.median_error:.0%})"
        basis = f"{share.networks} networks drawn at random, by their predicted latency{error},"
    budget = f"The latency budget of {plain_text(budget_ms, 4)} ms excludes {excludes}"
    return (
        f"{budget}: {share.share:.1%} of {basis} keep it in {runtime}. "
        f"Half of them keep {plain_text(share.half_ms, 2)} ms."
    )
