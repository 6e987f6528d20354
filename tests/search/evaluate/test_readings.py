"""How a candidate is read at the gate: a few rounds where it is clear, pooled ones where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from archdsl import load_spec
from archdsl.search.evaluate.measuring import Measured, measure
from archdsl.search.policy import SHIPPED
from archdsl.search.store.clock import Clock
from archdsl.search.worker.events import DeviceBusy, Measuring
from archdsl.search.worker.request import Request
from archdsl.timing.gate import decides
from archdsl.timing.rounds import Rounds
from tests.support.fake_worker import R
from tests.support.searching import settings

GATE_MS = 5.0


class Reader:
    """A worker whose readings are given, each a list of ms; `disturbed` of their first rounds do not count."""

    def __init__(self, *readings: list[float], disturbed: int = 0, waits: tuple[str, ...] = ()) -> None:
        self.readings, self.disturbed, self.waits = list(readings), disturbed, waits
        self.asked: list[Any] = []

    def ask(self, request: Request[R], timeout_s: float, progress: Any = None) -> R:
        self.asked.append(request)
        for text in self.waits:
            progress(DeviceBusy(text))
        samples = self.readings[min(len(self.asked), len(self.readings)) - 1]
        facts: Any = {"other_cores": 1.5, "cpu_share": 0.9}
        disturbed = list(range(self.disturbed))
        reading: Any = {"samples_ms": samples, "disturbed_rounds": disturbed, "provenance": facts}
        return request.reply({"latency": reading})

    def stop(self) -> None:
        raise NotImplementedError


def read(reader: Reader, gate_ms: float | None = GATE_MS, **others: Any) -> Measured:
    asked = settings(stat="p50")
    return measure(reader, load_spec("lit_ti"), asked, SHIPPED, Clock(asked, SHIPPED), gate_ms, **others)


@pytest.mark.parametrize("ms", [4.0, 5.1, 20.0])
def test_a_quiet_reading_is_not_repeated_wherever_it_lies(ms: float) -> None:
    reader = Reader([ms] * 60, [1.0] * 60)
    measured = read(reader)
    assert (measured.ms, measured.measurement.unstable, measured.measurement.reading_count) == (ms, False, 1)
    assert measured.measurement.interval_ms == (ms, ms)
    assert len(reader.asked) == 1


def test_the_worker_is_told_the_gate_and_the_statistic() -> None:
    reader = Reader([4.0] * 60)
    read(reader)
    assert (reader.asked[0].gate_ms, reader.asked[0].stat, reader.asked[0].weights) == (GATE_MS, "p50", None)


def test_a_disturbed_reading_is_followed_by_one_more_and_both_are_pooled() -> None:
    reader = Reader([8.0] * 60, [4.0] * 60, [1.0] * 60, disturbed=50)
    measured = read(reader)
    assert len(reader.asked) == 2
    assert measured.ms == 6.0
    assert measured.measurement.unstable
    assert (measured.measurement.rounds, measured.measurement.undisturbed) == (120, 20)


def test_disturbed_rounds_do_not_count() -> None:
    measured = read(Reader([50.0] * 20 + [4.0] * 40, disturbed=20))
    assert (measured.ms, measured.measurement.unstable) == (4.0, False)
    assert (measured.measurement.p90_ms, measured.measurement.undisturbed) == (4.0, 40)


def test_where_every_round_was_disturbed_the_statistic_is_over_all_and_says_so() -> None:
    measured = read(Reader([4.0] * 60, disturbed=60))
    assert (measured.ms, measured.measurement.unstable, measured.measurement.interval_ms) == (4.0, True, None)


def test_waiting_for_the_device_is_told_and_is_not_search_time() -> None:
    heard: list[str] = []
    now = [0.0]

    class Waits(Reader):
        def ask(self, request: Request[R], timeout_s: float, progress: Any = None) -> R:
            progress(DeviceBusy("waiting for process 7"))
            now[0] += 40
            progress(Measuring())
            now[0] += 2
            return super().ask(request, timeout_s, progress)

    asked = settings(time_s=30.0, trials=None)
    clock = Clock(asked, SHIPPED, now=lambda: now[0])
    measure(Waits([4.0] * 60), load_spec("lit_ti"), asked, SHIPPED, clock, GATE_MS, heard.append)
    assert heard == ["waiting for process 7"]
    assert (clock.waited, clock.elapsed, clock.left) == (40.0, 2.0, 28.0)


def quiet(*ms: float) -> Rounds:
    return Rounds(ms, (True,) * len(ms))


@pytest.mark.parametrize(
    ("rounds", "clear"),
    [
        (quiet(9.0, 8.0, 9.0), True),
        (quiet(9.0, 8.0), False),
        (quiet(9.0, 7.0, 9.0), False),
        (quiet(*[5.8, 5.7] * 10), True),
        (quiet(*[5.3, 5.2] * 10), False),
        (quiet(*[5.3, 5.2] * 20), True),
        (quiet(*[4.8, 4.7] * 10), False),
        (quiet(*[4.8, 4.7] * 20), True),
        (quiet(*np.random.default_rng(0).normal(5.0, 0.5, 200)), False),
        (Rounds((9.0,) * 30, (False,) * 30), False),
    ],
    ids=[
        "far-over",
        "too-few",
        "one-not-far",
        "clearly-over",
        "a-little-over",
        "surely-over",
        "inside-few",
        "inside",
        "around",
        "disturbed",
    ],
)
def test_the_gate_decides_as_soon_as_the_rounds_are_clear(rounds: Rounds, clear: bool) -> None:
    assert decides(rounds, "p50", GATE_MS) is clear
