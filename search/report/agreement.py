"""How well one number ranks another, and how far predicted latencies lie from measured ones."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from archdsl.language.document import Spec
from archdsl.search.predict.latency_model import ENOUGH, LatencyModel
from archdsl.search.predict.rank_ensemble import MEMBERS, ensemble
from archdsl.search.predict.ranks import spearman
from archdsl.search.predict.surrogate import fitted, seen
from archdsl.search.report.facts import Agreement, Finals, Prediction, Trial

_OURS = ("ensemble", "fitted")
_EXACT = 6
"""Up to so many networks all orders are tried; beyond, `_DEALS` random ones."""
_DEALS = 1000


def agreement(name: str, pairs: Sequence[tuple[float, float]]) -> Agreement:
    """The rank correlation of pairs, and how easily chance gives one as large; None below three pairs."""
    if len(pairs) < 3:
        return Agreement(name, len(pairs), None, None)
    first, second = np.array(pairs, dtype=float).T
    found = float(spearman(list(first), list(second)))
    return Agreement(name, len(pairs), found, _chance(rankdata(first), rankdata(second), found))


def _chance(first: NDArray[Any], second: NDArray[Any], found: float) -> float:
    """The share of orders of the second ranks whose correlation is as far from 0; 1 where one side is constant."""
    x, y = first - first.mean(), second - second.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    if size == 0:
        return 1.0
    return float(np.mean(np.abs(_orders(y) @ x / size) >= abs(found) - 1e-9))


def _orders(values: NDArray[Any]) -> NDArray[Any]:
    """A row an order; the order that was found is among the random ones, so that chance is never nothing."""
    if len(values) <= _EXACT:
        return np.array(list(itertools.permutations(values)))
    deals = np.tile(values, (_DEALS, 1))
    return np.vstack([values, np.random.default_rng(0).permuted(deals, axis=1)])


def scores(trials: Sequence[Trial], specs: Mapping[str, Spec]) -> list[Agreement]:
    """What ranks the proxy accuracy: scores at initialisation and their ensemble, beside params, MACs and latency."""
    trained = [trial for trial in trials if trial.accuracy is not None]
    rows = [_columns(trial) for trial in trained]
    whole = [row for row in rows if all(name in row for name in MEMBERS)]
    for row, value in zip(whole, ensemble(whole), strict=True):
        row["ensemble"] = float(value)
    known = [
        (row, found, trial.accuracy)
        for row, trial in zip(rows, trained, strict=True)
        if trial.hash in specs and (found := seen(specs[trial.hash].to_json(), row)) is not None
    ]
    told = fitted([found for _, found, _ in known], [accuracy for _, _, accuracy in known])
    for (row, _, _), value in zip(known, told, strict=True):
        row["fitted"] = float(value)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [
        agreement(
            {"macs": "MACs"}.get(name, name),
            [(row[name], trial.accuracy or 0.0) for row, trial in zip(rows, trained, strict=True) if name in row],
        )
        for name in (*_OURS, *(name for name in names if name not in _OURS))
        if name in names or name in ("params", "macs", "latency")
    ]


def _columns(trial: Trial) -> dict[str, float]:
    """What may rank a trial, by name."""
    own = {name: getattr(trial, name) for name in ("params", "macs", "latency")}
    return trial.scores | {name: value for name, value in own.items() if value is not None}


def finals(trials: Sequence[Trial], longer: Sequence[Trial]) -> Finals:
    """Finalists before and after longer training."""
    before = {trial.hash: trial for trial in trials if trial.accuracy is not None}
    after = {trial.hash: trial for trial in longer if trial.accuracy is not None}  # the last one of a network counts
    pairs = [(before[known], trial) for known, trial in after.items() if known in before]
    values = [(a.accuracy or 0.0, b.accuracy or 0.0) for a, b in pairs]
    return Finals(pairs, agreement("proxy accuracy", values))


def prediction(trials: Sequence[Trial], specs: Mapping[str, Spec]) -> Prediction:
    """The search's own model of latency, held to every network that it was not fitted to."""
    measured = {trial.hash: trial for trial in trials if trial.latency is not None and trial.hash in specs}
    model = LatencyModel()
    for trial in measured.values():
        model.learn(specs[trial.hash], trial.latency or 0.0)
    try:
        found = model.left_out() if all(trial.latency for trial in measured.values()) else []
    except np.linalg.LinAlgError:
        found = []
    if not found:
        reason = f"{len(measured)} networks were measured; the search predicts from {ENOUGH} on"
        return Prediction([], None, None, None, reason)
    errors = [abs(guess / ms - 1) for guess, ms in found]
    points = [(trial.name, guess, ms) for trial, (guess, ms) in zip(measured.values(), found, strict=True)]
    return Prediction(points, statistics.median(errors), max(errors), agreement("predicted ms", found), "")
