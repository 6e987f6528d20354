"""What a search has learned of its own measurements: which candidates are surely too slow, which score too low.

Built again from the records, so that a resumed search knows what the uninterrupted one would.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archdsl.cost import Count, count
from archdsl.language.document import Spec
from archdsl.latency.tables import Table
from archdsl.load.specs import spec_of
from archdsl.search.network import Network
from archdsl.search.policy import Policy
from archdsl.search.predict.early_stopping import EarlyStopping
from archdsl.search.predict.exclusion import LatencyFormula, PredictedAccuracy
from archdsl.search.predict.inherited_losses import InheritedLosses
from archdsl.search.predict.latency_model import LatencyModel
from archdsl.search.predict.screen import Screen
from archdsl.search.trial import Trial


class Predictors:
    """The predicted rung, the zero-cost rung, and the rungs of a training under way."""

    def __init__(
        self,
        trials: Iterable[Trial],
        policy: Policy,
        gate_ms: float | None,
        table: Table | None = None,
        objectives: Sequence[str] = (),
        *,
        needs_export: bool = False,
        earlier: Iterable[tuple[Spec, float]] = (),
        parent: tuple[Spec, float] | None = None,
    ) -> None:
        """`needs_export` tells whether a network is exported before it is measured; `earlier` are networks that other
        runs measured under the same conditions, with their ms; `parent` is the one from which candidates inherit, with
        its ms. With either a formula is worth its while.
        """
        self._latency, self._gate_ms = LatencyModel(policy.latency_model, table), gate_ms
        expected = policy.inheritance.library
        has_formula = needs_export or parent is not None
        self._formula = LatencyFormula(policy.formula, parent, expected) if has_formula else None
        self._accuracy = PredictedAccuracy(objectives, policy) if needs_export else None
        self.screen, self.early_stopping = Screen(objectives, policy), EarlyStopping(objectives, policy)
        self.inherited_losses = InheritedLosses(policy.inheritance)
        self._anything_passed = False
        for spec, latency_ms in earlier:
            self._learn_latency(spec, latency_ms)
        for trial in trials:
            self.learn(trial)

    def learn(self, trial: Trial) -> None:
        """One finished trial."""
        if trial.latency_ms is not None:
            spec = spec_of(trial.document)
            self._latency.learn(spec, trial.latency_ms)
            if not trial.is_disturbed:
                self._learn_latency(spec, trial.latency_ms)
            self._anything_passed |= self._gate_ms is None or trial.latency_ms <= self._gate_ms
        if self._accuracy is not None:
            self._accuracy.learn(trial)
        self.inherited_losses.learn(trial)
        self.screen.learn(trial)
        self.early_stopping.learn(trial)

    def _learn_latency(self, spec: Spec, latency_ms: float) -> None:
        if self._formula is not None:
            self._formula.learn(spec, latency_ms)

    def predicted_ms(self, network: Network) -> float | None:
        """The latency of a network that was not measured; None where nothing can tell it yet."""
        guess = self._latency.guess(network.spec, network.counted)
        if guess is not None or self._formula is None:
            return guess
        return self._formula.predicted(network.spec, network.counted)

    @property
    def median_error(self) -> float | None:
        """The relative error of `predicted_ms` on networks that it was not fitted to; None where it tells nothing."""
        error = self._latency.median_error
        if error is not None or self._formula is None or self._formula.formula is None:
            return error
        return self._formula.formula.median_error

    def surely_too_slow(self, spec: Spec, counted: Count | None = None) -> bool:
        """Whether a network exceeds the gate by more than the predictions erred so far.

        Before something measured passed the gate it is only sure of what takes a multiple of it by the parent's
        latency: what has seen slow networks alone finds all of them slow.
        """
        why = self.why_too_slow if self._anything_passed else self._far_too_slow
        return why(spec, counted) is not None

    def why_too_slow(self, spec: Spec, counted: Count | None = None) -> str | None:
        """The figures by which a network is predicted to exceed the gate; None where it may pass."""
        if self._gate_ms is None:
            return None
        counted = counted or count(spec)
        if self._formula is not None and (reason := self._formula.too_slow(spec, self._gate_ms, counted)) is not None:
            return reason
        predicted_ms = self._latency.surely_over(spec, self._gate_ms, counted)
        if predicted_ms is None:
            return self._far_too_slow(spec, counted)
        return f"predicted {predicted_ms:.2f} ms is too slow (gate {self._gate_ms:.2f} ms)"

    def _far_too_slow(self, spec: Spec, counted: Count | None = None) -> str | None:
        if self._gate_ms is None or self._formula is None:
            return None
        return self._formula.far_too_slow(spec, self._gate_ms, counted)

    def why_too_inaccurate(self, network: Network) -> str | None:
        """Why a network is not worth its export by its predicted accuracy; None where it is, or needs none."""
        return None if self._accuracy is None else self._accuracy.too_low(network, self.predicted_ms(network))
