"""What a running search shows: the state that a display draws from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from archdsl.latency.provenance import Provenance
from archdsl.search.config import Settings
from archdsl.search.store.clock import Clock
from archdsl.search.trial import Trial


@dataclass
class State:
    """Everything a display needs, kept up to date by the search."""

    settings: Settings
    folder: str
    clock: Clock
    phase: str = "starting"
    doing: str = ""
    fraction: float | None = None
    """How far the current training is, 0 to 1."""
    funnel: Counter[str] = field(default_factory=Counter)
    trials: int = 0
    gate_ms: float | None = None
    """What a candidate must measure to be trained: the budget less the machine's noise."""
    front: list[Trial] = field(default_factory=list)
    facts: Provenance | None = None
    """The device that networks are measured on; None until a worker has told it."""
    notes: list[str] = field(default_factory=list)
    busy: str = ""
    """What disturbs the machine now; empty where nothing does."""

    @property
    def best(self) -> Trial | None:
        """The most accurate candidate inside the budgets."""
        return self.front[0] if self.front else None

    @property
    def elapsed(self) -> float:
        """Seconds that the search took so far."""
        return self.clock.elapsed

    @property
    def limit(self) -> float | None:
        """Seconds that it may take; None without a limit."""
        return self.clock.limit


Watcher = Callable[[State, str | None], None]
"""Called whenever the state changed; the second argument is a line worth keeping, or None."""


def silent(state: State, line: str | None) -> None:
    """A watcher that shows nothing."""
