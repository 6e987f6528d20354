"""Short training: it is reproducible, it learns, it ends when told to, and it tells when something is off."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archdsl.data.loading import Data, load
from archdsl.errors import SearchError
from archdsl.training import recipe
from archdsl.training.execution import Execution, execution_on
from archdsl.training.recipe import Fidelity, Outcome, train
from archdsl.training.running_loss import Running


def small_net(data: Data, seed: int = 0) -> nn.Module:
    """Convolutions with a merge, as a known-good net: it sees 22 of 32 pixels."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(data.channels, 24, 4, 2, 1),
        nn.BatchNorm2d(24),
        nn.GELU(),
        nn.Conv2d(24, 48, 4, 2, 1),
        nn.BatchNorm2d(48),
        nn.GELU(),
        nn.Conv2d(48, 48, 3, 1, 1),
        nn.BatchNorm2d(48),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(48, data.classes),
    )


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two threads of a small net wait for each other, for many times its arithmetic where the cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data() -> Data:
    return load("shapetex", 16, seed=0, train=120, validation=60)


BRIEF = Fidelity(epochs=2, images=120, batch=24)


def figures(outcome: Outcome) -> tuple[float, float, int]:
    return outcome.accuracy, outcome.loss, outcome.steps


def test_a_fidelity_is_named_by_its_budget() -> None:
    assert str(Fidelity(2, 2000)) == "2 epochs of 2,000 images"
    assert str(Fidelity(1, 500)) == "1 epoch of 500 images"
    assert str(Fidelity(0.5, 500)) == "0.5 epochs of 500 images"
    assert Fidelity(2, 120, 24).steps == 10
    assert Fidelity(0.001, 120, 24).steps == 1


def test_the_same_seed_gives_the_same_figures(data: Data) -> None:
    one, again, other = (train(small_net(data), data, BRIEF, seed=seed) for seed in (0, 0, 1))
    assert figures(one) == figures(again)
    assert one.loss != other.loss


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


def running(losses: list[float], steps: int) -> list[float]:
    average = Running(steps)
    assert all(average.add(loss) for loss in losses)
    return average.marks


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


class Breaks(nn.Module):
    """Gives NaN from a call on."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.weight = nn.Linear(3 * 16 * 16, 20)
        self.after, self.calls = after, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        logits: Tensor = self.weight(x.flatten(1))
        return logits * float("nan") if self.calls > self.after else logits


@pytest.mark.parametrize("after", [0, 3])
def test_a_loss_that_is_not_finite_ends_the_training_at_once(data: Data, after: int) -> None:
    outcome = train(Breaks(after), data, BRIEF, seed=0)
    assert (outcome.finite, outcome.finished, outcome.accuracy, outcome.steps) == (False, False, 0, after + 1)


def test_logits_that_are_not_finite_are_no_accuracy(data: Data) -> None:
    outcome = train(Breaks(BRIEF.steps), data, BRIEF, seed=0)
    assert (outcome.finite, outcome.finished, outcome.accuracy, outcome.steps) == (False, False, 0, 10)


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


def test_a_deadline_ends_the_training_without_an_accuracy(data: Data) -> None:
    over = train(small_net(data), data, BRIEF, seed=0, deadline=time.monotonic() - 1)
    assert (over.finite, over.finished, over.accuracy, over.steps) == (True, False, 0, 0)
    far = train(small_net(data), data, BRIEF, seed=0, deadline=time.monotonic() + 600)
    assert far.finished


@pytest.mark.parametrize("images", [0, 121])
def test_a_fidelity_of_more_images_than_there_are_is_refused(data: Data, images: int) -> None:
    message = f"a fidelity must name 1 to 120 images, as shapetex has; got {images}"
    with pytest.raises(SearchError, match=message):
        train(small_net(data), data, Fidelity(1, images), seed=0)


def test_autocast_trains_as_well(data: Data) -> None:
    assert train(small_net(data), data, BRIEF, seed=0, execution=Execution(True, True)).finished


def test_a_batch_larger_than_the_images_reads_them_again(data: Data) -> None:
    assert train(small_net(data), data, Fidelity(4, 20, batch=32), seed=0).finished


AT_MARKS = Execution(bf16=False, reads_every_step=False)
"""As on a GPU, but in float32."""


def test_losses_that_are_read_at_marks_give_the_same_training(data: Data) -> None:
    """Sixty steps have a mark every third; what is read late decides as what is read at once."""
    long = Fidelity(8, 120, 16)
    plain, late = (train(small_net(data), data, long, seed=0, execution=how) for how in (None, AT_MARKS))
    assert late._replace(seconds=0) == plain._replace(seconds=0)
    limits = {7: plain.running[6] - 0.01}
    plain, late = (train(small_net(data), data, long, seed=0, execution=how, limits=limits) for how in (None, AT_MARKS))
    assert (late.halted, late.steps) == (7, 21)
    assert late._replace(seconds=0) == plain._replace(seconds=0)


def test_the_host_waits_for_a_loss_at_marks_alone(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    read = recipe._read

    def counted(losses: list[Tensor]) -> list[float]:
        reads.append(len(losses))
        return read(losses)

    monkeypatch.setattr(recipe, "_read", counted)
    shown: list[float] = []
    train(
        small_net(data),
        data,
        Fidelity(8, 120, 16),
        seed=0,
        execution=AT_MARKS,
        progress=lambda step, steps, loss: shown.append(loss),
    )
    assert reads == [3] * 20
    assert len(shown) == 60
    assert all(math.isnan(loss) for loss in shown[:2])
    assert len(set(shown[2:])) == 20


@pytest.mark.parametrize("after", [0, 3, 7])
def test_a_loss_that_is_not_finite_ends_the_training_at_the_next_mark(data: Data, after: int) -> None:
    model = Breaks(after)
    outcome = train(model, data, Fidelity(8, 120, 16), seed=0, execution=AT_MARKS)
    assert (outcome.finite, outcome.finished, outcome.steps) == (False, False, after + 1)
    assert model.calls == 3 * math.ceil((after + 1) / 3)


def test_a_deadline_is_kept_between_marks(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(moments)))
    outcome = train(small_net(data), data, Fidelity(8, 120, 16), seed=0, deadline=5.0, execution=AT_MARKS)
    assert (outcome.steps, outcome.finished, outcome.finite) == (5, False, True)
    assert len(outcome.running) == 1


def test_a_network_trained_in_bfloat16_is_judged_in_float32(data: Data) -> None:
    model = small_net(data)
    outcome = train(model, data, BRIEF, seed=0, execution=Execution(bf16=True, reads_every_step=False))
    with torch.inference_mode():
        right = model(data.normalise(data.val_images)).argmax(1) == data.val_labels
    assert outcome.accuracy == int(right.sum()) / len(right)
    assert outcome.autocast == "bfloat16"
    assert train(small_net(data), data, BRIEF, seed=0).autocast is None


def test_on_cuda_losses_are_read_at_marks_and_bfloat16_is_used_where_the_gpu_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    def chosen(device: Any) -> nullcontext[None]:
        asked.append(device)
        return nullcontext()

    monkeypatch.setattr(torch.cuda, "device", chosen)
    for has in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, has=has: has)
        assert execution_on("cuda:1") == Execution(bf16=has, reads_every_step=False)
    assert asked == ["cuda:1"] * 2
    assert execution_on("cpu") == Execution(bf16=False, reads_every_step=True)


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
