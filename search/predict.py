"""Latency predicted from what this search has measured so far: what clearly cannot pass is not even measured.

A table of the space, where there is a fresh one for the setting (`archdsl lut build`), with its error on networks held
out; and a ridge regression of milliseconds on the blocks and MACs of each type of node, which speaks only once it has
seen enough. Each rejects only what lies over the gate by more than it was ever wrong, so that it saves time and decides
nothing close. What both let through is measured.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archdsl.cost import count
from archdsl.errors import MeasureError
from archdsl.latency.tables import Table, load
from archdsl.schema.document import Spec
from archdsl.search.settings import Settings

ENOUGH = 16
"""Measured networks before the first prediction."""
_RIDGE = 1e-3


class LatencyModel:
    """Milliseconds by a table, if there is one, and by regression on measured networks."""

    def __init__(self, table: Table | None = None) -> None:
        self._table = table
        self._seen: list[tuple[dict[str, float], float]] = []
        self._fit: tuple[list[str], NDArray[Any], float] | None = None

    def learn(self, spec: Spec, latency_ms: float) -> None:
        """One network as measured."""
        self._seen.append((features(spec), latency_ms))
        self._fit = None

    def surely_over(self, spec: Spec, gate_ms: float) -> float | None:
        """The predicted ms of a network that is over the gate by more than the model's largest error, else None."""
        with contextlib.suppress(MeasureError):  # it has a part that the table has not
            known = self._table and self._table.predict(spec)
            if self._table and known and known / (1 + self._table.accuracy.worst) > gate_ms:
                return known
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

    def _fitted(self) -> tuple[list[str], NDArray[Any], float]:
        """Feature names, weights, and the largest relative error on networks left out of the fit."""
        names = sorted({name for found, _ in self._seen for name in found})
        x = np.array([[found.get(name, 0.0) for name in names] for found, _ in self._seen])
        y = np.array([latency for _, latency in self._seen])
        weights = _ridge(x, y)
        errors = []
        for index in range(len(y)):
            others = np.arange(len(y)) != index
            guess = float(x[index] @ _ridge(x[others], y[others]))
            errors.append(abs(guess / y[index] - 1))
        return names, weights, max(errors)


def table_of(settings: Settings, facts: dict[str, Any]) -> Table | None:
    """The fresh table of a search's space and setting on the device of these facts, or None."""
    cores = facts.get("physical_cores") if settings.device == "cpu" else None
    own = settings.measuring() | {"threads": settings.threads or cores, "stat": settings.stat}
    try:
        return load(settings.space_document, own, facts)
    except (MeasureError, RuntimeError):  # none or stale; the latter where there is no home folder
        return None


def features(spec: Spec) -> dict[str, float]:
    """What a network's latency is regressed on: blocks and MACs by type of node, and one for all."""
    found = {"one": 1.0}
    for node, counted in zip(spec.nodes, count(spec).nodes, strict=True):
        blocks, macs = f"{counted.type} blocks", f"{counted.type} MACs"
        found[blocks] = found.get(blocks, 0.0) + float(getattr(node, "depth", 1))
        found[macs] = found.get(macs, 0.0) + counted.macs / 1e6
    return found


def _ridge(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Weights that minimise the relative squared error, lightly held to zero in units of each feature's size."""
    scale = np.abs(x).max(axis=0)
    scale[scale == 0] = 1.0
    rows = x / scale / y[:, None]
    gram = rows.T @ rows + _RIDGE * np.eye(x.shape[1])
    solved: NDArray[Any] = np.linalg.solve(gram, rows.T @ np.ones(len(y))) / scale
    return solved
