"""Rounds of short samples: every runner in each round, in an order that changes, after a warm-up that settles."""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypedDict

from archdsl.errors import MeasureError
from archdsl.latency.runner import Runner

Timer = Callable[[Runner, int], float]
"""Milliseconds that so many calls of a runner take together."""

SAMPLE_MS = {"cpu": 2.0, "cuda": 30.0}
LONG_MS = 100.0
"""A call that lasts longer fills the caches in a part of it too small to see."""


class Pace(TypedDict, total=False):
    """How long to measure; see `measure_all`."""

    rounds: int
    sample_ms: float | None
    warmup_s: float
    settle_s: float
    time_limit_s: float | None


class _Watch:
    """A timer that adds up what it timed."""

    def __init__(self, timer: Timer) -> None:
        self.timer, self.spent_ms = timer, 0.0

    def __call__(self, run: Runner, calls: int) -> float:
        passed = self.timer(run, calls)
        self.spent_ms += passed
        return passed


def measure_all(
    runners: Mapping[str, Runner],
    *,
    device: str = "cpu",
    rounds: int = 40,
    sample_ms: float | None = None,
    warmup_s: float = 0.5,
    settle_s: float = 1.0,
    time_limit_s: float | None = None,
    timer: Timer | None = None,
) -> dict[str, tuple[float, ...]]:
    """Samples in ms per call, one a runner and round; each round takes the runners in another order (seeded).

    The warm-up takes `warmup_s` a runner and goes on, `settle_s` or a little longer, while it has not settled.
    A sample is as many calls as last `sample_ms` (2 on a CPU, 30 on a GPU). Past `time_limit_s`, warm-up included, no
    round begins, but for the first three.
    """
    if rounds < 1:
        raise MeasureError(f"rounds must be at least 1; got {rounds}")
    watch = _Watch(timer or plain_timer(device))
    limit_ms = math.inf if time_limit_s is None else time_limit_s * 1e3
    sample_ms = sample_ms or SAMPLE_MS[device.partition(":")[0]]
    samples: dict[str, list[float]] = {name: [] for name in runners}
    order = random.Random(0)
    with _no_collection():
        warm = {
            name: _warm_up(run, watch, (warmup_s, settle_s), limit_ms / 2 / len(runners))
            for name, run in runners.items()
        }
        calls = {name: max(1, math.ceil(sample_ms / max(passed, 1e-6))) for name, passed in warm.items()}
        for done in range(rounds):
            if done >= 3 and watch.spent_ms > limit_ms:
                break
            for name in order.sample(list(runners), len(runners)):
                if len(runners) > 1 and warm[name] < LONG_MS:
                    watch(runners[name], 1)  # not kept: the caches hold what the runner before it used
                samples[name].append(watch(runners[name], calls[name]) / calls[name])
    return {name: tuple(taken) for name, taken in samples.items()}


def _warm_up(run: Runner, watch: _Watch, least_s: tuple[float, float], limit_ms: float) -> float:
    """Calls for at least ten calls and `seconds`, until the median of five moves by under 2 %; that median in ms.

    Gives up on settling after ten times `seconds`, and `settle_s` at least; `least_s` are both.
    """
    seconds, settle_s = least_s
    begin, before, group = watch.spent_ms, math.inf, list[float]()
    limit_ms = min(limit_ms, max(seconds * 1e4, settle_s * 1e3))
    for call in range(1, 1_000_000):
        group = [*group[-4:], watch(run, 1)]
        passed = watch.spent_ms - begin
        if call % 5 == 0:
            median = statistics.median(group)
            settled = abs(median - before) < 0.02 * before < math.inf
            if settled and passed >= seconds * 1e3:
                break
            before = median
        if passed >= limit_ms:
            break
    return statistics.median(group)


def plain_timer(device: str) -> Timer:
    """Wall time on a CPU, events on a GPU."""
    return _wall_timer if device == "cpu" else _event_timer


def _wall_timer(run: Runner, calls: int) -> float:
    """Wall time on the CPU."""
    begin = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - begin) * 1e3


def _event_timer(run: Runner, calls: int) -> float:
    """Time between two events on the GPU, launches included where the GPU waits for them."""
    import torch

    cuda: Any = torch.cuda  # partly untyped
    begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    cuda.synchronize()
    begin.record()
    for _ in range(calls):
        run()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


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
