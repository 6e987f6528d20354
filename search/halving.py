"""Successive halving of trainings that are under way, by the running training loss.

It is our own, since Optuna prunes no study that has several objectives. After a fifth and after half of its steps a
training goes on only if its running loss is in the better half of those that its rivals had there. Rivals are the
networks that cost no more in any other objective: a slower one that learns worse than most of these will hardly be on
the front, and the fastest has none. As the scores at initialisation, the loss must first prove itself in this search,
by its rank correlation, at that step, with the accuracies at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from archdsl.search.front import Record, losses
from archdsl.search.ranks import spearman
from archdsl.search.running import MARKS

RUNGS = (MARKS // 5, MARKS // 2)
"""The marks of the running loss at which a training is judged."""
ENOUGH = 8
"""Networks trained to the end before the loss is trusted or not, and rivals before a training is broken off."""
LEAST_CORRELATION = 0.5
KEPT = 0.5
"""Share of the rivals' losses that a network's must be among."""
_ACCURACY = "max proxy_accuracy"


class _Known(NamedTuple):
    """A training, as far as it came: the other objectives, the running loss at each mark, the accuracy at the end."""

    costs: tuple[float, ...]
    running: tuple[float, ...]
    accuracy: float | None


class Halving:
    """Which running losses are too high to go on, by what this search has learned."""

    def __init__(self, objectives: Sequence[str]) -> None:
        self._is_asked = _ACCURACY in objectives
        self._others = [objective for objective in objectives if objective != _ACCURACY]
        self._known: list[_Known] = []

    def learn(self, record: Record) -> None:
        """One finished trial; one that was not trained, or by an older recipe, teaches nothing."""
        running = (record["provenance"].get("proxy") or {}).get("running")
        if running:
            self._known.append(_Known(losses(record, self._others), tuple(running), record["accuracy"]))

    def limits(self, record: Record) -> dict[int, float]:
        """The highest running loss, by mark, with which the training of a measured network goes on."""
        if not self._is_asked:
            return {}
        costs = losses(record, self._others)
        rivals = [known for known in self._known if all(a <= b for a, b in zip(known.costs, costs, strict=True))]
        found = {mark: [known.running[mark - 1] for known in rivals if len(known.running) >= mark] for mark in RUNGS}
        return {
            mark: float(np.quantile(values, KEPT))
            for mark, values in found.items()
            if len(values) >= ENOUGH and (self.correlation(mark) or 0.0) >= LEAST_CORRELATION
        }

    def correlation(self, mark: int) -> float | None:
        """Spearman's of a low running loss at a mark and a high accuracy at the end; None before there is enough."""
        ended = [known for known in self._known if known.accuracy is not None and len(known.running) >= mark]
        if len(ended) < ENOUGH:
            return None
        found: float = spearman([-known.running[mark - 1] for known in ended], [known.accuracy or 0 for known in ended])
        return found

    def reason(self, mark: int, loss: float, limits: Mapping[int, float]) -> str:
        """Why a training was broken off."""
        return (
            f"running loss {loss:.3f} after {mark / MARKS:.0%} of the training, over {limits[mark]:.3f}, the median of "
            f"networks that cost no more; there it ranks accuracy at {self.correlation(mark) or 0:.2f}"
        )
