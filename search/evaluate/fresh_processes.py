"""Fresh processes that measure one file: alive together, they take turns, so that a slow drift reaches all alike.

Each is started and prepares the file before the first turn. What another machine measures takes no turns: each
measurement there is a process of its own, which nothing keeps alive, so that one process after another measures.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from archdsl.language.document import Spec
from archdsl.latency.result import Latency
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.measuring import one_reading
from archdsl.search.evaluate.quiet_moment import await_quiet
from archdsl.search.evaluate.rungs import ask_in_time
from archdsl.search.policy.evaluate import FinalReadingPolicy
from archdsl.search.worker.messages import MeasuringSetting, Pace, PrepareRequest
from archdsl.search.worker.process import Failed, OutOfTime, TargetLost, WorkerGone
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.timing.interleaved import sample_ms
from archdsl.timing.turns import turn_order


class ReadTogether(NamedTuple):
    """What processes that were alive together measured."""

    latencies: list[Latency]
    """One a process, one at the least."""
    faults: list[Failed | WorkerGone]
    """Why others could not measure."""


def read_together(context: Context, spec: Spec, file: Path, call_ms: float, most: int) -> ReadTogether:
    """The latencies of a file in fresh processes: `most` of them, fewer where time is short or the policy has fewer.

    `call_ms` is about what a call takes. A process that fails costs what it measured, and no other's.

    Raises:
        OutOfTime: not even one process could measure in time.
        Failed, WorkerGone: it could not be measured by any process.
    """
    processes = list[_Process]()
    try:
        _start(processes, context, file, call_ms, most)
        _take_turns(processes, context, spec, call_ms)
    finally:
        for process in processes:
            process.worker.stop()
    faults = [process.fault for process in processes if process.fault is not None]
    latencies = [_of_process(process.turns) for process in processes if process.turns and process.fault is None]
    if not latencies:
        raise faults[0] if faults else OutOfTime
    for fault in faults:
        context.note(f"{spec.name}: a further process could not measure it: {fault}")
    return ReadTogether(latencies, faults)


class _Process:
    """A fresh process and what it measured of a file."""

    def __init__(self, context: Context, file: Path) -> None:
        self.worker: WorkerProtocol = context.new_worker()
        self.turns = list[Latency]()
        self.fault: Failed | WorkerGone | None = None
        self._context, self._file = context, str(file)
        self._setting = MeasuringSetting(**context.settings.measuring())

    def prepare(self) -> None:
        """Start it, and let it prepare the file."""
        context = self._context
        if self._setting.target is not None:
            return
        try:
            most_s = context.policy.silence.measuring_s(context.settings.runtime)
            request = PrepareRequest(self._file, self._setting)
            ask_in_time(self.worker, request, most_s, context.clock, context.while_waiting)
        except (Failed, WorkerGone) as fault:
            self.fault = fault
        finally:
            context.clock.go_on()

    def measure(self, spec: Spec, pace: Pace, call_ms: float) -> None:
        """One turn.

        Raises:
            OutOfTime: the search's time is over.
            TargetLost: the machine that measures cannot be reached.
        """
        context = self._context
        try:
            latency = one_reading(
                self.worker,
                spec,
                context.settings,
                context.policy.silence,
                context.clock,
                pace,
                weights=self._file,
                silence_s=60 + 3 * pace.rounds * call_ms / 1e3,
                on_wait=context.waits,
            )
        except TargetLost:
            raise
        except (Failed, WorkerGone) as fault:
            self.fault = fault
        else:
            self.turns.append(latency)


def _start(processes: list[_Process], context: Context, file: Path, call_ms: float, most: int) -> None:
    """Start processes: one, and as many more as still leave time for all of them to measure.

    Raises:
        OutOfTime: the first was not ready in time.
    """
    policy, target = context.policy.final_reading, context.settings.target
    start_s, rounds_s = policy.start_s, policy.rounds_s(call_ms)
    while len(processes) < min(most, 1 if target else policy.processes):
        left = context.clock.left
        if processes and left is not None and left < start_s + (len(processes) + 1) * rounds_s:
            return
        started = context.clock.elapsed
        processes.append(_Process(context, file))
        try:
            processes[-1].prepare()
        except OutOfTime:
            if len(processes) == 1:
                raise
            processes.pop().worker.stop()
            return
        if all(process.fault is not None for process in processes):
            return
        start_s = max(start_s, context.clock.elapsed - started)


def _take_turns(processes: list[_Process], context: Context, spec: Spec, call_ms: float) -> None:
    """Let each process measure in its turns while time remains; then one alone, so that its rounds are enough."""
    policy, settings = context.policy.final_reading, context.settings
    turns = 1 if len(processes) == 1 else policy.turns_of(max(call_ms, sample_ms(settings.device)))
    order, rounds_s = turn_order(len(processes), turns), policy.rounds_s(call_ms)
    last: _Process | None = None
    waits = True
    for place, number in enumerate(order):
        process, left_turns = processes[number], len(order) - place
        if process.fault is not None:
            continue
        if last is None and context.clock.left is not None and context.clock.left < 0:
            measured = [other for other in processes if other.turns and other.fault is None]
            if sum(len(turn.samples) for other in measured for turn in other.turns) >= policy.alone_rounds:
                return
            last = max(measured, key=lambda other: len(other.turns), default=None)
        if last is not None and process is not last:
            continue
        if place % len(processes) == 0 and waits:  # where no quiet moment came once, none is waited for again
            waits = await_quiet(context, call_ms, (policy.start_s / turns + rounds_s / turns) * left_turns)
        pace = _pace(context, policy, turns, left_turns)
        try:
            process.measure(spec, pace, call_ms)
        except OutOfTime:
            return


def _pace(context: Context, policy: FinalReadingPolicy, turns: int, left_turns: int) -> Pace:
    """Of the next turn: its share of the time that is left, and longer in a process that will stay the only one."""
    pace, left = policy.pace if turns == 1 else policy.turn_pace(turns), context.clock.left
    if left is None:
        return pace
    if turns == left_turns == 1 and left < 2 * context.clock.process_s:
        pace = replace(pace, rounds=policy.alone_rounds)
    least_s = (policy.least_s + 2.0) / turns  # the warm-up is in it
    return replace(pace, time_limit_s=max(left / left_turns, least_s))


def _of_process(turns: list[Latency]) -> Latency:
    return turns[0] if len(turns) == 1 else Latency.of_turns(turns)
