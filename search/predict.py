"""Latency predicted from what this search has measured so far: what clearly cannot pass is not even measured.

A ridge regression of milliseconds on the blocks and MACs of each type of node. It speaks only once it has seen enough,
and rejects only what lies over the gate by more than it was ever wrong, so that it saves time and decides nothing
close. What it lets through is measured.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from archdsl.cost import count
from archdsl.schema.document import Spec

ENOUGH = 16
"""Measured networks before the first prediction."""
_RIDGE = 1e-3


class LatencyModel:
    """Milliseconds by regression on measured networks."""

    def __init__(self) -> None:
        self._seen: list[tuple[dict[str, float], float]] = []
        self._fit: tuple[list[str], NDArray[Any], float] | None = None

    def learn(self, spec: Spec, latency_ms: float) -> None:
        """One network as measured."""
        self._seen.append((features(spec), latency_ms))
        self._fit = None

    def surely_over(self, spec: Spec, gate_ms: float) -> float | None:
        """The predicted ms of a network that is over the gate by more than the model's largest error, else None."""
        if len(self._seen) < ENOUGH:
            return None
        if self._fit is None:
            self._fit = self._fitted()
        names, weights, worst = self._fit
        found = features(spec)
        if not set(found) <= set(names):  # a type of node that was never measured
            return None
        predicted = float(np.array([found.get(name, 0.0) for name in names]) @ weights)
        return predicted if predicted / (1 + worst) > gate_ms else None

    def left_out(self) -> list[tuple[float, float]]:
        """Of each measured network the ms predicted from all the others and the ms measured; none before `ENOUGH`."""
        return _left_out(*self._table()[1:]) if len(self._seen) >= ENOUGH else []

    def _table(self) -> tuple[list[str], NDArray[Any], NDArray[Any]]:
        """Feature names, a row a network, and what each took in ms."""
        names = sorted({name for found, _ in self._seen for name in found})
        x = np.array([[found.get(name, 0.0) for name in names] for found, _ in self._seen])
        return names, x, np.array([latency for _, latency in self._seen])

    def _fitted(self) -> tuple[list[str], NDArray[Any], float]:
        """Feature names, weights, and the largest relative error on networks left out of the fit."""
        names, x, y = self._table()
        worst = max(abs(guess / measured - 1) for guess, measured in _left_out(x, y))
        return names, _ridge(x, y), worst


def features(spec: Spec) -> dict[str, float]:
    """What a network's latency is regressed on: blocks and MACs by type of node, and one for all."""
    found = {"one": 1.0}
    for node, counted in zip(spec.nodes, count(spec).nodes, strict=True):
        blocks, macs = f"{counted.type} blocks", f"{counted.type} MACs"
        found[blocks] = found.get(blocks, 0.0) + float(getattr(node, "depth", 1))
        found[macs] = found.get(macs, 0.0) + counted.macs / 1e6
    return found


def _left_out(x: NDArray[Any], y: NDArray[Any]) -> list[tuple[float, float]]:
    """Each network predicted by a fit to all the others, beside what it took."""
    found = []
    for index in range(len(y)):
        others = np.arange(len(y)) != index
        found.append((float(x[index] @ _ridge(x[others], y[others])), float(y[index])))
    return found


def _ridge(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Weights that minimise the relative squared error, lightly held to zero in units of each feature's size."""
    scale = np.abs(x).max(axis=0)
    scale[scale == 0] = 1.0
    rows = x / scale / y[:, None]
    gram = rows.T @ rows + _RIDGE * np.eye(x.shape[1])
    solved: NDArray[Any] = np.linalg.solve(gram, rows.T @ np.ones(len(y))) / scale
    return solved
