"""What a run keeps of its library's alternatives and front."""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.deriving.library.front import library_front
from archdsl.deriving.library.solutions import Solver
from archdsl.search.store.run_library import KeptAlternative, KeptFacts


def library_facts(solver: Solver, limits_ms: Iterable[float | None] = ()) -> KeptFacts:
    """The facts of a solver whose costs are `macs` and `latency`, which is 0 where none is known.

    limits_ms: budgets that the front has a point for, beside its own.
    """
    has_latency = solver.whole["latency"] > 0
    limits = [limit for limit in limits_ms if limit is not None] if has_latency else []
    return KeptFacts(
        alternatives=tuple(
            KeptAlternative(
                key=entry.key,
                stage=entry.stage,
                first=entry.first,
                span=entry.span,
                block=entry.block,
                kl=entry.kl or 0.0,
                saved_ms=solver.saved(entry.key)["latency"] if has_latency else None,
                saved_macs=solver.saved(entry.key)["macs"],
            )
            for entry in solver.entries
        ),
        front=library_front(solver, "latency" if has_latency else "macs", limits),
    )
