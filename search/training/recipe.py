"""Short training: the accuracy that a net reaches within a small, named budget, as a proxy for what it could reach.

One recipe for every net, tuned once on small hierarchical nets at 64 px and then left alone: what is compared is nets.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from archdsl.errors import SearchError
from archdsl.search.data.loading import Data
from archdsl.search.training.running import Running

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

LR = 1.5e-3
"""AdamW's peak rate at a batch of 32; it follows the square root of the batch, so 1.1e-3 at the default of 16."""
RECIPE = 2
"""To be raised with every change of the recipe: stored accuracies are named by it."""

Progress = Callable[[int, int, float], None]
"""Called after every step with the step, the steps in all and the step's loss."""


class Fidelity(NamedTuple):
    """The budget that a proxy accuracy is named by."""

    epochs: float
    images: int
    batch: int = 16

    @property
    def steps(self) -> int:
        """Optimiser steps; each reads a full batch."""
        return max(1, round(self.epochs * self.images / self.batch))

    def __str__(self) -> str:
        return f"{self.epochs:g} epoch{'s' * (self.epochs != 1)} of {self.images:,} images"


class Outcome(NamedTuple):
    """What a short training gave."""

    accuracy: float
    """Share of the validation images named rightly, 0 to 1; 0 unless `finished`."""
    error: float
    """Standard error of the accuracy, from the number of validation images; it does not cover the seed."""
    loss: float
    """Mean training loss over the last epoch, or over all steps if they are fewer, label smoothing included."""
    running: tuple[float, ...]
    """The running training loss after each twentieth of the steps that was reached (`running.py`)."""
    held_out: float | None
    """As `accuracy`, of the images that no choice may depend on; None where there are none."""
    seconds: float
    steps: int
    finite: bool
    """False where a loss or a logit was not a finite number."""
    finished: bool
    """False where the deadline, a loss that is not finite or a running loss over its limit ended it."""
    halted: int | None
    """The mark at which the running loss was over its limit."""


def train(
    model: nn.Module,
    data: Data,
    fidelity: Fidelity,
    *,
    seed: int,
    device: str = "cpu",
    lr: float = LR,
    bf16: bool = False,
    deadline: float | None = None,
    progress: Progress | None = None,
    limits: Mapping[int, float] | None = None,
) -> Outcome:
    """Train a freshly built model for the fidelity's steps and validate it once; the model is left trained.

    The seed orders images, shifts and dropout; initial weights are the caller's. `deadline` is a moment of
    `time.monotonic()`. `bf16` is autocast. `limits` are running losses, by mark, above which the training ends.

    Raises:
        SearchError: the data holds fewer images than the fidelity names.
    """
    import torch

    if not 1 <= fidelity.images <= len(data.train_labels):
        have = len(data.train_labels)
        raise SearchError(f"a fidelity must name 1 to {have:,} images, as {data.name} has; got {fidelity.images:,}")
    start = time.monotonic()
    where = torch.device(device)
    model, data = model.to(where), data.to(device)
    with torch.random.fork_rng([where] if where.type == "cuda" else [], device_type=where.type):
        torch.manual_seed(seed)
        running, losses = Running(fidelity.steps, limits), list[float]()
        for loss in _steps(model, data, fidelity, lr, bf16, deadline, progress):
            losses.append(loss)
            if not running.add(loss):
                break
    finite = all(math.isfinite(loss) for loss in losses)
    finished = finite and len(losses) == fidelity.steps and running.halted is None
    sane, accuracy, held_out = True, 0.0, None
    if finished:
        right, sane = _validate(model, data, data.val_images, data.val_labels, fidelity.batch, bf16)
        accuracy = right / len(data.val_labels)
        if len(data.held_labels):
            right, also = _validate(model, data, data.held_images, data.held_labels, fidelity.batch, bf16)
            held_out, sane = right / len(data.held_labels), sane and also
    return Outcome(
        accuracy=accuracy,
        error=math.sqrt(accuracy * (1 - accuracy) / len(data.val_labels)),
        loss=_mean_of_last(losses, math.ceil(fidelity.images / fidelity.batch)),
        running=tuple(running.marks),
        held_out=held_out,
        seconds=time.monotonic() - start,
        steps=len(losses),
        finite=finite and sane,
        finished=finished and sane,
        halted=running.halted,
    )


def _steps(
    model: nn.Module,
    data: Data,
    fidelity: Fidelity,
    lr: float,
    bf16: bool,
    deadline: float | None,
    progress: Progress | None,
) -> Iterator[float]:
    """The loss of every step, until the last step, the deadline, or a loss that is not finite."""
    import torch
    from torch.nn.functional import cross_entropy

    optimizer = _optimizer(model, lr * math.sqrt(fidelity.batch / 32))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / fidelity.steps))
    device = data.train_labels.device
    batches = _batches(fidelity)
    model.train()
    for step in range(1, fidelity.steps + 1):
        if deadline is not None and time.monotonic() > deadline:
            return
        rows = next(batches).to(device)
        images = data.normalise(_augmented(data.train_images[rows], data.flips))
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            given = model(images)
        logits = given[0] if isinstance(given, tuple) else given  # a head that labels tokens gives those beside them
        loss = cross_entropy(logits.float(), data.train_labels[rows], label_smoothing=0.1)
        value = float(loss.detach())
        yield value
        if not math.isfinite(value):
            return
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if progress:
            progress(step, fidelity.steps, value)


def _optimizer(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """AdamW; what has one dimension or none (biases, norms, scales) does not decay."""
    import torch

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": 0.05},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, fused=True)


def _rate(done: float) -> float:
    """Share of the peak rate: a rise over the first tenth of the steps, then half a cosine down to nothing."""
    warm = 0.1
    if done < warm:
        return 0.05 + 0.95 * done / warm
    return 0.5 + 0.5 * math.cos(math.pi * (done - warm) / (1 - warm))


def _batches(fidelity: Fidelity) -> Iterator[Tensor]:
    """Row numbers of one batch after another, each full; every image is read once before any is read again."""
    import torch

    queue = torch.empty(0, dtype=torch.long)
    while True:
        while len(queue) < fidelity.batch:
            queue = torch.cat((queue, torch.randperm(fidelity.images)))
        yield queue[: fidelity.batch]
        queue = queue[fidelity.batch :]


def _augmented(images: Tensor, flips: bool) -> Tensor:
    """Shifted by up to a sixteenth of the side, the border repeated, and flipped both ways if that is harmless."""
    import torch

    B, _, H, W = images.shape
    places = []
    for side in (H, W):
        reach = side // 16
        place = torch.arange(side) + torch.randint(-reach, reach + 1, (B, 1))
        if flips:
            place = torch.where(torch.rand(B, 1) < 0.5, place.flip(1), place)
        places.append(place.clamp(0, side - 1).to(images.device))
    rows, columns = places
    first = torch.arange(B, device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[first, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def _validate(
    model: nn.Module, data: Data, pictures: Tensor, named: Tensor, batch: int, bf16: bool
) -> tuple[int, bool]:
    """How many images are named rightly, and whether all logits are finite."""
    import torch

    right, sane = 0, True
    model.eval()
    with torch.inference_mode():
        for images, labels in zip(torch.split(pictures, 2 * batch), torch.split(named, 2 * batch), strict=True):
            with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
                logits = model(data.normalise(images))
            sane = sane and bool(logits.isfinite().all())
            right += int((logits.argmax(1) == labels).sum())
    return (right, True) if sane else (0, False)


def _mean_of_last(losses: list[float], count: int) -> float:
    last = losses[-count:]
    return sum(last) / len(last) if last else math.nan
