"""Short training: the accuracy that a net reaches within a small, named budget, as a proxy for what it could reach.

One recipe for every net, tuned once on small hierarchical nets at 64 px and then left alone: what is compared is nets.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from archdsl.data.loading import Data
from archdsl.errors import SearchError
from archdsl.training.accuracy import Evaluation, evaluate
from archdsl.training.deadline import EVALUATION, Deadline, Schedule, in_time
from archdsl.training.execution import Execution, execution_on
from archdsl.training.fidelity import Fidelity as Fidelity
from archdsl.training.loop import Batch, Progress, Span, Update, run_steps
from archdsl.training.running_loss import Running, ends_of_marks

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

LR = 1.5e-3
"""AdamW's peak rate at a batch of 32; it follows the square root of the batch, so 1.1e-3 at the default of 16."""
RECIPE = 2
"""To be raised with every change of the recipe: stored accuracies are named by it."""


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
    """As `accuracy`, of the images that nothing was chosen by; None where there are none."""
    validation: Evaluation | None
    """Which validation images are named rightly, by the float32 network; None unless `finished`."""
    held: Evaluation | None
    """As `validation`, of the images held out; None where there are none."""
    seconds: float
    steps: int
    finite: bool
    """False where a loss or a logit was not a finite number."""
    finished: bool
    """False where the deadline, a loss that is not finite or a running loss over its limit ended it. What was shortened
    to end by its deadline is finished, after fewer steps than the fidelity has.
    """
    halted: int | None
    """The mark at which the running loss was over its limit."""
    autocast: str | None
    """The dtype that training was cast to."""

    @property
    def by_set(self) -> dict[str, Evaluation | None]:
        """What is named rightly, by the set of images."""
        return {"validation": self.validation, "held": self.held}


def train(
    model: nn.Module,
    data: Data,
    fidelity: Fidelity,
    *,
    seed: int,
    device: str = "cpu",
    lr: float = LR,
    execution: Execution | None = None,
    deadline: Deadline | None = None,
    progress: Progress | None = None,
    limits: Mapping[int, float] | None = None,
) -> Outcome:
    """Train a freshly built model for the fidelity's steps and validate it once; the model is left trained.

    The seed orders images, shifts and dropout; initial weights are the caller's. `execution` is the device's where it
    is not given. By `deadline` it ends with its evaluation, if need be after fewer steps. `limits` are running losses,
    by mark, above which the training ends. The accuracies are those of the float32 network, whatever it was trained in.

    Raises:
        SearchError: the data holds fewer images than the fidelity names.
    """
    import torch

    if not 1 <= fidelity.images <= len(data.train_labels):
        have = len(data.train_labels)
        raise SearchError(f"a fidelity must name 1 to {have:,} images, as {data.name} has; got {fidelity.images:,}")
    start = time.monotonic()
    where = torch.device(device)
    execution = execution or execution_on(device)
    model, data = model.to(where), data.to(device)
    with torch.random.fork_rng([where] if where.type == "cuda" else [], device_type=where.type):
        torch.manual_seed(seed)
        running, losses = Running(fidelity.steps, limits), list[float]()
        for some in _steps(model, data, fidelity, lr, execution, deadline, progress):
            losses += some
            if not all(running.add(loss) for loss in some):
                break
    finite = all(math.isfinite(loss) for loss in losses)
    enough = fidelity.steps if deadline is None else deadline.enough(fidelity.steps)
    finished = finite and len(losses) >= enough and running.halted is None
    validation = held = None
    if finished:
        batch = 2 * fidelity.batch
        validation = evaluate(model, data.normalise, data.val_images, data.val_labels, data.class_names, batch)
        finite = validation is not None
        if finite and len(data.held_labels):
            held = evaluate(model, data.normalise, data.held_images, data.held_labels, data.class_names, batch)
            finite = held is not None
    if not finite:
        validation = held = None
    return Outcome(
        accuracy=validation.accuracy if validation else 0.0,
        error=validation.error if validation else 0.0,
        loss=_mean_of_last(losses, math.ceil(fidelity.images / fidelity.batch)),
        running=tuple(running.marks),
        held_out=held.accuracy if held else None,
        validation=validation,
        held=held,
        seconds=time.monotonic() - start,
        steps=len(losses),
        finite=finite,
        finished=finished and finite,
        halted=running.halted,
        autocast="bfloat16" if execution.bf16 else None,
    )


def _steps(
    model: nn.Module,
    data: Data,
    fidelity: Fidelity,
    lr: float,
    execution: Execution,
    deadline: Deadline | None,
    progress: Progress | None,
) -> Iterator[list[float]]:
    """The losses of the steps since the last reading (`run_steps`)."""
    import torch

    optimizer = adamw(model, lr * math.sqrt(fidelity.batch / 32))
    judged = len(data.val_labels) + len(data.held_labels)
    schedule = Schedule(fidelity.steps, deadline, after=EVALUATION * judged / fidelity.batch)
    update = Update(optimizer, lambda done, peak: peak * rate_at(schedule.share), clip=1.0)
    span = Span(1, fidelity.steps, fidelity.steps, frozenset(ends_of_marks(fidelity.steps)))
    model.train()
    autocast = torch.bfloat16 if execution.bf16 else None
    batches = in_time(_batches(data, fidelity), schedule)
    return run_steps(model, batches, update, _loss, span, execution, autocast, progress)


def _loss(logits: Tensor, batch: Batch) -> Tensor:
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits, batch.targets, label_smoothing=0.1)


def _batches(data: Data, fidelity: Fidelity) -> Iterator[Batch]:
    """One full batch after another, shifted and flipped anew each time."""
    device = data.train_labels.device
    for numbers in _rows(fidelity):
        rows = _on(device, numbers)
        images = data.normalise(_augmented(data.train_images[rows], data.flips))
        yield Batch(images, data.train_labels[rows])


def _on(device: torch.device, tensor: Tensor) -> Tensor:
    """A tensor of the host on a device; on CUDA from pinned memory, so that the host does not wait for the device."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def adamw(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """AdamW; what has one dimension or none (biases, norms, scales) does not decay."""
    import torch

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": 0.05},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, fused=True)


def rate_at(done: float) -> float:
    """Share of the peak rate: a rise over the first tenth of the steps, then half a cosine down to nothing."""
    warm = 0.1
    if done < warm:
        return 0.05 + 0.95 * done / warm
    return 0.5 + 0.5 * math.cos(math.pi * (done - warm) / (1 - warm))


def _rows(fidelity: Fidelity) -> Iterator[Tensor]:
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
        places.append(_on(images.device, place.clamp(0, side - 1)))
    rows, columns = places
    first = torch.arange(B, device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[first, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def _mean_of_last(losses: list[float], count: int) -> float:
    last = losses[-count:]
    return sum(last) / len(last) if last else math.nan
