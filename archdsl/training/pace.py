"""How fast a network trains here, told from a few steps on noise: what a training of any length will take."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from archdsl.training.fidelity import BATCH

if TYPE_CHECKING:
    from archdsl.data.loading import Data
    from archdsl.language.document import Spec

STEPS = 8
_FIRST = 2
_VALIDATED = 64


class Pace(NamedTuple):
    """Seconds of a step, and of validating one image."""

    step_s: float
    image_s: float


def pace(spec: Spec, device: str, data: Data) -> Pace:
    """Train a freshly built network for some steps and validate it; the first steps, which warm up, do not count."""
    import torch

    from archdsl.compile import build
    from archdsl.training.recipe import Fidelity, train

    batch = len(data.train_labels)
    moments: list[float] = []

    def progress(*_: float) -> None:
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)  # or it would be told when the host launched a step
        moments.append(time.monotonic())

    train(build(spec), data, Fidelity(STEPS, batch, batch), seed=0, device=device, progress=progress)
    ended = time.monotonic()
    steps = [after - before for before, after in zip(moments[_FIRST:], moments[_FIRST + 1 :], strict=False)]
    return Pace(median(steps), (ended - moments[-1]) / _VALIDATED)


def noise(spec: Spec, batch: int = BATCH) -> Data:
    """As many images as a batch has, and some to validate."""
    import torch

    from archdsl.data.loading import Data

    shape = (spec.channels, *spec.image_size)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch + _VALIDATED, *shape), dtype=torch.uint8, generator=generator)
    labels = torch.arange(batch + _VALIDATED) % spec.classes
    mean, std = torch.full((shape[0], 1, 1), 127.5), torch.full((shape[0], 1, 1), 73.9)
    names = tuple(str(number) for number in range(spec.classes))
    train, val, held = ((images[rows], labels[rows]) for rows in (slice(batch), slice(batch, None), slice(0)))
    return Data("noise", *train, *val, *held, names, mean, std)
