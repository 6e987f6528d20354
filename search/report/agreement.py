"""How well one number ranks another, and how far predicted latencies lie from measured ones."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from archdsl.language.document import Spec
from archdsl.search.policy import Policy
from archdsl.search.policy.predict import FormulaPolicy, SurrogatePolicy
from archdsl.search.policy.report import ReportPolicy
from archdsl.search.predict.formula import fitted, terms_of
from archdsl.search.predict.latency_model import LatencyModel
from archdsl.search.predict.rank_ensemble import MEMBERS, ensemble
from archdsl.search.predict.ranks import spearman
from archdsl.search.predict.surrogate import network_features, predict_accuracy
from archdsl.search.report.facts import Agreement, Finals, Prediction
from archdsl.search.report.trials import TrialLine

Ranks = NDArray[np.float64]

_PREDICTORS = ("ensemble", "fitted")


def agreement(name: str, pairs: Sequence[tuple[float, float]], policy: ReportPolicy) -> Agreement:
    """The rank correlation of pairs, and how easily chance gives one as large; None below three pairs."""
    if len(pairs) < 3:
        return Agreement(name, len(pairs), None, None)
    first, second = np.array(pairs, dtype=float).T
    rho = float(spearman(list(first), list(second)))
    return Agreement(name, len(pairs), rho, _chance(rankdata(first), rankdata(second), rho, policy))


def _chance(first: Ranks, second: Ranks, rho: float, policy: ReportPolicy) -> float:
    """The share of orders of the second ranks whose correlation is as far from 0; 1 where one side is constant."""
    x, y = first - first.mean(), second - second.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    if size == 0:
        return 1.0
    return float(np.mean(np.abs(_orders(y, policy) @ x / size) >= abs(rho) - 1e-9))


def _orders(values: Ranks, policy: ReportPolicy) -> Ranks:
    """A row an order; the observed order is among the random ones, so that chance is never nothing."""
    if len(values) <= policy.exact_orders:
        return np.array(list(itertools.permutations(values)))
    deals = np.tile(values, (policy.orders, 1))
    return np.vstack([values, np.random.default_rng(0).permuted(deals, axis=1)])


def scores(trials: Sequence[TrialLine], specs: Mapping[str, Spec], policy: Policy) -> list[Agreement]:
    """What ranks the proxy accuracy: zero-cost scores and what is fitted to them, beside params, MACs and latency."""
    trained = [(trial, trial.accuracy) for trial in trials if trial.accuracy is not None]
    rows = [_columns(trial) for trial, _ in trained]
    _add_ensemble(rows)
    _add_fitted(rows, trained, specs, policy.surrogate)
    names = list(dict.fromkeys(name for row in rows for name in row))
    ordered = [*(name for name in _PREDICTORS if name in names), *(name for name in names if name not in _PREDICTORS)]
    return [
        agreement(
            "MACs" if name == "macs" else name,
            [(row[name], accuracy) for row, (_, accuracy) in zip(rows, trained, strict=True) if name in row],
            policy.report,
        )
        for name in ordered
    ]


def _columns(trial: TrialLine) -> dict[str, float]:
    """What may rank a trial, by name."""
    costs = {"params": trial.params, "macs": trial.macs, "latency": trial.latency}
    return trial.scores | {name: value for name, value in costs.items() if value is not None}


def _add_ensemble(rows: Sequence[dict[str, float]]) -> None:
    complete = [row for row in rows if all(name in row for name in MEMBERS)]
    for row, value in zip(complete, ensemble(complete), strict=True):
        row["ensemble"] = float(value)


def _add_fitted(
    rows: Sequence[dict[str, float]],
    trained: Sequence[tuple[TrialLine, float]],
    specs: Mapping[str, Spec],
    policy: SurrogatePolicy,
) -> None:
    """Each network as all the others predict it."""
    features = [
        (row, network, accuracy)
        for row, (trial, accuracy) in zip(rows, trained, strict=True)
        if trial.hash in specs and (network := network_features(specs[trial.hash].to_json(), row)) is not None
    ]
    networks, accuracies = [network for _, network, _ in features], [accuracy for _, _, accuracy in features]
    predicted = predict_accuracy(networks, accuracies, policy=policy)
    for (row, _, _), value in zip(features, predicted, strict=True):
        row["fitted"] = float(value)


def finals(trials: Sequence[TrialLine], longer: Sequence[TrialLine], policy: ReportPolicy) -> Finals:
    """Finalists before and after longer training."""
    before = {trial.hash: trial for trial in trials if trial.accuracy is not None}
    after = {trial.hash: trial for trial in longer if trial.accuracy is not None}  # the last one of a network counts
    pairs = [(before[network], trial) for network, trial in after.items() if network in before]
    values = [(a.accuracy or 0.0, b.accuracy or 0.0) for a, b in pairs]
    return Finals(pairs, agreement("proxy accuracy", values, policy))


def prediction(
    trials: Sequence[TrialLine], specs: Mapping[str, Spec], policy: Policy, *, by_formula: bool
) -> Prediction:
    """The search's own model of latency, held to every network that it was not fitted to.

    by_formula: whether the search predicts by a formula while the networks are too few for the regression.
    """
    measured = {
        trial.hash: trial for trial in trials if trial.latency and trial.hash in specs and trial.timing.undisturbed != 0
    }
    model, enough = LatencyModel(policy.latency_model), policy.latency_model.enough
    for trial in measured.values():
        model.learn(specs[trial.hash], trial.latency or 0.0)
    try:
        pairs, method = model.left_out(), "a regression"
    except np.linalg.LinAlgError:
        pairs, method = [], "a regression"
    if not pairs and by_formula:
        enough, method = policy.formula.enough, "a formula of MACs and operators"
        pairs = _by_formula([(specs[trial.hash], trial.latency or 0.0) for trial in measured.values()], policy.formula)
    if not pairs:
        were = "network was" if len(measured) == 1 else "networks were"
        reason = f"{len(measured)} {were} measured, and it is computed from {enough} on"
        return Prediction([], None, None, None, reason, method)
    errors = [abs(predicted / ms - 1) for predicted, ms in pairs]
    points = [(trial.name, predicted, ms) for trial, (predicted, ms) in zip(measured.values(), pairs, strict=True)]
    ranked = agreement("predicted ms", pairs, policy.report)
    return Prediction(points, statistics.median(errors), max(errors), ranked, "", method)


def _by_formula(measured: Sequence[tuple[Spec, float]], policy: FormulaPolicy) -> list[tuple[float, float]]:
    """Of each network the ms by the formula fitted to all others, and those measured; empty before it is fitted."""
    known, pairs = [(terms_of(spec), ms) for spec, ms in measured], []
    if len(known) < policy.enough:
        return []
    for place, (terms, ms) in enumerate(known):
        formula = fitted([*known[:place], *known[place + 1 :]], replace(policy, enough=1))
        if formula is not None:
            pairs.append((formula.predict(terms), ms))
    return pairs
