"""The values that every room of a search speaks of."""

from __future__ import annotations

from typing import NamedTuple

from archdsl.cost import Count
from archdsl.language.document import Spec
from archdsl.search.config import Settings


class Candidate(NamedTuple):
    """A network that holds and is inside the static budgets."""

    spec: Spec
    hash: str
    counted: Count

    def costs(self, settings: Settings) -> dict[str, float]:
        """What the static budgets bound, by metric."""
        memory = self.counted.memory_bytes(settings.dtype, settings.batch)
        return {"params": self.counted.params, "MACs": self.counted.macs, "memory": memory}

    def over_budget(self, settings: Settings) -> str | None:
        """The first static budget that it is over, with both values; None where it keeps all of them."""
        costs = self.costs(settings)
        for name, budget in settings.static_budgets.items():
            if budget is not None and costs[name] > budget:
                return f"{name} {costs[name]:.4g} over {budget:.4g}"
        return None
