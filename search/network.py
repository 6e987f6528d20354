"""A network of a space, and the choices that give it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from archdsl.cost import Count
from archdsl.json_types import Scalar
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.search.config import COST_TEXTS, METRICS, Settings

Choices: TypeAlias = dict[str, Scalar]
"""A value for every variable of a space that is asked for, by its name."""
Choose: TypeAlias = Callable[[str], Scalar]
"""What gives the value of a variable."""


class Network(NamedTuple):
    """A network that holds: a point of a space, and what it costs."""

    spec: Spec
    counted: Count
    known_hash: str | None = None
    """Of its canonical form, where that was worked out already."""

    @property
    def network_hash(self) -> str:
        """Of its canonical form: equal networks have equal ones, whatever their names."""
        return self.known_hash or canonical_hash(self.spec)

    def cost(self, metric: str, dtype: str, batch: int) -> float:
        """Params, MACs of one image, or bytes of memory at a batch."""
        if metric == "memory":
            stored = "float32" if dtype == "int8" else dtype  # activations and convolutions stay float32
            return self.counted.memory_bytes(stored, batch)
        return self.counted.params if metric == "params" else self.counted.macs

    def costs(self, settings: Settings) -> dict[str, float]:
        """What the static budgets bound, by metric."""
        return {metric: self.cost(metric, settings.dtype, settings.batch) for metric in METRICS}

    def over_budget(self, settings: Settings) -> str | None:
        """The first static budget that it exceeds, with both values; None where it keeps all of them."""
        costs = self.costs(settings)
        for metric, budget in settings.budgets.static.items():
            if costs[metric] > budget:
                text = COST_TEXTS[metric]
                return f"{METRICS[metric]} {text(round(costs[metric]))} over {text(round(budget))}"
        return None
