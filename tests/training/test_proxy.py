"""Short training: it is reproducible, it learns, it ends when told to, and it tells when something is off."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archdsl.data.loading import Data, load
from archdsl.training.execution import Execution
from archdsl.training.recipe import Fidelity, Outcome, train
from tests.support import small_trainings
from tests.support.small_trainings import BRIEF, Breaks, running, small_net

one_thread = pytest.fixture(autouse=True, scope="module")(small_trainings.one_thread)
data = pytest.fixture(scope="module")(small_trainings.tiny_data)


def figures(outcome: Outcome) -> tuple[float, float, int]:
    return outcome.accuracy, outcome.loss, outcome.steps


def test_a_fidelity_is_named_by_its_budget() -> None:
    assert str(Fidelity(2, 2000)) == "2 epochs of 2,000 images"
    assert str(Fidelity(1, 500)) == "1 epoch of 500 images"
    assert str(Fidelity(0.5, 500)) == "0.5 epochs of 500 images"
    assert Fidelity(2, 120, 24).steps == 10
    assert Fidelity(0.001, 120, 24).steps == 1


def test_the_same_seed_gives_the_same_figures(data: Data) -> None:
    first, again, other = (train(small_net(data), data, BRIEF, seed=seed) for seed in (0, 0, 1))
    assert figures(first) == figures(again)
    assert first.loss != other.loss


def test_training_leaves_the_callers_random_state_alone(data: Data) -> None:
    model = small_net(data)
    state = torch.random.get_rng_state()
    train(model, data, BRIEF, seed=5)
    assert torch.equal(state, torch.random.get_rng_state())


def test_an_outcome_holds_its_own_figures(data: Data) -> None:
    outcome = train(small_net(data), data, BRIEF, seed=0)
    assert (outcome.steps, outcome.finite, outcome.finished) == (10, True, True)
    assert 0 <= outcome.accuracy <= 1
    assert outcome.error == pytest.approx((outcome.accuracy * (1 - outcome.accuracy) / 60) ** 0.5)
    assert outcome.seconds > 0


def test_an_outcome_tells_its_running_loss_and_its_accuracy_on_what_is_held_out(data: Data) -> None:
    losses: list[float] = []
    outcome = train(small_net(data), data, BRIEF, seed=0, progress=lambda step, steps, loss: losses.append(loss))
    assert outcome.running == tuple(running(losses, 10))
    assert outcome.held_out is not None
    assert (outcome.held_out * len(data.held_labels)) == pytest.approx(round(outcome.held_out * 60))
    bare = dataclasses.replace(data, held_images=data.held_images[:0], held_labels=data.held_labels[:0])
    again = train(small_net(bare), bare, BRIEF, seed=0)
    assert (again.held_out, again.accuracy) == (None, outcome.accuracy)


def test_the_loss_falls_on_a_tiny_problem() -> None:
    digits = load("digits", 16, seed=0, train=600, validation=300)
    losses: list[float] = []
    outcome = train(
        small_net(digits), digits, Fidelity(4, 600), seed=0, progress=lambda step, steps, loss: losses.append(loss)
    )
    assert len(losses) == outcome.steps == 150
    assert outcome.loss < 0.6 * losses[0]
    assert outcome.accuracy > 0.7
    assert outcome.loss == pytest.approx(sum(losses[-38:]) / 38)


def test_a_known_good_net_reaches_its_band_on_shapetex() -> None:
    """Too easy or too hard, the data would rank nothing: after a short training, far above chance and below 1."""
    shapetex = load("shapetex", 32, seed=0, train=1200, validation=600)
    model = small_net(shapetex)
    outcome = train(model, shapetex, Fidelity(4, 1200), seed=0)
    with torch.inference_mode():
        named = model(shapetex.normalise(shapetex.val_images)).argmax(1)
    texture = float((named % 4 == shapetex.val_labels % 4).float().mean())
    assert 0.15 < outcome.accuracy < 0.7
    assert texture > 0.5  # chance is .25


def test_a_net_that_sees_no_positions_stays_behind() -> None:
    """Mean colours name no class: what a net can learn of shapetex, it learns from figures."""
    shapetex = load("shapetex", 32, seed=0, train=1200, validation=600)
    blind = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 64), nn.GELU(), nn.Linear(64, 20))
    assert train(blind, shapetex, Fidelity(4, 1200), seed=0).accuracy < 0.12


class Labels(Breaks):
    """Gives a pair while it trains, as a head that labels tokens does."""

    def forward(self, x: Tensor) -> Any:
        logits = super().forward(x)
        return (logits, logits[:, None]) if self.training else logits


def test_of_a_pair_the_logits_are_trained(data: Data) -> None:
    torch.manual_seed(0)
    pair = train(Labels(1000), data, BRIEF, seed=0)
    torch.manual_seed(0)
    alone = train(Breaks(1000), data, BRIEF, seed=0)
    assert (pair.running, pair.accuracy) == (alone.running, alone.accuracy)
    assert pair.finished


def test_autocast_trains_as_well(data: Data) -> None:
    assert train(small_net(data), data, BRIEF, seed=0, execution=Execution(True, True)).finished


def test_a_batch_larger_than_the_images_reads_them_again(data: Data) -> None:
    assert train(small_net(data), data, Fidelity(4, 20, batch=32), seed=0).finished


def test_every_validation_image_is_looked_at_once(data: Data) -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.seen = small_net(data), 0

        def forward(self, x: Tensor) -> Any:
            self.seen += 0 if self.training else len(x)
            return self.net(x)

    model = Counts()
    train(model, data, BRIEF, seed=0)
    assert model.seen == len(data.val_labels) + len(data.held_labels)
