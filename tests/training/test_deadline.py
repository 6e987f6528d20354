"""A training that must end by a moment: its schedule is compressed so that its rate is low when the time is over."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

from archdsl.data.loading import Data
from archdsl.training.deadline import Deadline, Schedule
from archdsl.training.recipe import Fidelity, rate_at, train
from tests.support import small_trainings
from tests.support.clocks import Ticking
from tests.support.small_trainings import small_net

one_thread = pytest.fixture(autouse=True, scope="module")(small_trainings.one_thread)
data = pytest.fixture(scope="module")(small_trainings.tiny_data)

LONG = Fidelity(epochs=8, images=120, batch=24)
"""Forty steps."""


def shares(schedule: Schedule, clock: Ticking, seconds: Callable[[int], float]) -> list[float]:
    """Before each step, where step `n` takes `seconds(n)`."""
    seen = list[float]()
    while schedule.goes_on():
        seen.append(schedule.share)
        clock.moment += seconds(len(seen))
    return seen


def test_a_training_that_ends_in_time_goes_through_its_schedule_evenly() -> None:
    even = [step / 100 for step in range(100)]
    assert shares(Schedule(100), Ticking(), lambda step: 1.0) == even
    clock = Ticking()
    assert shares(Schedule(100, Deadline(101.0, 1, clock)), clock, lambda step: 1.0) == even


def test_a_training_that_would_be_late_falls_to_its_end_by_the_deadline() -> None:
    clock = Ticking()
    seen = shares(Schedule(100, Deadline(60.0, 1, clock), after=4.0), clock, lambda step: 1.0)
    assert len(seen) == 56
    assert clock.moment <= 60.0 - 4.0
    assert all(before < after for before, after in pairwise(seen))
    steps = [after - before for before, after in pairwise(seen[5:])]
    assert max(steps) < 1.1 * min(steps)  # the rate falls evenly
    assert rate_at(seen[-1]) < 0.01


def test_a_machine_that_becomes_slow_compresses_what_is_left() -> None:
    clock = Ticking()
    seen = shares(Schedule(200, Deadline(230.0, 1, clock)), clock, lambda step: 1.0 if step <= 100 else 3.0)
    assert 135 <= len(seen) <= 145
    assert clock.moment <= 230.0
    assert seen[100] == 0.5
    assert rate_at(seen[-1]) < 0.01


def test_a_machine_that_becomes_quick_again_gives_the_steps_back() -> None:
    clock = Ticking()
    seen = shares(Schedule(200, Deadline(300.0, 1, clock)), clock, lambda step: 4.0 if 20 < step <= 40 else 1.0)
    assert len(seen) == 200
    assert seen[-1] == pytest.approx(1 - 1 / 200, abs=0.005)


def test_the_first_step_does_not_count_for_the_pace() -> None:
    clock = Ticking()
    seen = shares(Schedule(100, Deadline(130.0, 1, clock)), clock, lambda step: 25.0 if step == 1 else 1.0)
    assert seen == [step / 100 for step in range(100)]


def test_without_leave_to_be_shortened_it_ends_at_the_deadline_as_it_is() -> None:
    clock = Ticking()
    seen = shares(Schedule(100, Deadline(50.0, None, clock)), clock, lambda step: 1.0)
    assert seen == [step / 100 for step in range(51)]


def test_no_step_begins_after_the_deadline() -> None:
    assert shares(Schedule(100, Deadline(-1.0, 1, Ticking())), Ticking(), lambda step: 1.0) == []


def test_a_shortened_training_is_finished_and_tells_its_steps(data: Data) -> None:
    """Each look at the clock is a second, and an evaluation of the 120 other images takes two steps."""
    clock = Ticking(tick=1.0)
    outcome = train(small_net(data), data, LONG, seed=0, deadline=Deadline(24.0, 10, clock))
    assert (outcome.finished, outcome.finite) == (True, True)
    assert 18 <= outcome.steps <= 23
    assert outcome.validation is not None
    assert LONG.after(outcome.steps).planned == LONG.epochs
    assert LONG.after(outcome.steps).steps == outcome.steps


def test_below_the_least_steps_it_is_not_finished(data: Data) -> None:
    outcome = train(small_net(data), data, LONG, seed=0, deadline=Deadline(12.0, 20, Ticking(tick=1.0)))
    assert (outcome.finished, outcome.accuracy, outcome.validation) == (False, 0, None)
    assert 0 < outcome.steps < 20


def test_a_deadline_that_is_far_changes_no_bit(data: Data) -> None:
    plain, free = small_net(data), small_net(data)
    train(plain, data, LONG, seed=0)
    outcome = train(free, data, LONG, seed=0, deadline=Deadline(1e6, 1, Ticking(tick=1.0)))
    assert outcome.steps == LONG.steps
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(plain.parameters(), free.parameters(), strict=True))
    assert LONG.after(outcome.steps) == LONG


def test_the_real_length_stands_in_its_name() -> None:
    assert str(Fidelity(12, 2000).after(1162)) == "9.3 epochs of 2,000 images (1,162 steps, shortened from 12 epochs)"
    on_cuda = str(Fidelity(12, 2000, 128).after(100))
    assert on_cuda == "6.4 epochs of 2,000 images (100 steps of 128, shortened from 12 epochs)"
