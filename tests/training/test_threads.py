"""On how many threads a training runs where none are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from archdsl.training import threads
from archdsl.training.unfinished import State, threads_before, write_state


@pytest.fixture(autouse=True)
def threads_of_torch() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("slow", "best"), [(1, 2), (2, 1)])
def test_the_faster_of_one_and_all_cores_is_used(slow: int, best: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "physical_cores", lambda: 2)
    monkeypatch.setattr(threads, "_shortest", lambda model, images, count: 2.0 if count == slow else 1.0)
    torch.set_num_threads(2)
    assert threads.fastest_training_threads(nn.Linear(2, 2), torch.ones(1, 2)) == best == torch.get_num_threads()


def test_torch_is_never_set_to_more_than_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "physical_cores", lambda: 8)
    torch.set_num_threads(1)
    assert threads.fastest_training_threads(nn.Linear(2, 2), torch.ones(1, 2)) == 1 == torch.get_num_threads()


def test_timing_leaves_the_model_and_the_random_state_as_they_are() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state: Tensor = torch.get_rng_state()
    assert set(threads.training_threads(model, torch.randn(4, 2, generator=torch.Generator()), 2)) == {1, 2}
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_training_that_continues_has_the_threads_of_before(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    file = tmp_path / "a.unfinished"
    write_state(file, State(settings="{}"))  # type: ignore[typeddict-item]
    torch.set_num_threads(1)
    assert threads_before(file) == 2
    file.write_bytes(b"no state")
    assert threads_before(file) is None
