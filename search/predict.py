"""Latency predicted from what this search has measured so far: what clearly cannot pass is not even measured.

A ridge regression of milliseconds on the blocks and MACs of each type of node. It speaks only once it has seen enough,
and rejects only what lies over the gate by more than it was ever wrong, so that it saves time and decides nothing
close. What it lets through is measured.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from archdsl.cost import Count, count
from archdsl.schema.document import Spec

ENOUGH = 16
"""Measured networks before the first prediction."""
_RIDGE = 1e-3


class LatencyModel:
    """Milliseconds by regression on measured networks."""

    def __init__(self) -> None:
        self._seen: list[tuple[dict[str, float], float]] = []
        self._fit: tuple[list[str], NDArray[Any], list[float]] | None = None

    def learn(self, spec: Spec, latency_ms: float) -> None:
        """One network as measured."""
        self._seen.append((features(spec), latency_ms))
        self._fit = None

    @property
    def errors(self) -> list[float]:
        """The relative error on each measured network when it is left out of the fit, from least to most."""
        return sorted(self._fitted()[2])

    def predicted(self, spec: Spec, counted: Count | None = None) -> float | None:
        """The ms of a network; None where it has a type of node that was never measured."""
        names, weights, _ = self._fitted()
        found = features(spec, counted)
        if not set(found) <= set(names):
            return None
        return float(np.array([found.get(name, 0.0) for name in names]) @ weights)

    def surely_over(self, spec: Spec, gate_ms: float) -> float | None:
        """The predicted ms of a network that is over the gate by more than the model's largest error, else None."""
        if len(self._seen) < ENOUGH:
            return None
        predicted = self.predicted(spec)
        over = predicted is not None and predicted / (1 + max(self._fitted()[2])) > gate_ms
        return predicted if over else None

    def _fitted(self) -> tuple[list[str], NDArray[Any], list[float]]:
        """Feature names, weights, and the relative errors on networks left out of the fit."""
        if self._fit is None:
            self._fit = self._solved()
        return self._fit

    def _solved(self) -> tuple[list[str], NDArray[Any], list[float]]:
        names = sorted({name for found, _ in self._seen for name in found})
        x = np.array([[found.get(name, 0.0) for name in names] for found, _ in self._seen])
        y = np.array([latency for _, latency in self._seen])
        weights = _ridge(x, y)
        errors = []
        for index in range(len(y)):
            others = np.arange(len(y)) != index
            guess = float(x[index] @ _ridge(x[others], y[others]))
            errors.append(abs(guess / y[index] - 1))
        return names, weights, errors


def features(spec: Spec, counted: Count | None = None) -> dict[str, float]:
    """What a network's latency is regressed on: blocks and MACs by type of node, and one for all."""
    found = {"one": 1.0}
    for node, cost in zip(spec.nodes, (counted or count(spec)).nodes, strict=True):
        blocks, macs = f"{cost.type} blocks", f"{cost.type} MACs"
        found[blocks] = found.get(blocks, 0.0) + float(getattr(node, "depth", 1))
        found[macs] = found.get(macs, 0.0) + cost.macs / 1e6
    return found


def _ridge(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Weights that minimise the relative squared error, lightly held to zero in units of each feature's size."""
    scale = np.abs(x).max(axis=0)
    scale[scale == 0] = 1.0
    rows = x / scale / y[:, None]
    gram = rows.T @ rows + _RIDGE * np.eye(x.shape[1])
    solved: NDArray[Any] = np.linalg.solve(gram, rows.T @ np.ones(len(y))) / scale
    return solved
