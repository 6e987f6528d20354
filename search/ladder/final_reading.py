"""The reading that a verdict rests on: the file that is handed over, measured in fresh processes that are pooled.

Three processes, each with at least 3 s and 70 rounds; one where there is no time for more, and that is said. A reading
that leaves the verdict open is doubled, twice at most, while time remains; none is repeated because it missed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from archdsl.latency.provenance import available_cores
from archdsl.latency.result import Latency
from archdsl.schema.document import Spec
from archdsl.search.ladder.measuring import one_reading
from archdsl.search.ladder.rungs import OutOfTime
from archdsl.search.results.reading import Reading, conditions_of
from archdsl.timing.machine import MachineWatch
from archdsl.timing.verdict import Judgement, judge

if TYPE_CHECKING:
    from archdsl.search.runner import Search

PACE: Mapping[str, Any] = {"rounds": 70, "least_s": 3.0, "warmup_s": 0.5, "settle_s": 1.0}
PROCESSES, DOUBLINGS = 3, 2
SECONDS = PROCESSES * 9.0
"""About what a reading takes that need not be doubled: starting, warming up, and 3 s of rounds a process."""
LONG_CALL_MS = 15.0
"""Calls that last longer are nearly all disturbed by one neighbour a core: a quiet moment is waited for."""
_LOOK_S, _MOST_WAIT_S = 1.0, 60.0
"""Seconds over which a machine is looked at; that a quiet moment is waited for where no time limit says less."""
_SPARE_CORES = 0.1


def read_winner(search: Search, spec: Spec, weights: Path, expected_ms: float) -> tuple[Judgement, Reading]:
    """What fresh processes measure of a network's file, and what that says of the budget.

    `expected_ms` is its latency as measured before.

    Raises:
        OutOfTime: not even one process could measure in time.
        Failed, WorkerGone: it could not be measured.
    """
    settings, doublings, wanted = search.settings, 0, PROCESSES
    latencies: list[Latency] = []
    longest_s = 0.0
    while True:
        while len(latencies) < wanted and (not latencies or _has_time(search, longest_s)):
            _await_quiet(search, expected_ms, longest_s)
            started = time.monotonic()
            latencies.append(_in_a_fresh_process(search, spec, weights))
            search.machine.note_latency(latencies[-1])
            longest_s = max(longest_s, time.monotonic() - started)
            expected_ms = median(latencies[-1].samples)
        judged = judge([latency.rounds for latency in latencies], settings.stat, settings.latency_budget_ms)
        is_open = judged.verdict == "UNSURE" and doublings < DOUBLINGS and len(latencies) == wanted
        if not is_open or not _has_time(search, longest_s):
            return judged, _reading(search, latencies, judged)
        doublings, wanted = doublings + 1, 2 * wanted
        search.note(f"{spec.name}: {judged.reason}; measuring in {wanted - len(latencies)} more processes")


def _has_time(search: Search, seconds: float) -> bool:
    """Whether another process of that length ends in time."""
    left = search.clock.left
    return left is None or left > seconds


def _in_a_fresh_process(search: Search, spec: Spec, weights: Path) -> Latency:
    left = search.clock.left
    limit = {} if left is None else {"time_limit_s": max(left, PACE["least_s"] + 2.0)}
    fresh = search.new_worker()
    try:
        return one_reading(
            fresh,
            spec,
            search.settings,
            search.clock,
            {**PACE, **limit},
            weights=str(weights),
            on_wait=search.waits,
        )
    finally:
        fresh.stop()


def _await_quiet(search: Search, call_ms: float, needed_s: float) -> None:
    """Wait, while time remains, until other processes leave alone the cores that a long call needs."""
    settings = search.settings
    if call_ms <= LONG_CALL_MS or settings.device != "cpu":
        return
    threads = settings.threads or settings.chosen_threads or 1
    spare, begun = available_cores() - threads + _SPARE_CORES, time.monotonic()
    while (busy := other_cores()) is not None and busy > spare:
        left = search.clock.left
        room_s = _MOST_WAIT_S if left is None else left - 2 * needed_s
        if time.monotonic() - begun > min(room_s, _MOST_WAIT_S):
            search.note(f"no quiet moment came in {time.monotonic() - begun:.0f} s; measuring on a busy machine")
            return
        search.doing(f"waiting for a quiet moment: other processes keep {busy:.1f} cores busy", search.state.phase)


def other_cores() -> float | None:
    """Cores that processes beside this search keep busy, over a second; None where the system does not tell."""
    watch = MachineWatch()
    if not watch.known:
        return None
    time.sleep(_LOOK_S)
    watch.look()
    window = watch.whole()
    return None if window is None else window.others


def _reading(search: Search, latencies: Sequence[Latency], judged: Judgement) -> Reading:
    if not latencies:
        raise OutOfTime
    return Reading.of(latencies, judged.estimate, search.settings.stat, conditions_of(latencies, search.settings.stat))
