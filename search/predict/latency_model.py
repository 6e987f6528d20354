"""Latency predicted from what this search has measured so far: what clearly cannot pass is not even measured.

A table of the space, where there is a fresh one for the setting (`archdsl lut build`), with its error on networks held
out; and a ridge regression of milliseconds on the blocks and MACs of each type of node, which speaks only once it has
seen enough. Each rejects only what exceeds the gate by more than its largest error so far, so that it saves time and
decides nothing close. What both let through is measured.
"""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import numpy as np

from archdsl.cost import Count, count
from archdsl.errors import MeasureError
from archdsl.families.common.stage import Stage
from archdsl.language.document import Spec
from archdsl.language.nodes import Node
from archdsl.latency.provenance import Provenance
from archdsl.latency.tables import Table, TableSetting, load
from archdsl.search.config import Settings
from archdsl.search.policy.predict import LatencyModelPolicy
from archdsl.search.predict.ranks import Floats


class Fit(NamedTuple):
    """A regression on measured networks: features and their weights, and what it makes of each network left out."""

    names: list[str]
    weights: Floats
    left_out: list[tuple[float, float]]

    @property
    def errors(self) -> list[float]:
        """The relative error on each network left out, from least to most."""
        return sorted(abs(guess / measured - 1) for guess, measured in self.left_out)


class LatencyModel:
    """Milliseconds by a table, if there is one, and by regression on measured networks."""

    def __init__(self, policy: LatencyModelPolicy, table: Table | None = None) -> None:
        self._policy, self._table = policy, table
        self._ratios: list[float] = []
        self._seen: list[tuple[dict[str, float], float]] = []
        self._fit: Fit | None = None

    def learn(self, spec: Spec, latency_ms: float) -> None:
        """One network as measured."""
        self._seen.append((features(spec), latency_ms))
        self._fit = None
        with contextlib.suppress(MeasureError):
            if self._table is not None:
                self._ratios.append(latency_ms / self._table.predict(spec))

    def fit(self) -> Fit:
        """The regression on what was measured so far."""
        if self._fit is None:
            self._fit = _fitted(self._seen, self._policy.ridge)
        return self._fit

    def left_out(self) -> list[tuple[float, float]]:
        """Of each network measured the ms predicted from all others and that measured; none before there are enough."""
        return self.fit().left_out if len(self._seen) >= self._policy.enough else []

    def predicted(self, spec: Spec, counted: Count | None = None) -> float | None:
        """The ms of a network by regression; None where it has a type of node that was never measured."""
        fit, terms = self.fit(), features(spec, counted)
        if not set(terms) <= set(fit.names):
            return None
        return float(np.array([terms.get(name, 0.0) for name in fit.names]) @ fit.weights)

    def guess(self, spec: Spec, counted: Count | None = None) -> float | None:
        """The ms of a network by the table, else by regression; None before either can tell it."""
        with contextlib.suppress(MeasureError):
            if self._table is not None:
                return self._table.predict(spec) * self._scale
        return self.predicted(spec, counted) if len(self._seen) >= self._policy.enough else None

    @property
    def median_error(self) -> float | None:
        """The relative error of `guess` on networks that it was not fitted to; None where it cannot tell anything."""
        if self._table is not None and self._table.held_out:
            return float(np.median([abs(row.predicted_ms / row.measured_ms - 1) for row in self._table.held_out]))
        return float(np.median(self.fit().errors)) if len(self._seen) >= self._policy.enough else None

    @property
    def _scale(self) -> float:
        """The median ratio of what this search measured to what the tables say; 1 before there is enough."""
        return float(np.median(self._ratios)) if len(self._ratios) >= self._policy.enough_to_scale else 1.0

    def surely_over(self, spec: Spec, gate_ms: float, counted: Count | None = None) -> float | None:
        """The predicted ms of a network that is over the gate by more than the largest error seen, else None."""
        with contextlib.suppress(MeasureError):  # it has a part that a table has not
            if self._table is not None:
                predicted_ms = self._table.predict(spec) * self._scale
                if predicted_ms / (1 + self._table.accuracy.worst) > gate_ms:
                    return predicted_ms
        if len(self._seen) < self._policy.enough:
            return None
        predicted = self.predicted(spec, counted)
        over = predicted is not None and predicted / (1 + self.fit().errors[-1]) > gate_ms
        return predicted if over else None


def table_of(settings: Settings, now: Provenance | None) -> Table | None:
    """The fresh table of a search's space, setting and threads on the device as it is now, or None.

    Tables are of classifiers: there is none for backbones without head.
    """
    if now is None or settings.features_only or settings.target is not None:
        return None
    try:
        asked = TableSetting(
            settings.device,
            settings.batch,
            settings.dtype,
            settings.runtime,
            settings.measuring()["threads"] or now.threads,
            settings.stat,
            settings.optimize,
        )
        return load(settings.space_document, asked, now)
    except (MeasureError, RuntimeError):  # the latter where there is no home folder
        return None


def features(spec: Spec, counted: Count | None = None) -> dict[str, float]:
    """What a network's latency is regressed on: blocks and MACs by type of node, and one for all.

    A sequence is of the type of its blocks.
    """
    terms = {"intercept": 1.0}
    for node, cost in zip(spec.nodes, (counted or count(spec)).nodes, strict=True):
        kind = _kind(node)
        blocks, macs = f"{kind} blocks", f"{kind} MACs"
        terms[blocks] = terms.get(blocks, 0.0) + float(getattr(node, "depth", 1))
        terms[macs] = terms.get(macs, 0.0) + cost.macs / 1e6
    return terms


def _kind(node: Node) -> str:
    blocks: list[Node] = [block for _, block in node.parts()] if isinstance(node, Stage) else [node]
    return "+".join(str(getattr(block, "type", "")) for block in blocks)


def _fitted(seen: list[tuple[dict[str, float], float]], ridge: float) -> Fit:
    """The regression on features and the ms measured, and each network's ms by a fit to all the others."""
    names = sorted({name for terms, _ in seen for name in terms})
    x = np.array([[terms.get(name, 0.0) for name in names] for terms, _ in seen])
    y = np.array([latency for _, latency in seen])
    left_out = []
    for index in range(len(y)):
        others = np.arange(len(y)) != index
        left_out.append((float(x[index] @ _ridge(x[others], y[others], ridge)), float(y[index])))
    return Fit(names, _ridge(x, y, ridge), left_out)


def _ridge(x: Floats, y: Floats, ridge: float) -> Floats:
    """Weights that minimise the relative squared error, lightly held to zero in units of each feature's size."""
    scale = np.abs(x).max(axis=0)
    scale[scale == 0] = 1.0
    rows = x / scale / y[:, None]
    gram = rows.T @ rows + ridge * np.eye(x.shape[1])
    solved: Floats = np.linalg.solve(gram, rows.T @ np.ones(len(y))) / scale
    return solved
