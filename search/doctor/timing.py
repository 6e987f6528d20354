"""Latencies of some networks of a space, measured within an allowance, and those of the others by prediction."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from archdsl.latency.provenance import Provenance
from archdsl.runtimes.by_name import threads_may_change
from archdsl.search.config import Settings
from archdsl.search.doctor.measuring_session import CandidateFiles, MeasuringSession, Say, telling
from archdsl.search.evaluate.finalists import trainings
from archdsl.search.network import Network
from archdsl.search.policy import Policy
from archdsl.search.predict.latency_model import table_of
from archdsl.search.worker.messages import MeasuringSetting, ThreadsRequest
from archdsl.search.worker.pool import greeted
from archdsl.search.worker.process import Failed, WorkerGone
from archdsl.search.worker.slot import WorkerProtocol


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
    files = CandidateFiles(worker, settings, policy.silence)
    settings = _with_threads(worker, networks[0], settings, policy, files, say)
    machine = replace(machine, threads=settings.measuring()["threads"] or machine.threads)
    session = MeasuringSession(worker, networks, settings, policy, files, say, table_of(settings, machine))
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


def _with_threads(
    worker: WorkerProtocol, network: Network, settings: Settings, policy: Policy, files: CandidateFiles, say: Say
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


def _order(networks: Sequence[Network]) -> list[int]:
    """The least and the most MACs first, then at random."""
    by_macs = sorted(range(len(networks)), key=lambda index: networks[index].counted.macs)
    drawn = random.Random(0).sample(range(len(networks)), len(networks))
    return list(dict.fromkeys([by_macs[0], by_macs[-1], *drawn]))
