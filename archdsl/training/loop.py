"""The training loop: a search's short training and `archdsl train` differ in what they hand to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from archdsl.training.execution import Execution

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from archdsl.training.averaging import WeightAverage

Progress = Callable[[int, int, float], None]
"""Called after every step with the step, the steps in all and the loss that was read last, nan before the first."""


class Batch(NamedTuple):
    """What a step reads, on the device of the model."""

    images: Tensor
    """(B, C, H, W), normalised."""
    targets: Tensor
    """(B,) numbers of classes, or (B, classes) shares of mixed images."""


Outputs = Callable[["Tensor", Batch], "Tensor"]
"""The loss, from the logits (B, classes) in float32 and the batch."""


@dataclass(frozen=True)
class Update:
    """How a step changes the weights."""

    optimizer: torch.optim.Optimizer
    rate: Callable[[int, float], float]
    """The learning rate of a group, from the number of finished steps and the group's own peak rate."""
    clip: float | None
    """The largest norm of all gradients together; None: gradients are not clipped."""
    scaler: torch.amp.GradScaler | None = None
    """Of losses in float16, whose small gradients would be 0."""
    average: WeightAverage | None = None
    peaks: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Each group's peak rate is the one that it has now."""
        self.peaks.extend(group["lr"] for group in self.optimizer.param_groups)

    def apply(self, model: nn.Module, loss: Tensor, done: int) -> None:
        """One step down the gradient of a loss, after `done` steps."""
        import torch

        optimizer, scaler = self.optimizer, self.scaler
        for group, peak in zip(optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = self.rate(done, peak)
        optimizer.zero_grad(set_to_none=True)
        (loss if scaler is None else scaler.scale(loss)).backward()
        if self.clip is not None:
            if scaler is not None:
                scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.clip)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        if self.average is not None:
            self.average.update(model)


class Span(NamedTuple):
    """The steps of a call: those from `first` up to `last`, counted from 1."""

    first: int
    last: int
    steps: int
    """Of the whole training."""
    marks: frozenset[int] = frozenset()
    """Steps after which losses are read, where they are not read after each."""


def run_steps(
    model: nn.Module,
    batches: Iterator[Batch],
    update: Update,
    loss_of: Outputs,
    span: Span,
    execution: Execution,
    autocast: torch.dtype | None,
    progress: Progress | None = None,
) -> Iterator[list[float]]:
    """The losses of the steps since the last reading, until the last step or batch, or a loss that is not finite.

    The model is in the mode that it was handed over in. A step whose loss is read and is not finite changes no weight.
    """
    import torch

    unread: list[Tensor] = []
    value = math.nan
    for step in range(span.first, span.last + 1):
        batch = next(batches, None)
        if batch is None:
            yield _read(unread)
            return
        kind = batch.images.device.type
        with torch.autocast(kind, autocast or torch.bfloat16, enabled=autocast is not None):
            outputs = model(batch.images)
        # a head that labels tokens returns their labels beside the logits
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        loss = loss_of(logits.float(), batch)
        unread.append(loss.detach())
        if execution.reads_every_step or step in span.marks:
            values, unread = _read(unread), []
            yield values
            value = values[-1]
            if not math.isfinite(value):
                return
        update.apply(model, loss, step - 1)
        if progress:
            progress(step, span.steps, value)


def _read(losses: list[Tensor]) -> list[float]:
    """The values of losses on their device, which the host waits for; they end with the first that is not finite."""
    import torch

    values: list[float] = torch.stack(losses).tolist() if losses else []
    finite = next((place for place, value in enumerate(values, 1) if not math.isfinite(value)), len(values))
    return values[:finite]
