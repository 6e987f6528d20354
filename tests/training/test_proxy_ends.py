"""How a short training ends: at its last step, a limit, a deadline or a loss that is not finite."""

from __future__ import annotations

import math
import time

import pytest

from archdsl.data.loading import Data
from archdsl.errors import SearchError
from archdsl.training.deadline import Deadline
from archdsl.training.recipe import Fidelity, train
from tests.support import small_trainings
from tests.support.small_trainings import BRIEF, Breaks, running, small_net

one_thread = pytest.fixture(autouse=True, scope="module")(small_trainings.one_thread)
data = pytest.fixture(scope="module")(small_trainings.tiny_data)


def test_the_running_loss_weighs_the_last_tenth_of_the_steps_most() -> None:
    assert running([5.0] * 40, 40) == pytest.approx([5.0] * 20)
    fell = running([5.0] * 20 + [1.0] * 20, 40)
    assert fell[9] == pytest.approx(5.0)  # half of the steps
    assert fell[10] == pytest.approx(1 + 4 * math.exp(-2 / 4), abs=0.02)
    assert 1.0 < fell[-1] < 1.1


def test_the_running_loss_is_told_as_far_as_the_training_came() -> None:
    assert len(running([1.0] * 7, 20)) == 7
    assert len(running([1.0] * 3, 3)) == 20
    assert running([], 20) == []


def test_a_training_is_broken_off_where_its_running_loss_is_over_a_limit(data: Data) -> None:
    free = train(small_net(data), data, BRIEF, seed=0)
    tight = {4: free.running[3] + 0.01, 10: free.running[9] - 0.01}
    outcome = train(small_net(data), data, BRIEF, seed=0, limits=tight)
    assert (outcome.halted, outcome.steps, outcome.finished, outcome.finite) == (10, 5, False, True)
    assert (outcome.accuracy, outcome.held_out) == (0, None)
    assert outcome.running == free.running[:10]
    loose = {mark: limit + 1 for mark, limit in tight.items()}
    again = train(small_net(data), data, BRIEF, seed=0, limits=loose)
    assert (again.halted, again.accuracy) == (None, free.accuracy)


@pytest.mark.parametrize("after", [0, 3])
def test_a_loss_that_is_not_finite_ends_the_training_at_once(data: Data, after: int) -> None:
    outcome = train(Breaks(after), data, BRIEF, seed=0)
    assert (outcome.finite, outcome.finished, outcome.accuracy, outcome.steps) == (False, False, 0, after + 1)


def test_logits_that_are_not_finite_are_no_accuracy(data: Data) -> None:
    outcome = train(Breaks(BRIEF.steps), data, BRIEF, seed=0)
    assert (outcome.finite, outcome.finished, outcome.accuracy, outcome.steps) == (False, False, 0, 10)


def test_a_deadline_ends_the_training_without_an_accuracy(data: Data) -> None:
    over = train(small_net(data), data, BRIEF, seed=0, deadline=Deadline(time.monotonic() - 1))
    assert (over.finite, over.finished, over.accuracy, over.steps) == (True, False, 0, 0)
    far = train(small_net(data), data, BRIEF, seed=0, deadline=Deadline(time.monotonic() + 600))
    assert far.finished


@pytest.mark.parametrize("images", [0, 121])
def test_a_fidelity_of_more_images_than_there_are_is_refused(data: Data, images: int) -> None:
    message = f"a fidelity must name 1 to 120 images, as shapetex has; got {images}"
    with pytest.raises(SearchError, match=message):
        train(small_net(data), data, Fidelity(1, images), seed=0)
