"""Turns: who measures when, what is pooled of a process, and what a machine does whose speed drifts meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from archdsl.latency.result import Latency
from archdsl.latency.rounds import measure_all
from archdsl.search.policy import SHIPPED
from archdsl.timing.estimate import estimate
from archdsl.timing.rounds import Lap, Rounds
from archdsl.timing.turns import joined, rounds_of_turn, turn_order
from archdsl.timing.verdict import judge

POLICY = SHIPPED.final_reading
MS, START_S = 5.0, 5.0


def test_each_process_has_one_turn_before_any_has_another_and_none_is_earlier_than_the_others() -> None:
    order = turn_order(3, 6)
    assert [sorted(order[begin : begin + 3]) for begin in range(0, 18, 3)] == [[0, 1, 2]] * 6
    places = [[place for place, number in enumerate(order) if number == process] for process in range(3)]
    assert [sum(of_one) for of_one in places] == [51, 51, 51]
    assert turn_order(1, 3) == [0, 0, 0]


def test_the_turns_of_a_process_hold_the_rounds_that_it_must_have_in_whole_blocks() -> None:
    assert [rounds_of_turn(70, turns) for turns in (1, 3, 6)] == [70, 30, 20]
    for ms in (1.0, 200.0):
        turns = POLICY.turns_of(ms)
        pace = POLICY.turn_pace(turns)
        assert pace.least_s is not None
        assert turns * pace.rounds >= POLICY.rounds
        assert turns * pace.least_s == pytest.approx(POLICY.least_s)
        assert POLICY.rounds_s(ms) == pytest.approx(max(POLICY.least_s, turns * pace.rounds * ms / 1e3))


def test_the_rounds_of_a_process_are_those_of_its_turns_and_no_block_crosses_a_turn() -> None:
    turn = Rounds((4.0,) * 19, (True,) * 19, 2)
    process = joined([turn, turn, turn])
    assert (len(process.ms), process.calls, process.turns) == (57, 2, (19, 19, 19))
    pooled = estimate([process], "p50")
    assert pooled is not None
    assert (pooled.blocks, pooled.undisturbed) == (3, 57)
    partly = joined([turn._replace(undisturbed=(False,) * 12 + (True,) * 7), turn])
    assert [len(samples) for samples in partly.counting_by_turn] == [7, 19]


def test_of_the_turns_of_a_process_the_busiest_is_told() -> None:
    def turn(ms: float, share: float, others: float) -> Latency:
        noted = {"rounds": 2, "undisturbed": 1, "calls": 3, "cpu_share": share, "other_cores": others}
        return Latency("net", (ms, ms), {**noted, "device": "cpu"}, frozenset({1}))

    process = Latency.of_turns([turn(4.0, 0.9, 0.1), turn(5.0, 0.7, 1.5)])
    assert (process.samples, process.disturbed, process.turns) == ((4.0, 4.0, 5.0, 5.0), frozenset({1, 3}), (2, 2))
    counts = {"rounds": 4, "undisturbed": 2, "calls": 3}
    assert process.provenance == {**counts, "cpu_share": 0.7, "other_cores": 1.5, "device": "cpu"}
    assert process.rounds.turns == (2, 2)


class DriftingMachine:
    """A machine of which the speed changes with time: a call takes `ms` times `slowness` of the moment, in seconds."""

    def __init__(self, slowness: Callable[[float], float]) -> None:
        self.slowness, self.now_s, self.generator = slowness, 0.0, np.random.default_rng(0)

    def rounds(self, ms: float, pace: dict[str, float]) -> Rounds:
        """What one process measures now."""

        def timer(run: object, calls: int) -> Lap:
            took_ms = calls * ms * self.slowness(self.now_s) * (1 + 0.01 * self.generator.standard_normal())
            self.now_s += took_ms / 1e3
            return Lap(took_ms, took_ms, took_ms)

        return measure_all({"net": lambda: None}, timer=timer, **pace)["net"]  # type: ignore[arg-type]

    def one_after_another(self, each_ms: list[float]) -> list[Rounds]:
        """Processes that are started, measure, and end before the next is started."""
        taken = []
        for ms in each_ms:
            self.now_s += START_S
            taken.append(self.rounds(ms, {**POLICY.pace.options()}))  # type: ignore[dict-item]
        return taken

    def in_turns(self, each_ms: list[float]) -> list[Rounds]:
        """Processes that are all started before they measure in turns."""
        self.now_s += START_S * len(each_ms)
        turns = POLICY.turns_of(MS)
        taken = [list[Rounds]() for _ in each_ms]
        for number in turn_order(len(each_ms), turns):
            taken[number].append(self.rounds(each_ms[number], {**POLICY.turn_pace(turns).options()}))  # type: ignore[dict-item]
        return [joined(of_one) for of_one in taken]


def drifts_up(now_s: float) -> float:
    """By 30 % in 40 s."""
    return 1 + 0.3 * now_s / 40


def drifts_down(now_s: float) -> float:
    return 1.3 - 0.3 * now_s / 40


def swings(now_s: float) -> float:
    """By 30 % up and down, once a minute."""
    return 1 + 0.15 * math.sin(2 * math.pi * (now_s - 25) / 60)


@pytest.mark.parametrize("slowness", [drifts_up, drifts_down, swings])
@pytest.mark.parametrize(("away", "verdict"), [(1.05, "PASS"), (1 / 1.05, "FAIL")])
def test_a_drifting_machine_decides_in_turns_what_processes_one_after_another_leave_open(
    slowness: Callable[[float], float], away: float, verdict: str
) -> None:
    in_turns = DriftingMachine(slowness).in_turns([MS] * 3)
    one_by_one = DriftingMachine(slowness).one_after_another([MS] * 3)
    for processes, expected in ((in_turns, verdict), (one_by_one, "UNSURE")):
        pooled = estimate(processes, "p50")
        assert pooled is not None
        assert judge(processes, "p50", away * pooled.value).verdict == expected


@pytest.mark.parametrize("slowness", [lambda now_s: 1.0, drifts_up])
def test_a_process_that_differs_widens_the_interval_also_in_turns(slowness: Callable[[float], float]) -> None:
    alike = estimate(DriftingMachine(slowness).in_turns([MS, MS, MS]), "p50")
    differing = estimate(DriftingMachine(slowness).in_turns([MS, MS, 1.1 * MS]), "p50")
    assert alike is not None
    assert differing is not None
    assert differing.high > 1.09 * alike.value
    assert differing.high - differing.low > 0.1 * MS
    assert alike.high - alike.low < 0.07 * MS
