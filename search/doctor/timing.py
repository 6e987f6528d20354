"""Latencies of some networks of a space, measured within an allowance, and those of the others by prediction.

Where networks are exported, a formula of MACs and operators is fitted to those that were measured; where modules run, a
table of the space's blocks (`archdsl lut build`) predicts, or else a regression on the blocks and MACs of each type.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from archdsl.latency.provenance import Provenance
from archdsl.latency.tables import Table
from archdsl.runtimes.by_name import runs_files, threads_may_change
from archdsl.search.config import Settings
from archdsl.search.evaluate.finalists import trainings
from archdsl.search.network import Network
from archdsl.search.policy import Policy
from archdsl.search.policy.doctor import ExaminationPolicy
from archdsl.search.policy.evaluate import SilencePolicy
from archdsl.search.predict.exclusion import LatencyFormula
from archdsl.search.predict.latency_model import LatencyModel, table_of
from archdsl.search.worker.events import DeviceBusy, Event
from archdsl.search.worker.export_messages import CandidateRequest
from archdsl.search.worker.messages import MeasureRequest, MeasuringSetting, ThreadsRequest
from archdsl.search.worker.pool import greeted
from archdsl.search.worker.process import Failed, TargetLost, WorkerGone
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.search.worker.training_messages import PaceRequest
from archdsl.training.fidelity import Fidelity

Say = Callable[[str], None]


class Timed(NamedTuple):
    """What was measured, and what follows from it."""

    measured: list[tuple[Network, float]]
    """Networks and their ms, in the order of measuring."""
    unstable: int
    failed: int
    errors: list[float]
    """The prediction's relative errors on networks left out of the fit, from least to most; empty without one."""
    predicted: list[float | None]
    """The ms of every network asked about."""
    method: str
    """By what the networks that were not measured are predicted."""
    measure_s: float
    """Seconds that measuring one network takes, as a trial does it."""
    train_s: list[float]
    """Seconds that training takes at the search's fidelity, of a few networks."""
    provenance: Provenance
    """The device and the setting."""

    def seconds(self, trials: int, share: float, policy: Policy, workers: int = 1) -> tuple[float, float]:
        """What a search of so many trials takes: if that share of them is trained, and if all are.

        Workers train side by side, as fast as one alone at best; measuring takes turns, and finalists are trained one
        after another. Starting, loading data and the optimiser's own choosing are not in it.
        """
        if not self.train_s:
            return 0.0, 0.0
        train_s = sum(self.train_s) / len(self.train_s)
        longer = trainings(trials, policy.finalists) * policy.finalists.lengthen
        end_s = longer * train_s + policy.final_reading.seconds
        return (
            trials * (self.measure_s + share * train_s / workers) + end_s,
            trials * (self.measure_s + train_s / workers) + end_s,
        )


def timed(
    worker: WorkerProtocol,
    networks: Sequence[Network],
    settings: Settings,
    policy: Policy,
    deadline: float,
    say: Say = lambda text: None,
) -> Timed:
    """Measure some of the networks, once each, until the moment `deadline` of `time.monotonic()`; two at least.

    First the least and the most MACs, then at random, at last those that are predicted to be the fastest.

    Raises:
        SearchError: the worker does not start.
    """
    asked, machine = policy.examination, greeted(worker, settings, policy.silence)
    files = _Files(worker, settings, policy.silence)
    settings = _with_threads(worker, networks[0], settings, policy, files, say)
    machine = replace(machine, threads=settings.measuring()["threads"] or machine.threads)
    session = _Session(worker, networks, settings, policy, files, say, table_of(settings, machine))
    begun = time.monotonic()
    for index in _order(networks)[: asked.most_measured]:
        spent, done = time.monotonic() - begun, len(session.latency_ms)
        ahead = 1 + (asked.fastest if session.is_enough else 0)  # which are the fastest is not known before
        if done >= 2 and time.monotonic() + ahead * spent / max(done, 1) > deadline:
            break
        say(f"measuring network {done + 1}: {networks[index].counted.macs / 1e6:.0f} M MACs")
        session.take(index)
    for _ in range(asked.fastest):
        fastest = session.fastest_untaken()
        if fastest is not None:
            mine = f"measuring network {len(session.latency_ms) + 1}: {networks[fastest].counted.macs / 1e6:.0f} M MACs"
            say(f"{mine}, predicted to be the fastest of those not measured yet")
            session.take(fastest)
    reading_s = sum(session.reading_s) / max(len(session.reading_s), 1)
    measure_s = reading_s * (1 + session.unstable / max(len(session.latency_ms), 1))  # these are read once more
    return Timed(
        [(networks[index], ms) for index, ms in session.latency_ms.items()],
        session.unstable,
        session.failed,
        session.errors(),
        session.predicted(),
        session.method,
        measure_s,
        [],
        machine,
    )


class _Files:
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


def _with_threads(
    worker: WorkerProtocol, network: Network, settings: Settings, policy: Policy, files: _Files, say: Say
) -> Settings:
    """The settings with the threads that a search would choose, on a network."""
    if settings.threads is not None or settings.measuring_device != "cpu" or not threads_may_change(settings.runtime):
        return settings
    try:
        with files.file_of(network) as file:
            request = ThreadsRequest(network.spec.to_json(), MeasuringSetting(**settings.measuring()), file)
            reply = worker.ask(request, policy.silence.threads_s, telling(say))
    except (Failed, WorkerGone):
        return settings
    return settings.model_copy(update={"chosen_threads": reply.threads})


def telling(say: Say) -> Callable[[Event], None]:
    """What tells that a worker waits for the device, on which another process measures."""

    def progress(event: Event) -> None:
        if isinstance(event, DeviceBusy):
            say(event.text)

    return progress


def paces(
    worker: WorkerProtocol,
    networks: Sequence[Network],
    settings: Settings,
    policy: ExaminationPolicy,
    fidelity: Fidelity,
    judged: int,
) -> list[float]:
    """Seconds that trainings of this length take, of some networks spread over those given.

    Told from some steps on noise; scoring and validation are in it, of `judged` images to validate and held out.
    """
    ordered = sorted(networks, key=lambda network: network.counted.macs)
    parts = range(policy.paced if ordered else 0)
    chosen = [ordered[(2 * part + 1) * len(ordered) // (2 * policy.paced)] for part in parts]
    seconds = []
    for network in chosen:
        request = PaceRequest(network.spec.to_json(), fidelity.batch, settings.device, settings.threads)
        try:
            reply = worker.ask(request, policy.pace_s)
        except (Failed, WorkerGone):
            continue
        seconds.append(fidelity.steps * reply.step_s + (judged + policy.scored_images) * reply.image_s)
    return seconds


class _Session:
    """Networks measured one after another, and what is learned of the others."""

    def __init__(
        self,
        worker: WorkerProtocol,
        networks: Sequence[Network],
        settings: Settings,
        policy: Policy,
        files: _Files,
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


def _order(networks: Sequence[Network]) -> list[int]:
    """The least and the most MACs first, then at random."""
    by_macs = sorted(range(len(networks)), key=lambda index: networks[index].counted.macs)
    drawn = random.Random(0).sample(range(len(networks)), len(networks))
    return list(dict.fromkeys([by_macs[0], by_macs[-1], *drawn]))
