"""Rounds of short samples: every runner in each round, in an order that changes, after a warm-up that settles.

The one copy of this rule: measuring on this machine calls it, and so does the runner that is sent to another machine.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypedDict

from archdsl.errors import MeasureError
from archdsl.timing.disturbance import shows_cpu_time, undisturbed
from archdsl.timing.machine import MachineWatch
from archdsl.timing.rounds import Lap, Round, Rounds
from archdsl.timing.speed import ProcessorSpeed

Runner = Callable[[], None]
"""One forward pass; on a GPU it returns before the pass has ended."""

Timer = Callable[[Runner, int], Lap]
"""What so many calls of a runner take together."""

Stop = Callable[[Mapping[str, Rounds]], bool]
"""Whether the rounds so far decide what was to be decided."""

ROUNDS = 40
"""How many where no number is asked for."""
SAMPLE_MS = {"cpu": 2.0, "cuda": 30.0}
LONG_MS = 100.0
"""A call that lasts longer fills the caches in a part of it too small to see."""
MOST_WAITING = 4.0
"""Waits for a processor at its usual speed, all together, as a multiple of the time that calls took."""
STOP_FIRST, STOP_EVERY = 3, 10
"""Rounds before the first look at whether to stop, and between two looks later."""


def sample_ms(device: str) -> float:
    """About what a round lasts at the least on a device."""
    return SAMPLE_MS[device.partition(":")[0]]


class Pace(TypedDict, total=False):
    """How long to measure; see `take_rounds`."""

    rounds: int
    least_s: float
    sample_ms: float | None
    warmup_s: float
    settle_s: float
    time_limit_s: float | None
    stop: Stop | None


class Host(NamedTuple):
    """The host while something is measured: what decides whether a round was disturbed.

    The default is one thread of this process, as on a machine of which nothing more is known.
    """

    threads: int = 1
    cores: int = 1
    """Cores of this machine that the process may run on, whatever its quota: others on them disturb it."""
    watch: MachineWatch | None = None
    is_waiting: bool = True
    """Whether the host's work is part of a call: not where a GPU replays a graph; there every round counts."""
    speed: ProcessorSpeed | None = None
    """What tells of a slow processor: it is looked at beside each round, and waited for before one."""

    def counted(self, rounds: Sequence[Round], calls: int) -> Rounds:
        """Rounds with those marked that count. Where the runtime's work cannot be seen, none does."""
        if not self.is_waiting:
            return Rounds(tuple(taken.ms for taken in rounds), (True,) * len(rounds), calls)
        if not shows_cpu_time(rounds):
            return Rounds(tuple(taken.ms for taken in rounds), (False,) * len(rounds), calls)
        return undisturbed(rounds, self.threads, self.cores, self.watch, self.speed)._replace(calls=calls)


class _Stopwatch:
    """A timer that adds up what it timed, and looks at the processor's speed before and after."""

    def __init__(self, timer: Timer, speed: ProcessorSpeed | None) -> None:
        self.timer, self.speed = timer, speed
        self.spent_ms, self.waited_ms = 0.0, 0.0

    def __call__(self, run: Runner, calls: int) -> Lap:
        lap = self.timer(run, calls)
        self.spent_ms += lap.ms
        return lap

    def await_usual(self) -> bool:
        """Wait while the processor is slow, in all four times as long as calls took at the most; whether it was."""
        if self.speed is None:
            return False
        waited_ms = self.speed.await_usual(MOST_WAITING * self.spent_ms - (1 + MOST_WAITING) * self.waited_ms)
        self.waited_ms += waited_ms
        self.spent_ms += waited_ms
        return waited_ms > 0

    def round(self, run: Runner, calls: int) -> Round:
        """One round, with a look at the processor's speed before and after."""
        if self.speed is None:
            return self._round(self(run, calls), calls)
        before = self.speed.look_before()
        taken = self._round(self(run, calls), calls)
        return taken._replace(looks=(before, self.speed.look_after()))

    def _round(self, lap: Lap, calls: int) -> Round:
        return Round(lap.ms / calls, lap.wall_ms, lap.cpu_ms, time.monotonic())


def take_rounds(
    runners: Mapping[str, Runner],
    timer: Timer,
    host: Host,
    *,
    rounds: int = ROUNDS,
    least_s: float = 0.0,
    sample_ms: float | None = None,
    warmup_s: float = 0.5,
    settle_s: float = 1.0,
    time_limit_s: float | None = None,
    stop: Stop | None = None,
) -> dict[str, Rounds]:
    """The rounds of each runner; each round takes the runners in another order (seeded).

    The warm-up takes `warmup_s` a runner and goes on, `settle_s` or a little longer, while it has not settled.
    A round is as many calls as last `sample_ms` (by default those of a CPU). There are `rounds` of them, and more until
    they took `least_s` together. Past `time_limit_s`, warm-up included, no round begins, but for the first three; and
    none after `stop` says so, which is asked after three rounds and then every ten. Waiting for a processor at its
    usual speed counts in both times.

    Raises:
        MeasureError: fewer than one round is asked for.
    """
    if rounds < 1:
        raise MeasureError(f"rounds must be at least 1; got {rounds}")
    stopwatch = _Stopwatch(timer, host.speed if host.is_waiting else None)
    limit_ms = math.inf if time_limit_s is None else time_limit_s * 1e3
    sample_ms = sample_ms or SAMPLE_MS["cpu"]
    order = random.Random(0)
    with _no_collection():
        warm = {
            name: _warm_up(run, stopwatch, (warmup_s, settle_s), limit_ms / 2 / len(runners))
            for name, run in runners.items()
        }
        calls = {name: max(1, math.ceil(sample_ms / max(passed, 1e-6))) for name, passed in warm.items()}
        taken: dict[str, list[Round]] = {name: [] for name in runners}
        begun_ms, done = stopwatch.spent_ms, 0
        while done < rounds or stopwatch.spent_ms - begun_ms < least_s * 1e3:
            if done >= 3 and stopwatch.spent_ms > limit_ms:
                break
            if stop is not None and _is_due(done) and stop(_counted(taken, calls, host)):
                break
            for name in order.sample(list(runners), len(runners)):
                has_waited = stopwatch.await_usual()
                if (len(runners) > 1 or has_waited) and warm[name] < LONG_MS:
                    stopwatch(runners[name], 1)  # not kept: the caches hold what ran before it
                taken[name].append(stopwatch.round(runners[name], calls[name]))
                if host.watch is not None and host.threads > 1:
                    host.watch.look()
            done += 1
        if host.watch is not None:
            host.watch.look()
    return _counted(taken, calls, host)


def _is_due(done: int) -> bool:
    return done == STOP_FIRST or (done > 0 and done % STOP_EVERY == 0)


def _counted(taken: Mapping[str, list[Round]], calls: Mapping[str, int], host: Host) -> dict[str, Rounds]:
    return {name: host.counted(rounds, calls[name]) for name, rounds in taken.items()}


def _warm_up(run: Runner, stopwatch: _Stopwatch, least_s: tuple[float, float], limit_ms: float) -> float:
    """Calls for at least ten calls and `seconds`, until the median of five moves by under 2 %; that median in ms.

    Gives up on settling after ten times `seconds`, and `settle_s` at least; `least_s` are both.
    """
    seconds, settle_s = least_s
    begin, before, group = stopwatch.spent_ms, math.inf, list[float]()
    limit_ms = min(limit_ms, max(seconds * 1e4, settle_s * 1e3))
    for call in range(1, 1_000_000):
        group = [*group[-4:], stopwatch.round(run, 1).ms]
        passed = stopwatch.spent_ms - begin
        if call % 5 == 0:
            median = statistics.median(group)
            settled = abs(median - before) < 0.02 * before < math.inf
            if settled and passed >= seconds * 1e3:
                break
            before = median
        if passed >= limit_ms:
            break
    return statistics.median(group)


def wall_timer(run: Runner, calls: int) -> Lap:
    """Wall time on the CPU."""
    cpu_s, begin = time.process_time(), time.perf_counter()
    for _ in range(calls):
        run()
    wall_ms = (time.perf_counter() - begin) * 1e3
    return Lap(wall_ms, wall_ms, (time.process_time() - cpu_s) * 1e3)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Garbage is collected before, not in the middle of a sample."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
