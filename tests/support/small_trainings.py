"""Small networks and a short training, for tests of the training loop."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from archdsl.data.loading import Data, load
from archdsl.training.recipe import Fidelity
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


BRIEF = Fidelity(epochs=2, images=120, batch=24)


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


def running(losses: list[float], steps: int) -> list[float]:
    average = Running(steps)
    assert all(average.add(loss) for loss in losses)
    return average.marks


def one_thread() -> Iterator[None]:
    """As a fixture: two threads of a small net wait for each other, many times longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny_data() -> Data:
    return load("shapetex", 16, seed=0, train=120, validation=60)
