"""Which candidates are not measured: clearly too slow by the formula, or less accurate than most by prediction.

In a runtime that runs exported files a measurement begins with an export of 2 to 7 CPU seconds. What falls here falls
before it. Where candidates inherit from a parent, the formula is used in every runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archdsl.cost import Count
from archdsl.language.document import Spec
from archdsl.numbers import plain_text
from archdsl.search.network import Network
from archdsl.search.policy import Policy
from archdsl.search.policy.inherit import LibraryPolicy
from archdsl.search.policy.predict import FormulaPolicy
from archdsl.search.predict.fields import Fields, described, field_columns
from archdsl.search.predict.formula import Formula, Terms, corrected, fitted, terms_of
from archdsl.search.predict.gaussian_process import leave_one_out, posterior
from archdsl.search.predict.ranks import spearman
from archdsl.search.store.front import ACCURACY, costs_no_more, losses
from archdsl.search.trial import Trial


class LatencyFormula:
    """The formula fitted to the networks that were measured so far."""

    def __init__(
        self, policy: FormulaPolicy, parent: tuple[Spec, float] | None = None, expected: LibraryPolicy | None = None
    ) -> None:
        """`parent` is one network with its ms, by which the coefficients that are `expected` are scaled."""
        self._policy, self._expected = policy, expected
        self._parent = None if parent is None else (terms_of(parent[0]), parent[1])
        self._measured: list[tuple[Terms, float]] = []
        self._formula: Formula | None = None
        self._corrected: Formula | None = None
        self._corrected_by = -1
        """How many networks had been measured then."""
        self._is_fitted = False

    def learn(self, spec: Spec, latency_ms: float) -> None:
        """One network as measured."""
        self._measured.append((terms_of(spec), latency_ms))
        self._is_fitted = False

    @property
    def formula(self) -> Formula | None:
        """None before enough networks were measured."""
        if not self._is_fitted:
            self._formula, self._is_fitted = fitted(self._measured, self._policy), True
        return self._formula

    def predicted(self, spec: Spec, counted: Count | None = None) -> float | None:
        """The ms of a network; None before enough were measured."""
        return None if self.formula is None else self.formula.predict(terms_of(spec, counted))

    def too_slow(self, spec: Spec, gate_ms: float, counted: Count | None = None) -> str | None:
        """Why a network is clearly over the gate, with the formula's figures; None where it may pass."""
        formula, policy = self.formula, self._policy
        if formula is None:
            return None
        terms = terms_of(spec, counted)
        ms, margin = formula.predict(terms), max(formula.error_at(policy.margin_share), policy.least_margin)
        if ms / (1 + margin) <= gate_ms:
            return None
        return (
            f"predicted {ms:.2f} ms is too slow (gate {gate_ms:.2f} ms, margin {100 * margin:.0f} %), not measured: "
            f"{_size(terms)} at {formula}"
        )

    def far_too_slow(self, spec: Spec, gate_ms: float, counted: Count | None = None) -> str | None:
        """Why a network takes a multiple of the gate, also while few were measured, by the latency of the parent.

        None where it may pass, or without a parent.
        """
        if self._parent is None or (formula := self._by_parent()) is None:
            return None
        terms = terms_of(spec, counted)
        ms = formula.predict(terms)
        if ms <= self._policy.far * gate_ms:
            return None
        gate = f"more than {plain_text(self._policy.far)} times the gate of {gate_ms:.2f} ms"
        return (
            f"predicted {ms:.2f} ms is {gate}, not measured: {_size(terms)}, by the parent's {self._parent[1]:.2f} ms"
        )

    def _by_parent(self) -> Formula | None:
        """The expected coefficients, scaled by the parent and corrected by what was measured since."""
        expected = self._expected
        if self._parent is not None and expected is not None and self._corrected_by != len(self._measured):
            prior = Formula(expected.ms_per_mmac, expected.ms_per_100_operators, (0.0,))
            self._corrected = corrected(prior, self._parent, self._measured, expected.trust)
            self._corrected_by = len(self._measured)
        return self._corrected


def _size(terms: Terms) -> str:
    return f"{terms.macs / 1e6:.1f} M MACs and about {terms.operators:.0f} operators"


@dataclass(frozen=True)
class _Trained:
    costs: tuple[float, ...]
    fields: Fields
    accuracy: float


@dataclass(frozen=True)
class _Candidate:
    """A network that was not measured, with the latency that is predicted for it, as the objectives read it."""

    network_hash: str
    params: float
    macs: float
    latency_ms: float | None
    accuracy: float | None = None


class PredictedAccuracy:
    """Accuracies predicted from what networks are, by those that were trained; scores would need the network built."""

    def __init__(self, objectives: Sequence[str], policy: Policy) -> None:
        self._policy, self._process = policy.preselection, policy.surrogate.process
        self._is_an_objective = ACCURACY in objectives
        self._others = [objective for objective in objectives if objective != ACCURACY]
        self._trained: list[_Trained] = []

    def learn(self, trial: Trial) -> None:
        """One finished trial; only one that was trained teaches anything."""
        if trial.accuracy is not None and trial.latency_ms is not None and self._is_an_objective:
            fields = described(trial.document, trial.params, trial.macs)
            self._trained.append(_Trained(losses(trial, self._others), fields, trial.accuracy))

    def too_low(self, network: Network, latency_ms: float | None) -> str | None:
        """Why a network is not exported; None where it is, as while the prediction does not rank those trained."""
        policy, trained = self._policy, self._trained[-self._process.most :]
        if len(trained) < policy.enough or (latency_ms is None and "min latency" in self._others):
            return None
        counted = network.counted
        candidate = _Candidate(network.network_hash, counted.params, counted.macs, latency_ms)
        costs = losses(candidate, self._others)
        rivals = np.array([costs_no_more(each.costs, costs) for each in trained])
        if rivals.sum() < policy.enough:
            return None
        fields = described(network.spec.to_json(), counted.params, counted.macs)
        columns = field_columns([*(each.fields for each in trained), fields])
        truth = np.array([each.accuracy for each in trained])
        left_out = leave_one_out(columns[:-1], truth, self._process.noise)
        correlation = float(spearman(left_out, truth))
        predicted = float(posterior(columns[:-1], truth, columns[-1:], self._process.noise).means[0])
        limit = float(np.quantile(left_out[rivals], 1 - policy.kept_share))
        if correlation < policy.least_correlation or predicted >= limit:
            return None
        return (
            f"predicted accuracy {100 * predicted:.1f} % is below {100 * limit:.1f} %, which the more accurate "
            f"{100 * policy.kept_share:.0f} % of equal-or-cheaper networks reach (Spearman with accuracy here: "
            f"{correlation:.2f}); not measured"
        )
