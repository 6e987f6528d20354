"""A network as it runs over all images at once: node by node, and inside a stage block by block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from archdsl.compile import Backbone
from archdsl.deriving.fitting import AllocateMap, Maps, joined, through
from archdsl.families.common.stage_modules import Stage
from archdsl.graphs import Port, ScheduledStep


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and each module's own mode again afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class RunningNetwork:
    """One network as it runs over all images: the ports that are alive."""

    def __init__(self, model: Backbone, images: Tensor, allocate: AllocateMap | None = None) -> None:
        self.model, self.images, self.allocate = model, images, allocate
        self.steps = list(model._schedule)
        self.alive: dict[Port, Tensor] = {}
        self.next = 0

    def module(self, step: ScheduledStep) -> nn.Module:
        """The step's."""
        module = self.model._modules[step.name]
        assert module is not None
        return module

    def inputs(self, step: ScheduledStep) -> Maps:
        """What the step reads."""
        return tuple(self.alive[port] for port in step.reads) or (self.images,)

    def done(self, step: ScheduledStep, outputs: Maps) -> None:
        """Keep what a later step reads, and let go what none does."""
        for port in step.done:
            self.alive.pop(port, None)
        written = zip(step.gives, outputs, strict=False)
        self.alive.update((port, value) for port, value in written if port in step.kept)
        self.next += 1

    def run_to(self, name: str) -> ScheduledStep | None:
        """Run all steps before a node, and give its own; None where it has run already."""
        names = [step.name for step in self.steps]
        if names.index(name) < self.next:
            return None
        while self.steps[self.next].name != name:
            step = self.steps[self.next]
            self.done(step, through(self.module(step), self.inputs(step), self.allocate))
        return self.steps[self.next]


class _Entered(Exception):
    """Ends a stage's forward at its first block."""


def entered(stage: Stage, inputs: Maps, allocate: AllocateMap | None = None) -> Maps:
    """What the first block of a stage may read, and semantics that go past it."""
    parts = _entering(stage, inputs)
    if allocate is not None:
        return (*joined(((part,) for part in parts), len(inputs[0]), allocate), *inputs[1:])
    return (torch.cat(list(parts)), *inputs[1:])


def _entering(stage: Stage, inputs: Maps) -> Iterator[Tensor]:
    """What the first block reads, some images at a time."""
    read: list[Tensor] = []

    def stop(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        read.append(given[0])
        raise _Entered

    for rows in zip(*(torch.split(each, 128) for each in inputs), strict=True):
        handle = stage.blocks[0].register_forward_pre_hook(stop)
        try:
            with torch.no_grad():
                stage(*rows)
        except _Entered:
            pass
        finally:
            handle.remove()
        yield read.pop()


def read_by(block: nn.Module, maps: Maps) -> Maps:
    """Of a map and semantics what a block reads."""
    return maps if getattr(block, "two_paths", False) else maps[:1]


def through_block(block: nn.Module, maps: Maps, allocate: AllocateMap | None = None) -> Maps:
    """A map, and semantics beside it, behind a block."""
    outputs = through(block, read_by(block, maps), allocate)
    return (*outputs, *maps[len(outputs) :])
