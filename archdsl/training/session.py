"""One training from its first step to its last, or from where an earlier process left it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archdsl.data.image_sets import ImageSets, Pictures
from archdsl.errors import TrainingError
from archdsl.files import write_text
from archdsl.json_types import JsonObject
from archdsl.training.accuracy import Evaluation, evaluate_batches
from archdsl.training.batches import (
    Course,
    Mixing,
    TrainingPictures,
    evaluation_batches,
    training_batches,
)
from archdsl.training.beginning import to_training_mode
from archdsl.training.course import Clock
from archdsl.training.distillation import Loss
from archdsl.training.execution import Execution
from archdsl.training.loop import Batch, Span, Update, run_steps
from archdsl.training.normalising import Normalise
from archdsl.training.processes import Processes, mean_over, shared_gradients, told_by_first, wait_for_all
from archdsl.training.unfinished import State, log_file, log_lines, read_state, state_file, write_state

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.utils.tensorboard import SummaryWriter

    from archdsl.compile import Backbone

_SAVED_EVERY_S = 60.0
_READ_EVERY = 20
"""Steps after which losses are read on CUDA."""


class NotFinite(TrainingError):
    """A loss or a logit is not finite. What is kept of the training is added to the message where it ends."""


class Moment(NamedTuple):
    """How far a training is."""

    share: float
    """0 to 1."""
    step: int
    steps: int | None
    """None where only time ends it."""
    epoch: float
    loss: float
    seconds: float


Watcher = Callable[[Moment, "str | None"], None]
"""Told after every step, and of every line that is worth keeping."""


@dataclass
class Session:
    """What a training consists of."""

    model: Backbone
    data: ImageSets
    pictures: TrainingPictures
    course: Course
    clock: Clock
    update: Update
    loss: Loss
    mixing: Mixing
    normalise: Normalise
    device: torch.device
    autocast: torch.dtype | None
    frozen: tuple[str, ...]
    workers: int
    group: Processes
    out: Path
    settings: JsonObject
    watcher: Watcher | None
    board: SummaryWriter | None
    done: int = 0
    loss_sum: float = 0.0
    losses: int = 0
    tenths: int = 0
    saved_step: int = 0
    """The step that the state file was written after."""
    last_loss: float = math.nan
    saved: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)

    def resume(self) -> None:
        """Go on from the state file.

        Raises:
            WrongUse: there is none, or it is of a training with other settings.
            TrainingError: it cannot be read.
        """
        state = read_state(state_file(self.out), self.settings)
        self.done, self.clock.before_s = state["step"], state["seconds"]
        self.saved_step = self.done
        self.loss_sum, self.losses, self.tenths = state["loss_sum"], state["losses"], state["tenths"]
        self.model.load_state_dict(state["model"])
        self.update.optimizer.load_state_dict(state["optimizer"])
        average = self.update.average
        if average is not None and state["average"] is not None:
            for name, tensor in state["average"].items():
                average.tensors[name].copy_(tensor)
            average.step = self.done
        if self.update.scaler is not None and state["scaler"]:  # it has none where another dtype goes on
            self.update.scaler.load_state_dict(state["scaler"])
        self.lines = log_lines(log_file(self.out), self.done)
        self.say(f"resumed after step {self.done:,}")

    def run(self) -> None:
        """Train to the end, epoch by epoch.

        Raises:
            NotFinite: a loss is not finite.
            TrainingError: the time was over before the first step.
        """
        course, marks = (
            self.course,
            frozenset(range(0, self.course.steps, _READ_EVERY)) if self._is_cuda else frozenset(),
        )
        model = shared_gradients(self.model, self.group)
        if not self.done:
            self.save()
        batches = self._until_time_is_over()
        execution = Execution(bf16=False, reads_every_step=not self._is_cuda)
        is_over = False
        while self.done < course.steps and not is_over:
            end = min((self.done // course.steps_of_epoch + 1) * course.steps_of_epoch, course.steps)
            span = Span(self.done + 1, end, course.steps, marks | {end})
            to_training_mode(self.model, self.frozen)
            before = self.done
            for losses in run_steps(
                model, batches, self.update, self._loss, span, execution, self.autocast, self._progress
            ):
                self._count(losses)
            is_over = self.done < end or self.done == before
            self._end_epoch(is_over)
        if not self.done:
            raise TrainingError("the time was over before the first step; give more --time")

    def evaluate(self, pictures: Pictures) -> Evaluation | None:
        """Of the weights as they are handed over, in float32; in the first process alone."""
        with self.averaged():
            batches = evaluation_batches(pictures, 2 * self.course.batch, self.workers, self.device)
            return evaluate_batches(self.model, self.normalise, batches, self.data.class_names)

    def averaged(self) -> Averaged:
        """The moving average in the model's place, where there is one, while inside."""
        return Averaged(self)

    def save(self) -> None:
        """Write the state, in the first process; an earlier one stays where weights are not finite any more."""
        self.saved = time.monotonic()
        if not self._is_finite():
            return
        self.saved_step = self.done
        if not self.group.is_first:
            return
        update = self.update
        state: State = {
            "settings": json.dumps(self.settings),
            "step": self.done,
            "seconds": self.clock.seconds,
            "loss_sum": self.loss_sum,
            "losses": self.losses,
            "tenths": self.tenths,
            "model": self.model.state_dict(),
            "optimizer": update.optimizer.state_dict(),
            "average": None if update.average is None else update.average.tensors,
            "scaler": {} if update.scaler is None else update.scaler.state_dict(),
        }
        write_state(state_file(self.out), state)

    def say(self, line: str) -> None:
        """Tell the watcher something worth keeping."""
        if self.watcher is not None:
            self.watcher(self._moment(), line)

    @property
    def _is_cuda(self) -> bool:
        return self.device.type == "cuda"

    def _loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return mean_over(self.group, self.loss(logits, batch))

    def _until_time_is_over(self) -> Iterator[Batch]:
        """Batches as long as there is time; each sets the share of the training that its step's rate follows from."""
        batches = training_batches(
            self.pictures, self.course, self.done, self.workers, self.device, self.normalise, self.mixing
        )
        for done, batch in enumerate(batches, self.done):
            share = self.clock.share_at(done)
            if self.clock.limit_s is not None:
                share = told_by_first(self.group, share, self.device)
            if share >= 1:
                return
            self.clock.share = share
            yield batch

    def _count(self, losses: list[float]) -> None:
        """Add up losses that were read; their weights are updated next.

        Raises:
            NotFinite: one is not.
        """
        for loss in losses:
            if not math.isfinite(loss):
                raise NotFinite(self._not_finite())
            self.loss_sum, self.losses, self.last_loss = self.loss_sum + loss, self.losses + 1, loss

    def _is_finite(self) -> bool:
        """Whether every weight is a finite number, so that a training can go on from them."""
        import torch

        tensors = [tensor for tensor in self.model.state_dict().values() if tensor.is_floating_point()]
        return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())

    def _not_finite(self) -> str:
        step, rate = self.done + 1, max(self.update.peaks)
        dtype = "" if self.autocast is None else " or --dtype float32"
        remedy = f"use a lower --lr (its peak is {rate:.2g}){dtype}"
        return f"the loss is not finite at step {step:,}; {remedy}"

    def _progress(self, step: int, steps: int, loss: float) -> None:
        """After a step, when its weights are updated."""
        self.done = step
        if self.watcher is not None:
            self.watcher(self._moment(), None)
        is_read = not self._is_cuda or step % _READ_EVERY == 0
        if is_read and time.monotonic() - self.saved > _SAVED_EVERY_S:
            self.save()

    def _end_epoch(self, is_over: bool) -> None:
        """Log the epoch; validate at most ten times in all."""
        if not self.losses:
            return
        share = 1.0 if is_over else told_by_first(self.group, self.clock.share_at(self.done), self.device)
        tenths, validation = math.floor(10 * share + 1e-9), None
        if tenths > self.tenths and share < 1 and self.done < self.course.steps:
            if self.group.is_first:
                validation = self.evaluate(self.data.validation)
            wait_for_all(self.group)
        self.tenths = max(tenths, self.tenths)
        loss = self.loss_sum / self.losses
        self.loss_sum, self.losses = 0.0, 0
        self._log(loss, validation)
        self.save()

    def _log(self, loss: float, validation: Evaluation | None) -> None:
        if not self.group.is_first:
            return
        epoch = self.done / self.course.steps_of_epoch
        rate = max(group["lr"] for group in self.update.optimizer.param_groups)
        accuracy = None if validation is None else validation.accuracy
        entry = {"epoch": round(epoch, 3), "step": self.done, "loss": loss, "lr": rate, "validation_accuracy": accuracy}
        self.lines.append(json.dumps({**entry, "seconds": round(self.clock.seconds, 3)}))
        write_text(log_file(self.out), "\n".join(self.lines) + "\n")
        if self.board is not None:
            for name, value in (("loss", loss), ("lr", rate), ("validation_accuracy", accuracy)):
                if value is not None:
                    self.board.add_scalar(name, value, self.done)
        said = "" if validation is None else f", validation accuracy {validation.accuracy:.1%}"
        self.say(f"epoch {epoch:g}: loss {loss:.3f}{said}")

    def _moment(self) -> Moment:
        steps = self.course.steps if self.settings.get("epochs") is not None else None
        epoch = self.done / self.course.steps_of_epoch
        share = self.clock.share_at(self.done)
        return Moment(share, self.done, steps, epoch, self.last_loss, self.clock.seconds)


class Averaged:
    """While inside, the model has its averaged weights."""

    def __init__(self, session: Session) -> None:
        self._model, self._average = session.model, session.update.average
        self._before: dict[str, Tensor] = {}

    def __enter__(self) -> None:
        """Put the average in."""
        if self._average is not None:
            self._before = {name: tensor.clone() for name, tensor in self._model.state_dict().items()}
            self._model.load_state_dict(self._average.tensors)

    def __exit__(self, *error: object) -> None:
        """Put the last step's weights back."""
        if self._average is not None:
            self._model.load_state_dict(self._before)
