"""Networks of a space that are measured one after another, and what is learned of the others.

Where networks are exported, a formula of MACs and operators is fitted to those that were measured; where modules run, a
table of the space's blocks (`archdsl lut build`) predicts, or else a regression on the blocks and MACs of each type.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from archdsl.latency.tables import Table
from archdsl.runtimes.by_name import runs_files
from archdsl.search.config import Settings
from archdsl.search.network import Network
from archdsl.search.policy import Policy
from archdsl.search.policy.evaluate import SilencePolicy
from archdsl.search.predict.exclusion import LatencyFormula
from archdsl.search.predict.latency_model import LatencyModel
from archdsl.search.worker.events import DeviceBusy, Event
from archdsl.search.worker.export_messages import CandidateRequest
from archdsl.search.worker.messages import MeasureRequest, MeasuringSetting
from archdsl.search.worker.process import Failed, TargetLost, WorkerGone
from archdsl.search.worker.slot import WorkerProtocol

Say = Callable[[str], None]


class CandidateFiles:
    """The exported files that another machine measures; the worker that measures here exports for itself."""

    def __init__(self, worker: WorkerProtocol, settings: Settings, policy: SilencePolicy) -> None:
        self._worker, self._settings, self._export_s = worker, settings, policy.export_s

    @contextmanager
    def file_of(self, network: Network) -> Iterator[str | None]:
        """The file of a network, written and removed again; None where this machine measures.

        Raises:
            Failed, WorkerGone: it could not be exported.
        """
        if self._settings.target is None:
            yield None
            return
        with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
            file = str(Path(folder) / "network.onnx")
            setting = MeasuringSetting(**self._settings.measuring())
            self._worker.ask(CandidateRequest(network.spec.to_json(), file, setting), self._export_s)
            yield file


def telling(say: Say) -> Callable[[Event], None]:
    """What tells that a worker waits for the device, on which another process measures."""

    def progress(event: Event) -> None:
        if isinstance(event, DeviceBusy):
            say(event.text)

    return progress


class MeasuringSession:
    """Networks measured one after another, and what is learned of the others."""

    def __init__(
        self,
        worker: WorkerProtocol,
        networks: Sequence[Network],
        settings: Settings,
        policy: Policy,
        files: CandidateFiles,
        say: Say,
        table: Table | None = None,
    ) -> None:
        self.worker, self.networks, self.settings, self.policy, self.say = worker, networks, settings, policy, say
        self.files = files
        self.reading_s: list[float] = []
        self.latency_ms, self.unstable, self.failed = dict[int, float](), 0, 0
        self._table, self._model = table, LatencyModel(policy.latency_model, table)
        self._formula = LatencyFormula(policy.formula) if runs_files(settings.runtime) else None

    @property
    def method(self) -> str:
        """By what the networks that were not measured are predicted."""
        if self._formula is not None:
            return "a formula of MACs and operators"
        return "a regression on blocks and MACs" if self._table is None else "the table of the space's blocks"

    def take(self, index: int) -> None:
        """Measure one; what cannot be measured is counted."""
        spec = self.networks[index].spec
        is_as_a_trial = len(self.latency_ms) < self.policy.examination.as_a_trial
        pace = self.policy.measuring.pace if is_as_a_trial else self.policy.examination.pace
        setting = MeasuringSetting(**self.settings.measuring())
        most_s = self.policy.silence.measuring_s(self.settings.runtime)
        begun = time.monotonic()
        try:
            with self.files.file_of(self.networks[index]) as file:
                export_s = time.monotonic() - begun
                request = MeasureRequest(spec.to_json(), setting, pace, self.settings.stat, file=file)
                reply = self.worker.ask(request, most_s, telling(self.say))
        except TargetLost:
            raise
        except (Failed, WorkerGone):
            self.failed += 1
            return
        latency = reply.latency.latency(spec.name)
        if is_as_a_trial:
            self.reading_s.append(export_s + reply.seconds)  # without waiting for the device
        self.latency_ms[index] = ms = latency.stat(self.settings.stat)
        self.unstable += latency.unstable
        self._model.learn(spec, ms)
        if self._formula is not None:
            self._formula.learn(spec, ms)

    @property
    def is_enough(self) -> bool:
        """Whether the others are predicted."""
        if self._formula is not None:
            return self._formula.formula is not None
        return len(self.latency_ms) >= self.policy.examination.enough

    def errors(self) -> list[float]:
        """Relative errors on networks that the prediction was not fitted to, from least to most; none before enough."""
        if not self.is_enough:
            return []
        if self._formula is not None:
            return [] if self._formula.formula is None else [*self._formula.formula.errors]
        if self._table is None:
            return self._model.fit().errors
        told = ((self._told(self.networks[index]), ms) for index, ms in self.latency_ms.items())
        return sorted(abs(guess / ms - 1) for guess, ms in told if guess is not None)

    def _told(self, network: Network) -> float | None:
        """The ms of a network by prediction; None where nothing can tell it."""
        if self._formula is not None:
            return self._formula.predicted(network.spec, network.counted)
        if self._table is not None:
            return self._model.guess(network.spec, network.counted)
        return self._model.predicted(network.spec, network.counted)

    def predicted(self) -> list[float | None]:
        """Of every network the ms: measured, else predicted, never far below the least measured."""
        if not self.is_enough:
            return [self.latency_ms.get(index) for index in range(len(self.networks))]
        floor = min(self.latency_ms.values()) * self.policy.latency_model.least_share
        predictions = []
        for index, network in enumerate(self.networks):
            ms = self._told(network)
            predictions.append(self.latency_ms.get(index, None if ms is None else max(ms, floor)))
        return predictions

    def fastest_untaken(self) -> int | None:
        """The network with the least predicted latency that was not measured; None if nothing can be said."""
        if not self.is_enough:
            return None
        untaken = [
            (ms, index) for index, ms in enumerate(self.predicted()) if ms is not None and index not in self.latency_ms
        ]
        return min(untaken)[1] if untaken else None
