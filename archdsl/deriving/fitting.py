"""One block fitted to a wanted output: AdamW on the squared error, and the better of before and after is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from archdsl.errors import WrongUse, short
from archdsl.training.deadline import EVALUATION, Deadline, Schedule
from archdsl.training.recipe import adamw, rate_at

Maps: TypeAlias = tuple[Tensor, ...]
"""What a module reads or gives, of all images: one map, or a map and semantics."""

AllocateMap: TypeAlias = Callable[[tuple[int, ...], Tensor], Tensor]
"""Gives an empty tensor of a shape, of the dtype and on the device of another."""

EXACT = 1e-9
"""Relative squared error below which there is nothing to fit."""
_EVALUATED = 128
"""Images at a time where nothing is learned."""


@dataclass(frozen=True)
class RefitSettings:
    """How a block is fitted. steps: of 40 (quick) or 120. lr: peak rate. batch: images of a step.

    deadline: when the fits of all blocks end; the one under way is shortened, and those that follow are left out.
    """

    steps: int = 120
    lr: float = 3e-3
    batch: int = 32
    seed: int = 0
    deadline: Deadline | None = None

    @property
    def is_over(self) -> bool:
        """Whether no further block is fitted."""
        return self.deadline is not None and self.deadline.left_s <= 0

    def check(self) -> None:
        """Raises `WrongUse` for a setting out of its range."""
        for name, value, least in (("steps", self.steps, 1), ("batch", self.batch, 2), ("seed", self.seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise WrongUse(f"{name} must be a whole number from {least} on; got {short(value)}")
        is_number = isinstance(self.lr, int | float) and not isinstance(self.lr, bool)
        if not is_number or not 0 < self.lr < math.inf:
            raise WrongUse(f"lr must be a number above 0; got {short(self.lr)}")


@dataclass(frozen=True)
class Fit:
    """Errors before and after, relative to what the block adds, and whether the fit stayed finite."""

    before: float
    after: float
    finite: bool = True


def through(module: nn.Module, inputs: Maps, allocate: AllocateMap | None = None) -> Maps:
    """What a module gives for all images, without gradients; kept in what `allocate` gives where there is one."""
    with torch.no_grad():
        parts = (_tuple(module(*rows)) for rows in _rows(inputs))
        if allocate is None:
            return tuple(torch.cat(each) for each in zip(*parts, strict=True))
        return joined(parts, len(inputs[0]), allocate)


def joined(parts: Iterable[Maps], count: int, allocate: AllocateMap) -> Maps:
    """Parts of maps, one after another, as maps of `count` images that are kept in what `allocate` gives."""
    whole: Maps = ()
    start = 0
    for part in parts:
        whole = whole or tuple(allocate((count, *each.shape[1:]), each) for each in part)
        for target, each in zip(whole, part, strict=True):
            target[start : start + len(each)] = each
        start += len(part[0])
    return whole


def _tuple(result: Tensor | Maps) -> Maps:
    return result if isinstance(result, tuple) else (result,)


def _rows(maps: Maps) -> Iterator[Maps]:
    return zip(*(torch.split(each, _EVALUATED) for each in maps), strict=True)


def measure_batch_norm(module: nn.Module, inputs: Maps) -> bool:
    """The statistics of a module's batch norms, averaged over all images; whether it has any."""
    norms = [each for each in module.modules() if isinstance(each, nn.BatchNorm2d) and each.track_running_stats]
    if not norms:
        return False
    with batch_statistics(norms, cumulative=True):
        through(module, inputs)
    return True


@contextmanager
def batch_statistics(norms: Sequence[nn.BatchNorm2d], cumulative: bool) -> Iterator[None]:
    """Batch norms read the batch; with `cumulative` their running statistics begin anew and become its average."""
    kept = [(norm, norm.momentum, norm.training) for norm in norms]
    for norm in norms:
        if cumulative:
            norm.reset_running_stats()
            norm.momentum = None
        norm.train()
    try:
        yield
    finally:
        for norm, momentum, training in kept:
            norm.momentum = momentum
            norm.train(training)


def fit(module: nn.Module, inputs: Maps, targets: Maps, settings: RefitSettings) -> Fit:
    """Fit a module in evaluation mode to what it should give; its better weights stay.

    The error is the mean over outputs of the squared error divided by the energy of what the module should add to its
    input, or of the target about its mean where the shapes differ. Errors before and after are of all images, with
    batch norm measured on them.
    """
    scales = [_energy(inputs, target, place) for place, target in enumerate(targets)]
    before = _error(module, inputs, targets, scales)
    if before <= EXACT:
        return Fit(before, before)
    best, kept = before, _copied(module)
    if measure_batch_norm(module, inputs):
        measured = _error(module, inputs, targets, scales)
        best, kept = (measured, _copied(module)) if measured < best else (best, kept)
    finite = _learn(module, inputs, targets, scales, settings)
    if finite:
        measure_batch_norm(module, inputs)
        after = _error(module, inputs, targets, scales)
        finite = math.isfinite(after)
        if after < best:
            return Fit(before, after)
    module.load_state_dict(kept)
    return Fit(before, best, finite)


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def _energy(inputs: Maps, target: Tensor, place: int) -> float:
    source = inputs[place] if place < len(inputs) else None
    added = target - source if source is not None and source.shape == target.shape else target - target.mean()
    energy = float(added.square().mean())
    return energy if energy > 0 else max(float(target.square().mean()), torch.finfo(target.dtype).tiny)


def _error(module: nn.Module, inputs: Maps, targets: Maps, scales: Sequence[float]) -> float:
    total = 0.0
    with torch.no_grad():
        for rows, wanted in zip(_rows(inputs), _rows(targets), strict=True):
            total += float(_loss(module, rows, wanted, scales)) * len(rows[0])
    return total / len(inputs[0])


def _loss(module: nn.Module, inputs: Maps, targets: Maps, scales: Sequence[float]) -> Tensor:
    result = module(*inputs)
    outputs = result if isinstance(result, tuple) else (result,)
    errors = [
        (output - wanted).square().mean() / scale
        for output, wanted, scale in zip(outputs, targets, scales, strict=True)
    ]
    return torch.stack(errors).mean()


def _learn(module: nn.Module, inputs: Maps, targets: Maps, scales: Sequence[float], settings: RefitSettings) -> bool:
    """The steps; False where a loss was not finite, after which the weights are of no use."""
    optimizer = adamw(module, settings.lr)
    schedule = Schedule(settings.steps, settings.deadline, after=EVALUATION * 2 * len(inputs[0]) / settings.batch)
    source = torch.Generator().manual_seed(settings.seed)
    norms = [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]
    count = len(inputs[0])
    with batch_statistics(norms, cumulative=False), torch.enable_grad():
        while schedule.goes_on():
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * rate_at(schedule.share)
            rows = torch.randint(count, (min(settings.batch, count),), generator=source).to(inputs[0].device)
            # torch's backward of a group norm in channels last crashes where its input has no gradient.
            batch = tuple(each.requires_grad_() for each in _taken(inputs, rows))
            loss = _loss(module, batch, _taken(targets, rows), scales)
            if not bool(loss.isfinite()):
                return False
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return all(bool(parameter.isfinite().all()) for parameter in module.parameters())


def _taken(maps: Maps, rows: Tensor) -> Maps:
    return tuple(each[rows] for each in maps)
