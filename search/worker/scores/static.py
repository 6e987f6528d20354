"""What a network costs, as scores: the baselines that every other score has to beat."""

from __future__ import annotations

from archdsl.cost import Count


def static(counted: Count) -> dict[str, float]:
    """Params, and MACs of one image."""
    return {"params": float(counted.params), "macs": float(counted.macs)}
