"""PASS, FAIL and UNSURE: what an interval says of a budget, on quiet and busy machines that are simulated."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from archdsl.latency.rounds import Host, measure_all
from archdsl.timing.estimate import estimate
from archdsl.timing.rounds import Lap, Rounds
from archdsl.timing.verdict import Judgement, judge

BUDGET_MS = 5.0


def quiet(ms: float, seed: int, rounds: int = 210, spread: float = 0.02, drift: float = 0.005) -> Rounds:
    """A process on a quiet machine: rounds around `ms`, the process as a whole a little off."""
    generator = np.random.default_rng(seed)
    shifted = ms * (1 + drift * generator.standard_normal())
    samples = shifted * (1 + spread * generator.standard_normal(rounds))
    return Rounds(tuple(samples), (True,) * rounds)


def processes(ms: float, seed: int, count: int = 3) -> list[Rounds]:
    return [quiet(ms, 100 * seed + number) for number in range(count)]


def test_rounds_that_are_all_alike_have_an_interval_of_no_width() -> None:
    alike = estimate([Rounds((4.0,) * 100, (True,) * 100)] * 3, "p50")
    assert alike is not None
    assert (alike.value, alike.low, alike.high, alike.blocks) == (4.0, 4.0, 4.0, 30)


def test_the_statistic_is_that_of_the_undisturbed_rounds() -> None:
    pooled = estimate([Rounds((4.0, 9.0, 4.2, 9.0, 4.4), (True, False, True, False, True))], "p50")
    assert pooled is not None
    assert (pooled.value, pooled.rounds, pooled.undisturbed, pooled.share) == (4.2, 5, 3, 0.6)
    assert estimate([Rounds((4.0, 9.0), (False, False))], "p50") is None


def test_the_interval_holds_the_statistic_of_each_process_and_of_few_processes_a_margin_more() -> None:
    apart = [Rounds((4.0,) * 300, (True,) * 300), Rounds((4.4,) * 30, (True,) * 30)]
    margins = {2: (2.8, 5.6), 3: (3.76, 4.64), 5: (3.76, 4.64), 6: (4.0, 4.4)}
    for count, ends in margins.items():
        pooled = estimate([*apart, *apart[:1] * (count - 2)], "p50")
        assert pooled is not None
        assert pooled.value == 4.0
        assert (pooled.low, pooled.high) == pytest.approx(ends)


def test_the_interval_of_the_minimum_begins_at_the_minimum() -> None:
    pooled = estimate(processes(4.0, 1), "min")
    assert pooled is not None
    assert pooled.low == pooled.value == min(min(taken.ms) for taken in processes(4.0, 1))
    assert pooled.high > pooled.low


def test_blocks_are_of_ten_rounds_or_of_five_long_ones_and_none_crosses_a_process() -> None:
    short = estimate([Rounds((4.0,) * 19, (True,) * 19)] * 3, "p50")
    long = estimate([Rounds((150.0,) * 19, (True,) * 19)] * 3, "p50")
    assert short is not None
    assert long is not None
    assert (short.blocks, long.blocks) == (3, 9)


def test_neighbouring_rounds_that_are_alike_widen_the_interval() -> None:
    """Rounds of a machine that is slow for a while are no independent witnesses."""
    levels = np.repeat(np.random.default_rng(0).normal(4.0, 0.2, 30), 10)
    shuffled = np.random.default_rng(1).permutation(levels)
    widths = []
    for samples in (levels, shuffled):
        pooled = estimate([Rounds(tuple(samples), (True,) * len(samples))], "p50")
        assert pooled is not None
        widths.append(pooled.high - pooled.low)
    assert widths[0] > 1.5 * widths[1]


@pytest.mark.parametrize(("ms", "verdict"), [(BUDGET_MS / 1.05, "PASS"), (BUDGET_MS * 1.05, "FAIL")])
def test_a_quiet_machine_decides_five_percent_away_from_the_budget(ms: float, verdict: str) -> None:
    assert [judge(processes(ms, seed), "p50", BUDGET_MS).verdict for seed in range(10)] == [verdict] * 10


@pytest.mark.parametrize("drift", [0.01, 0.015])
def test_of_twenty_readings_five_percent_away_nineteen_are_decided_and_rightly(drift: float) -> None:
    """Where processes of a network differ by up to 3 %, as they do on a quiet machine."""
    right = 0
    for seed in range(20):
        is_above = seed % 2 == 0
        ms = BUDGET_MS / 1.05 if is_above else BUDGET_MS * 1.05
        right += until_decided(ms, seed, drift).verdict == ("PASS" if is_above else "FAIL")
    assert right >= 19


def test_an_interval_that_ends_at_the_budget_passes() -> None:
    assert judge([Rounds((5.0,) * 210, (True,) * 210)], "p50", 5.0).verdict == "PASS"
    assert judge([Rounds((5.0,) * 210, (True,) * 210)], "p50", 4.999).verdict == "FAIL"


def test_a_few_undisturbed_rounds_decide_nothing_however_fast_they_are() -> None:
    some = [taken._replace(undisturbed=(True,) * 40 + (False,) * 170) for taken in processes(1.0, 1)]
    few = judge(some, "p50", BUDGET_MS)
    assert (few.verdict, few.is_disturbed) == ("UNSURE", True)
    assert few.reason == "only 120 of 630 rounds were undisturbed, fewer than a quarter"
    short = judge([quiet(1.0, 1, rounds=70)], "p50", BUDGET_MS)
    assert short.verdict == "UNSURE"
    assert "70, which make 7 of the 20 groups of 10 rounds that are needed" in short.reason
    none = judge([Rounds((1.0,) * 70, (False,) * 70)], "p50", BUDGET_MS)
    assert (none.verdict, none.estimate) == ("UNSURE", None)


def test_without_a_budget_there_is_nothing_to_be_over_however_busy_the_machine() -> None:
    assert judge(processes(50.0, 1), "p50", None).verdict == "PASS"
    assert judge([Rounds((1.0,) * 70, (False,) * 70)], "p50", None).verdict == "PASS"


def in_turns(rounds: Rounds) -> Rounds:
    """The rounds of a process as those of three turns."""
    return rounds._replace(turns=(30, 30, 30))


def until_decided(ms: float, seed: int, drift: float) -> Judgement:
    """The whole procedure: an UNSURE reading is doubled, twice at most, and pooled with what was read before."""
    count = 3
    while True:
        read = [in_turns(quiet(ms, 100 * seed + number, rounds=90, drift=drift)) for number in range(count)]
        judged = judge(read, "p50", BUDGET_MS, draws=200)
        if judged.verdict != "UNSURE" or count >= 12:
            return judged
        count *= 2


@pytest.mark.parametrize(
    ("drift", "networks"),
    [
        (0.005, 200),
        pytest.param(0.0, 1000, marks=pytest.mark.slow),
        pytest.param(0.005, 1000, marks=pytest.mark.slow),
    ],
)
def test_of_many_networks_exactly_at_the_budget_at_most_five_percent_pass(drift: float, networks: int) -> None:
    """Whether processes differ by less than their rounds or by more."""
    verdicts = [until_decided(BUDGET_MS, seed, drift).verdict for seed in range(networks)]
    assert verdicts.count("PASS") <= 0.05 * networks
    assert verdicts.count("UNSURE") >= 0.9 * networks


def test_reading_again_what_failed_does_not_make_it_pass() -> None:
    """However often a network over its budget is read, the pooled rounds say so."""
    failing = [judge(processes(BUDGET_MS * 1.03, seed), "p50", BUDGET_MS, 200).verdict for seed in range(200)]
    assert "PASS" not in failing
    pooled = [taken for seed in range(20) for taken in processes(BUDGET_MS * 1.03, seed)]
    assert judge(pooled, "p50", BUDGET_MS).verdict == "FAIL"


class SharedMachine:
    """A timer of a machine on which a neighbour takes the core in some rounds: wall time grows, CPU time hardly."""

    def __init__(self, ms: float, share: float, seed: int) -> None:
        self.ms, self.share, self.generator = ms, share, np.random.default_rng(seed)

    def __call__(self, run: object, calls: int) -> Lap:
        cpu_ms = calls * self.ms * (1 + 0.02 * self.generator.standard_normal())
        waited = self.generator.uniform(0.5, 2.0) * cpu_ms if self.generator.random() < self.share else 0.0
        return Lap(cpu_ms + waited, cpu_ms + waited, cpu_ms)


@cache
def verdict_beside(ms: float, share: float, seed: int) -> str:
    taken = [
        measure_all({"net": lambda: None}, rounds=210, warmup_s=0.01, timer=SharedMachine(ms, share, 10 * seed + k))
        for k in range(3)
    ]
    return judge([rounds["net"] for rounds in taken], "p50", BUDGET_MS, draws=200).verdict


@pytest.mark.parametrize("ms", [BUDGET_MS / 1.06, BUDGET_MS * 1.06])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.9, 1.0])
def test_a_disturbed_machine_gives_unsure_or_what_the_quiet_one_gives(ms: float, share: float) -> None:
    for seed in range(5):
        disturbed = verdict_beside(ms, share, seed)
        assert disturbed in ("UNSURE", verdict_beside(ms, 0.0, seed))
        assert disturbed == "UNSURE" if share >= 0.9 else disturbed != "UNSURE"


def test_every_round_counts_where_a_gpu_replays_a_graph_and_none_where_the_work_cannot_be_seen() -> None:
    def elsewhere(run: object, calls: int) -> Lap:
        return Lap(2.0 * calls, 2.0 * calls, 0.01)

    plain = measure_all({"net": lambda: None}, rounds=5, warmup_s=0.01, timer=elsewhere)
    graph = measure_all({"net": lambda: None}, rounds=5, warmup_s=0.01, timer=elsewhere, host=Host(is_waiting=False))
    assert plain["net"].undisturbed == (False,) * 5
    assert graph["net"].undisturbed == (True,) * 5
