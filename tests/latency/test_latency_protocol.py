"""What the protocol promises of rounds, samples and warm-up, by a timer that keeps what it timed."""

from __future__ import annotations

import itertools

from archdsl.latency import Runner, measure_all
from archdsl.timing.rounds import Lap


class Clock:
    """A timer for fake runners, whose call takes `ms[runner]`; it keeps the order of what it timed."""

    def __init__(self, **ms: float) -> None:
        self.ms, self.log = ms, list[tuple[str, int]]()
        self.now = ""
        self.runners: dict[str, Runner] = {name: self.runner(name) for name in ms}

    def runner(self, name: str) -> Runner:
        def run() -> None:
            self.now = name

        return run

    def __call__(self, run: Runner, calls: int) -> Lap:
        run()
        self.log.append((self.now, calls))
        ms = self.ms[self.now] * calls
        return Lap(ms, ms, ms)


def test_each_round_takes_one_sample_of_each_runner() -> None:
    clock = Clock(a=1.0, b=4.0)
    samples = measure_all(clock.runners, rounds=6, warmup_s=0.01, timer=clock)
    assert {name: rounds.ms for name, rounds in samples.items()} == {"a": (1.0,) * 6, "b": (4.0,) * 6}
    rounds = [{name for name, _ in part} for part in zip(*[iter(clock.log[-24:])] * 4, strict=True)]
    assert rounds == [{"a", "b"}] * 6


def test_a_sample_is_as_many_calls_as_last_long_enough_and_one_call_before_it_is_not_kept() -> None:
    clock = Clock(a=0.3, b=4.0)
    measure_all(clock.runners, rounds=2, sample_ms=2.0, warmup_s=0, timer=clock)
    assert set(clock.log[-8:]) == {("a", 1), ("a", 7), ("b", 1)}


def test_before_a_long_call_there_is_none_that_is_not_kept() -> None:
    clock = Clock(a=150.0, b=4.0)
    measure_all(clock.runners, rounds=2, warmup_s=0, timer=clock)
    assert [name for name, _ in clock.log[-6:]].count("a") == 2
    assert [name for name, _ in clock.log[-6:]].count("b") == 4


def test_the_order_of_the_runners_changes_between_rounds_and_is_the_same_in_each_run() -> None:
    first, second = Clock(a=2.0, b=2.0, c=2.0), Clock(a=2.0, b=2.0, c=2.0)
    for clock in (first, second):
        measure_all(clock.runners, rounds=8, warmup_s=0, timer=clock)
    assert first.log == second.log
    assert len({tuple(part) for part in zip(*[iter(first.log[-48:])] * 6, strict=True)}) > 1


def test_warm_up_is_ten_calls_and_so_many_seconds() -> None:
    short, long = Clock(a=1000.0), Clock(a=1.0)
    measure_all(short.runners, rounds=1, warmup_s=3, timer=short)
    measure_all(long.runners, rounds=1, warmup_s=0.05, timer=long)
    assert len(short.log) == 10 + 1
    assert len(long.log) == 50 + 1


def test_warm_up_that_never_settles_ends() -> None:
    speeds = itertools.count(1)

    def slower_and_slower(run: Runner, calls: int) -> Lap:
        return Lap(*[2.0 ** next(speeds)] * 3)

    assert len(measure_all({"a": lambda: None}, rounds=2, warmup_s=0.01, timer=slower_and_slower)) == 1


def test_past_the_time_limit_no_round_begins_but_for_three() -> None:
    clock = Clock(a=100.0)
    assert len(measure_all(clock.runners, rounds=40, warmup_s=0, time_limit_s=0.1, timer=clock)["a"].ms) == 3
    assert len(measure_all(clock.runners, rounds=40, warmup_s=0, time_limit_s=60, timer=clock)["a"].ms) == 40


def test_rounds_go_on_until_they_took_so_long() -> None:
    clock = Clock(a=100.0)
    assert len(measure_all(clock.runners, rounds=5, least_s=3, warmup_s=0, timer=clock)["a"].ms) == 30
    assert len(measure_all(clock.runners, rounds=50, least_s=3, warmup_s=0, timer=clock)["a"].ms) == 50


def test_rounds_stop_when_they_decide_and_are_asked_after_three_and_then_every_ten() -> None:
    clock = Clock(a=4.0)
    asked: list[int] = []

    def stop(rounds: dict[str, object]) -> bool:
        asked.append(len(rounds["a"].ms))  # type: ignore[attr-defined]
        return asked[-1] >= 20

    assert len(measure_all(clock.runners, rounds=40, warmup_s=0, timer=clock, stop=stop)["a"].ms) == 20  # type: ignore[arg-type]
    assert asked == [3, 10, 20]
