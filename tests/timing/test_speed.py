"""A processor that runs slower than usual beside a round: CPU time does not show it, a fixed loop does."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest

from archdsl.latency.rounds import Host, measure_all
from archdsl.timing.interleaved import MOST_WAITING, wall_timer
from archdsl.timing.rounds import Lap, Round, Rounds
from archdsl.timing.speed import SLOW, ProcessorSpeed, loop_ms
from archdsl.timing.turns import joined
from archdsl.timing.verdict import judge

BUDGET_MS = 5.0
LOOP_MS, STRETCH = 0.03, 1.6


class SharedCore:
    """A processor whose physical core a neighbour uses for `slow` looks of every `period`: all takes 1.6 times longer.

    Time passes with what is run alone, so that a timer and a speed of it agree, whoever asks.
    """

    def __init__(self, ms: float, slow_ms: float, period_ms: float, seed: int = 0) -> None:
        self.ms, self.slow_ms, self.period_ms = ms, slow_ms, period_ms
        self.now_ms, self.generator = 0.0, np.random.default_rng(seed)

    def run(self, quiet_ms: float) -> float:
        """Run what takes so long on a core of its own; how long it takes."""
        is_slow = self.now_ms % self.period_ms < self.slow_ms
        took_ms = quiet_ms * (STRETCH if is_slow else 1.0) * (1 + 0.02 * self.generator.standard_normal())
        self.now_ms += took_ms
        return took_ms

    def timer(self, run: object, calls: int) -> Lap:
        took_ms = self.run(calls * self.ms)
        return Lap(took_ms, took_ms, took_ms)

    def loop(self) -> float:
        return self.run(LOOP_MS)

    def rounds(self, *, speed: bool = True) -> Rounds:
        """What a process measures for three seconds."""
        host = Host(speed=ProcessorSpeed(self.loop)) if speed else Host()
        return measure_all({"net": lambda: None}, warmup_s=0.05, least_s=3.0, timer=self.timer, host=host)["net"]


@cache
def verdict_on(ms: float, slow_ms: float, period_ms: float, seed: int) -> str:
    processes = [SharedCore(ms, slow_ms, period_ms, 10 * seed + number).rounds() for number in range(3)]
    return judge(processes, "p50", BUDGET_MS, draws=200).verdict


@pytest.mark.parametrize("ms", [BUDGET_MS / 1.06, BUDGET_MS * 1.06])
@pytest.mark.parametrize(("slow_ms", "period_ms"), [(40.0, 60.0), (300.0, 400.0), (2000.0, 2500.0)])
def test_a_shared_core_gives_unsure_or_the_verdict_of_a_core_of_its_own(
    ms: float, slow_ms: float, period_ms: float
) -> None:
    for seed in range(2):
        assert verdict_on(ms, slow_ms, period_ms, seed) in ("UNSURE", verdict_on(ms, 0.0, 1.0, seed))


def test_where_short_waits_are_enough_a_shared_core_decides() -> None:
    for seed in range(2):
        assert verdict_on(BUDGET_MS / 1.06, 40.0, 60.0, seed) == "PASS"


def test_without_the_loop_a_shared_core_shows_in_nothing_and_its_median_is_of_the_slow_rounds() -> None:
    blind, seeing = (SharedCore(4.0, 45.0, 60.0).rounds(speed=speed) for speed in (False, True))
    assert all(blind.undisturbed)
    assert float(np.median(blind.counting)) > 1.4 * 4.0
    assert float(np.median(seeing.counting)) == pytest.approx(4.0, rel=0.02)
    assert seeing.slowed > 0


def test_a_round_beside_which_the_processor_was_slow_does_not_count() -> None:
    core = SharedCore(4.0, 0.0, 1.0)
    speed = ProcessorSpeed(core.loop)
    for _ in range(100):
        speed.look_before()
        speed.look_after()
    looks = [(1.0, 1.0), (1.1, 1.0), (1.5, 1.0), (1.0, 1.6)]
    rounds = [Round(4.0, 4.0, 4.0, 0.0, (LOOP_MS * before, LOOP_MS * after)) for before, after in looks]
    counted = Host(speed=speed).counted([*rounds, Round(4.0, 4.0, 4.0, 0.0)], 1)
    assert counted.undisturbed == (True, True, False, False, True)
    assert counted.slowed == 2


def test_times_after_rounds_are_compared_with_times_after_rounds() -> None:
    """What a round leaves behind, as waiting threads on a core that is shared with them, is no neighbour."""
    speed = ProcessorSpeed(itertools.cycle([LOOP_MS, STRETCH * LOOP_MS]).__next__)
    rounds = []
    for _ in range(100):
        before = speed.look_before()
        rounds.append(Round(4.0, 4.0, 4.0, 0.0, (before, speed.look_after())))
    assert not any(speed.slowed(rounds))


def test_nothing_is_slow_before_it_is_known_what_is_usual() -> None:
    speed = ProcessorSpeed(iter([1.0] * 40).__next__)
    slow = Round(4.0, 4.0, 4.0, 0.0, (9.0, 9.0))
    for _ in range(19):
        speed.look_before()
        speed.look_after()
        assert speed.slowed([slow]) == [False]
    speed.look_before()
    assert speed.slowed([slow]) == [True]


def test_usual_is_what_the_processor_reaches_also_where_it_is_slow_most_of_the_time() -> None:
    core = SharedCore(4.0, 90.0, 100.0)
    speed = ProcessorSpeed(core.loop)
    for _ in range(10_000):
        speed.look_before()
    taken = [Round(4.0, 4.0, 4.0, 0.0, (LOOP_MS * times, LOOP_MS)) for times in (STRETCH, SLOW - 0.05)]
    assert speed.slowed(taken) == [True, False]


def test_a_processor_that_is_slower_for_good_is_usual_after_some_time() -> None:
    speed = ProcessorSpeed(iter([LOOP_MS] * 5_000 + [STRETCH * LOOP_MS] * 5_000).__next__)
    slower = [Round(4.0, 4.0, 4.0, 0.0, (STRETCH * LOOP_MS, LOOP_MS))]
    for _ in range(6_000):
        speed.look_before()
    assert speed.slowed(slower) == [True]
    for _ in range(4_000):
        speed.look_before()
    assert speed.slowed(slower) == [False]


def test_waits_take_a_bounded_part_of_the_time_of_a_processor_that_stays_slow() -> None:
    """Quick for a moment, then slow for good: the rounds are taken all the same, and do not count."""
    core = SharedCore(4.0, 1e9, 1e9)
    speed = ProcessorSpeed(iter([LOOP_MS] * 100 + [LOOP_MS * STRETCH] * 10_000_000).__next__)
    taken = measure_all(
        {"net": lambda: None}, rounds=5, warmup_s=0.01, settle_s=0.01, timer=core.timer, host=Host(speed=speed)
    )["net"]
    calls_ms = core.now_ms
    assert len(taken.ms) == 5
    assert taken.slowed == sum(not counts for counts in taken.undisturbed)
    assert 5 * 4.0 < calls_ms < 5 * 4.0 * STRETCH * (2 + MOST_WAITING) + 100


def test_turns_add_up_the_rounds_that_were_slowed() -> None:
    turns = [Rounds((1.0, 1.0), (True, False), slowed=1), Rounds((1.0,), (False,), slowed=1)]
    assert joined(turns).slowed == 2


def test_a_reading_with_too_few_rounds_names_a_slow_processor() -> None:
    judged = judge([Rounds((4.0,) * 100, (False,) * 90 + (True,) * 10, slowed=80)], "p50", BUDGET_MS)
    assert judged.verdict == "UNSURE"
    assert judged.reason == (
        "only 10 of 100 rounds were undisturbed, fewer than a quarter; the processor ran slower than usual in 80"
    )


def test_the_loop_of_this_process_takes_time_and_a_timer_beside_it_is_not_changed() -> None:
    assert loop_ms() > 0
    taken = measure_all({"net": lambda: None}, rounds=3, warmup_s=0.01, timer=wall_timer, host=Host())
    assert taken["net"].slowed == 0
