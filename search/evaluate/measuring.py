"""The latency of a candidate at the gate: one reading that ends as soon as its rounds decide.

A candidate that is clearly over the gate is rejected after a few rounds. What is close to it is measured for longer, in
the same reading; a reading on a busy machine is followed by a second one, and both are pooled. The best of several
readings is never taken: that would reward networks for luck.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from archdsl.latency.result import LEAST_ROUNDS, TOLERANCE, Latency
from archdsl.search.config import Settings
from archdsl.search.evaluate.rungs import ask_in_time
from archdsl.search.measurement import Measurement
from archdsl.search.network import AnyNetwork
from archdsl.search.policy import Policy
from archdsl.search.policy.evaluate import SilencePolicy
from archdsl.search.store.clock import Clock
from archdsl.search.worker.events import DeviceBusy, Event
from archdsl.search.worker.export_messages import CandidateRequest
from archdsl.search.worker.messages import MeasureRequest, MeasuringSetting, Pace
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.timing.estimate import STATS, estimate, percentile
from archdsl.timing.rounds import Rounds
from archdsl.timing.verdict import LEAST_SHARE

OnWait = Callable[[str], None]
"""Is told that the device is busy: another process measures on it."""


class Measured(NamedTuple):
    """A latency at the search's statistic, over the undisturbed rounds of its readings, and where it comes from."""

    ms: float
    measurement: Measurement


def measure(
    worker: WorkerProtocol,
    network: AnyNetwork,
    settings: Settings,
    policy: Policy,
    clock: Clock,
    gate_ms: float | None = None,
    on_wait: OnWait = lambda text: None,
    file: Path | None = None,
) -> Measured:
    """The latency of a network; with a gate only as long as it takes to say on which side of it the network lies.

    `file` is where its exported file is, or is written first; None where modules are run.

    Raises:
        OutOfTime: the search's time is over.
        Failed, WorkerGone: as `Worker.ask`.
    """
    pace = policy.measuring.pace
    if settings.runtime == "graph":
        pace = replace(pace, sample_ms=policy.measuring.graph_sample_ms)
    if file is not None:
        export_candidate(worker, network, settings, policy.silence, clock, file)
    latencies: list[Latency] = []
    while len(latencies) < policy.measuring.readings and (not latencies or latencies[-1].is_disturbed):
        if latencies and clock.left is not None and clock.left < 0:
            break
        latencies.append(
            one_reading(
                worker, network, settings, policy.silence, clock, pace, gate_ms=gate_ms, on_wait=on_wait, file=file
            )
        )
    return pooled(latencies, settings.stat)


def export_candidate(
    worker: WorkerProtocol, network: AnyNetwork, settings: Settings, policy: SilencePolicy, clock: Clock, file: Path
) -> None:
    """Export a network that was not trained, unless it was: nobody holds still meanwhile.

    Raises:
        OutOfTime, Failed, WorkerGone: as `measure`.
    """
    request = CandidateRequest(network.to_json(), str(file), MeasuringSetting(**settings.measuring()))
    ask_in_time(worker, request, policy.export_s, clock)


def one_reading(
    worker: WorkerProtocol,
    network: AnyNetwork,
    settings: Settings,
    policy: SilencePolicy,
    clock: Clock,
    pace: Pace,
    *,
    gate_ms: float | None = None,
    weights: str | None = None,
    file: Path | None = None,
    silence_s: float | None = None,
    on_wait: OnWait = lambda text: None,
) -> Latency:
    """One reading by a worker; of the network in the file `weights`, if one is named, or of its exported `file`.

    A worker that says nothing for `silence_s` seconds, where that is longer than usual, is taken to hang.

    DeviceBusy for the device, on which another process measures, is not search time.

    Raises:
        OutOfTime, Failed, WorkerGone: as `measure`.
    """
    setting = MeasuringSetting(**settings.measuring())
    request = MeasureRequest(
        network.to_json(), setting, pace, settings.stat, gate_ms, weights, None if file is None else str(file)
    )

    def progress(event: Event) -> None:
        if isinstance(event, DeviceBusy):
            clock.pause()
            on_wait(event.text)
        else:
            clock.go_on()

    try:
        most_s = max(policy.measuring_s(settings.runtime), silence_s or 0.0)
        reply = ask_in_time(worker, request, most_s, clock, progress)
    finally:
        clock.go_on()
    return reply.latency.latency(network.name)


def pooled(latencies: Sequence[Latency], stat: str) -> Measured:
    """Readings of one network as one: the statistic over all undisturbed rounds, or over all where none is."""
    rounds = [latency.rounds for latency in latencies]
    estimated = estimate(rounds, stat)
    every = [ms for taken in rounds for ms in taken.ms]
    ms = percentile(every, STATS[stat]) if estimated is None else estimated.value
    undisturbed, last = sum(sum(taken.undisturbed) for taken in rounds), latencies[-1]
    drifts = undisturbed >= LEAST_ROUNDS and last.drift > TOLERANCE  # of fewer rounds it cannot be told
    measurement = Measurement(
        **{f"{name}_ms": _statistic(rounds, every, percent) for name, percent in STATS.items()},
        spread=last.spread,
        unstable=estimated is None or estimated.share < LEAST_SHARE or drifts,
        provenance=last.provenance,
        stat=stat,
        interval_ms=None if estimated is None else (estimated.low, estimated.high),
        samples=len(every),
        rounds=len(every),
        undisturbed=undisturbed,
        reading_count=len(latencies),
    )
    return Measured(ms, measurement)


def _statistic(rounds: Sequence[Rounds], every: Sequence[float], percent: float) -> float:
    counting = [ms for taken in rounds for ms in taken.counting]
    return percentile(counting or every, percent)
