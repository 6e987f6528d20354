"""A training whose losses are read at marks alone, as on CUDA, decides as one that reads every loss."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from archdsl.data.loading import Data
from archdsl.training.deadline import Deadline
from archdsl.training.execution import Execution, execution_on
from archdsl.training.recipe import Fidelity, train
from tests.support import small_trainings
from tests.support.small_trainings import BRIEF, Breaks, small_net

one_thread = pytest.fixture(autouse=True, scope="module")(small_trainings.one_thread)
data = pytest.fixture(scope="module")(small_trainings.tiny_data)

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


class Reads(TorchFunctionMode):
    """How many numbers the host reads at a time of tensors that a training computes, until it validates."""

    HOST = (Tensor.tolist, Tensor.item, Tensor.numpy, Tensor.cpu, Tensor.__float__, Tensor.__bool__, Tensor.__int__)

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[int] = []

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        if function in self.HOST and arguments[0].is_floating_point():
            self.losses.append(arguments[0].numel())
        return function(*arguments, **(named or {}))


def test_the_host_waits_for_a_loss_at_marks_alone(data: Data) -> None:
    shown: list[float] = []
    with Reads() as reads:
        train(
            small_net(data),
            data,
            Fidelity(8, 120, 16),
            seed=0,
            execution=AT_MARKS,
            progress=lambda step, steps, loss: shown.append(loss),
        )
    assert reads.losses == [3] * 20
    assert len(shown) == 60
    assert all(math.isnan(loss) for loss in shown[:2])
    assert len(set(shown[2:])) == 20


@pytest.mark.parametrize("after", [0, 3, 7])
def test_a_loss_that_is_not_finite_ends_the_training_at_the_next_mark(data: Data, after: int) -> None:
    model = Breaks(after)
    outcome = train(model, data, Fidelity(8, 120, 16), seed=0, execution=AT_MARKS)
    assert (outcome.finite, outcome.finished, outcome.steps) == (False, False, after + 1)
    assert model.calls == 3 * math.ceil((after + 1) / 3)


def test_a_deadline_is_kept_between_marks(data: Data) -> None:
    moments = iter(range(1000))
    deadline = Deadline(5.0, now=lambda: float(next(moments)))
    outcome = train(small_net(data), data, Fidelity(8, 120, 16), seed=0, deadline=deadline, execution=AT_MARKS)
    assert (outcome.steps, outcome.finished, outcome.finite) == (6, False, True)
    assert len(outcome.running) == 2


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
