"""How often a latency is read: what disturbs a measurement only slows it down, so the fastest reading counts."""

from __future__ import annotations

from typing import Any

import pytest
from searching import settings

from archdsl import load_spec
from archdsl.search.ladder import rungs
from archdsl.search.ladder.rungs import measure
from archdsl.search.results.clock import Clock

GATE_MS, NEAR = 5.0, 1.5


class Reader:
    """A worker whose readings are given; the last one stays."""

    def __init__(self, *readings: float, unstable: bool = False) -> None:
        self.readings, self.unstable, self.taken = list(readings), unstable, 0

    def ask(self, request: Any, timeout_s: float, progress: Any = None) -> dict[str, Any]:
        ms = self.readings[min(self.taken, len(self.readings) - 1)]
        self.taken += 1
        stats = {f"{stat}_ms": ms for stat in ("min", "p10", "p50", "p90")}
        return {"latency": {**stats, "unstable": self.unstable, "samples_ms": [ms], "provenance": {}}}

    def stop(self) -> None:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rungs, "PAUSE_S", 0.0)


def read(reader: Reader, *goal: float) -> list[float]:
    own = settings()
    latency = measure(reader, load_spec("lit_ti"), own, Clock(own), *goal)
    assert latency.ms == min(latency.facts["readings"])
    readings: list[float] = latency.facts["readings"]
    return readings


def test_a_steady_reading_without_a_goal_is_enough_and_an_unsteady_one_is_taken_three_times() -> None:
    assert read(Reader(7.0, 6.0)) == [7.0]
    assert read(Reader(7.0, 6.0, 8.0, 5.0, unstable=True)) == [7.0, 6.0, 8.0]


def test_a_goal_is_read_for_until_it_is_kept_or_eight_times() -> None:
    assert read(Reader(7.0, 6.0, 4.0), GATE_MS) == [7.0, 6.0, 4.0]
    assert read(Reader(7.0), GATE_MS) == [7.0] * 8


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([4.9, 4.0], [4.9]),
        ([5.1, 4.9], [5.1, 4.9]),
        ([7.4, 7.0, 6.0, 4.0], [7.4, 7.0, 6.0]),
        ([7.5, 4.0], [7.5]),
        ([20.0, 4.0], [20.0]),
    ],
)
def test_only_what_misses_the_gate_by_little_is_read_again(readings: list[float], expected: list[float]) -> None:
    assert read(Reader(*readings), GATE_MS, NEAR) == expected


def test_what_is_far_over_the_gate_is_not_read_again_however_unsteady() -> None:
    assert read(Reader(20.0, unstable=True), GATE_MS, NEAR) == [20.0]
    assert read(Reader(4.0, unstable=True), GATE_MS, NEAR) == [4.0] * 3
