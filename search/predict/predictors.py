"""What a search has learned of its own measurements: which candidates are surely too slow, which score too low.

Built again from the records, so that a resumed search knows what the uninterrupted one would.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archdsl.language.document import Spec
from archdsl.latency.tables import Table
from archdsl.load.specs import spec_of
from archdsl.search.network import Network
from archdsl.search.policy import Policy
from archdsl.search.predict.early_stopping import EarlyStopping
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
    ) -> None:
        self._latency, self._gate_ms = LatencyModel(policy.latency_model, table), gate_ms
        self.screen, self.early_stopping = Screen(objectives, policy), EarlyStopping(objectives, policy)
        self._anything_passed = False
        for trial in trials:
            self.learn(trial)

    def learn(self, trial: Trial) -> None:
        """One finished trial."""
        if trial.latency_ms is not None:
            self._latency.learn(spec_of(trial.document), trial.latency_ms)
            self._anything_passed |= self._gate_ms is None or trial.latency_ms <= self._gate_ms
        self.screen.learn(trial)
        self.early_stopping.learn(trial)

    def predicted_ms(self, network: Network) -> float | None:
        """The latency of a network that was not measured; None where nothing can tell it yet."""
        return self._latency.guess(network.spec, network.counted)

    def surely_too_slow(self, spec: Spec) -> bool:
        """Whether a network exceeds the gate by more than the largest prediction error so far.

        Never before something measured passed the gate: what has seen slow networks alone finds all of them slow.
        """
        if self._gate_ms is None or not self._anything_passed:
            return False
        return self._latency.surely_over(spec, self._gate_ms) is not None
