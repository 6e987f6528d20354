"""The reading that a verdict rests on: the file that is handed over, measured in fresh processes that are pooled.

Three processes, each with at least 3 s and 70 rounds; fewer, one at least, where time is short, and that is printed. A
reading that leaves the verdict open is doubled, twice at most, while time remains; none is repeated because it missed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.latency.result import Latency
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.measuring import one_reading
from archdsl.search.store.clock import LEAST_S, PROCESSES, ROUNDS
from archdsl.search.store.final_readings import FinalReadings
from archdsl.search.store.reading import Reading, conditions_of
from archdsl.search.worker.messages import MeasuringSetting, Pace
from archdsl.search.worker.process import Failed, OutOfTime, WorkerGone
from archdsl.timing.cores import available_cores, physical_cores
from archdsl.timing.machine import MachineWatch
from archdsl.timing.verdict import Judgement, judge

PACE = Pace(rounds=ROUNDS, least_s=LEAST_S, warmup_s=0.5, settle_s=1.0)
DOUBLINGS = 2
_ALONE_ROUNDS = 220
"""Rounds of a process that will stay the only one: enough blocks for a verdict, some disturbed ones left out."""
SECONDS = PROCESSES * 9.0
"""About what a reading takes that need not be doubled: starting, warming up, and 3 s of rounds a process."""
LONG_CALL_MS = 15.0
"""Calls that last longer are nearly all disturbed by one neighbour a core: a quiet moment is waited for."""
_LOOK_S, _MOST_WAIT_S = 1.0, 60.0
"""Seconds over which a machine is looked at; that a quiet moment is waited for where no time limit says less."""
_SPARE_CORES = 0.1


def read_winner(context: Context, spec: Spec, weights: Path, expected_ms: float) -> tuple[Judgement, Reading]:
    """What fresh processes measure of a network's file, and what that says of the budget.

    `expected_ms` is its latency as measured before. What an earlier part of the run read of the same file is pooled
    with what is read now, so that resuming does not read again what missed.

    Raises:
        OutOfTime: not even one process could measure in time.
        Failed, WorkerGone: it could not be measured by any process.
    """
    kept, doublings = FinalReadings(context.folder), 0
    setting: JsonObject = asdict(MeasuringSetting(**context.settings.measuring()))
    setting |= {name: value for name, value in context.state.facts.items() if name in ("device_name", "torch")}
    latencies = kept.of(weights, setting)
    wanted = len(latencies) + PROCESSES
    longest_s = context.clock.process_s
    while True:
        while len(latencies) < wanted and (not latencies or _has_time(context, longest_s)):
            _await_quiet(context, expected_ms, longest_s)
            started = context.clock.elapsed  # waiting for the device is not in it
            try:
                latencies.append(_in_a_fresh_process(context, spec, weights, expected_ms))
            except (Failed, WorkerGone, OutOfTime) as error:
                if not latencies:
                    raise
                context.note(f"{spec.name}: a further process could not measure it: {error or 'no time was left'}")
                return _judged(context, latencies)
            kept.add(weights, latencies[-1])
            context.machine.note_latency(latencies[-1])
            longest_s = context.clock.elapsed - started
            expected_ms = median(latencies[-1].samples)
        judged, reading = _judged(context, latencies)
        is_open = judged.verdict == "UNSURE" and doublings < DOUBLINGS and len(latencies) >= wanted
        if not is_open or not _has_time(context, longest_s):
            return judged, reading
        doublings, wanted = doublings + 1, 2 * wanted
        if wanted > len(latencies):
            context.note(f"{spec.name}: {judged.reason}; measuring in {wanted - len(latencies)} more processes")


def _judged(context: Context, latencies: Sequence[Latency]) -> tuple[Judgement, Reading]:
    settings = context.settings
    judged = judge([latency.rounds for latency in latencies], settings.stat, settings.latency_budget_ms)
    conditions = conditions_of(latencies, settings.stat)
    return judged, Reading.of(latencies, judged.estimate, settings.stat, conditions)


def _has_time(context: Context, seconds: float) -> bool:
    """Whether another process of that length ends in time."""
    left = context.clock.left
    return left is None or left > seconds


def _in_a_fresh_process(context: Context, spec: Spec, weights: Path, expected_ms: float) -> Latency:
    left = context.clock.left
    pace = PACE
    if left is not None:
        is_alone = left < 2 * context.clock.process_s
        rounds = _ALONE_ROUNDS if is_alone else PACE.rounds
        pace = replace(PACE, time_limit_s=max(left, LEAST_S + 2.0), rounds=rounds)
    fresh = context.new_worker()
    try:
        return one_reading(
            fresh,
            spec,
            context.settings,
            context.clock,
            pace,
            weights=str(weights),
            silence_s=60 + 3 * pace.rounds * expected_ms / 1e3,
            on_wait=context.waits,
        )
    finally:
        fresh.stop()


def _await_quiet(context: Context, call_ms: float, needed_s: float) -> None:
    """Wait, while time remains, until other processes leave alone the cores that a long call needs."""
    settings = context.settings
    if call_ms <= LONG_CALL_MS or settings.device != "cpu":
        return
    threads = settings.threads or settings.chosen_threads or physical_cores()
    spare, begun, is_said = available_cores() - threads + _SPARE_CORES, time.monotonic(), False
    while (busy := other_cores()) is not None and busy > spare:
        left = context.clock.left
        room_s = _MOST_WAIT_S if left is None else left - 2 * needed_s
        if time.monotonic() - begun > min(room_s, _MOST_WAIT_S):
            context.note(f"no quiet moment came in {time.monotonic() - begun:.0f} s; measuring on a busy machine")
            return
        text = f"waiting for a quiet moment: other processes keep {busy:.1f} cores busy"
        context.doing(text, context.state.phase)
        if not is_said:
            context.watcher(context.state, text)
            is_said = True


def other_cores() -> float | None:
    """Cores that processes beside this search keep busy, over a second; None where the system does not tell."""
    watch = MachineWatch()
    if not watch.known:
        return None
    time.sleep(_LOOK_S)
    watch.look()
    window = watch.whole()
    return None if window is None else window.others
