"""The refit of an inherited network: its blocks, from front to back, towards the parent's activations.

Both networks run side by side over all images, node by node and inside a stage block by block. Held are the maps
between nodes that a later one reads, and of the block at hand its input and its target. So errors of blocks in front
are corrected by those behind, and memory does not grow with depth.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from archdsl.compile import Backbone
from archdsl.deriving.counterparts import NodePair
from archdsl.deriving.fitting import EXACT, Maps, RefitSettings, fit, measure_batch_norm, through
from archdsl.deriving.report import RefittedBlock
from archdsl.errors import ArchError, WrongUse
from archdsl.families.common.stage_modules import Stage
from archdsl.graphs import Port, ScheduledStep

_LEAST_IMAGES = 2


def check_images(model: Backbone, images: Tensor) -> None:
    """Raises `WrongUse` for images that a refit of the model cannot take."""
    if not isinstance(images, Tensor):
        raise TypeError(f"refit takes a tensor of images; got a {type(images).__name__}")
    dtype = next(model.parameters()).dtype
    if dtype not in (torch.float32, torch.float64):
        raise WrongUse(f"a refit needs a model of float32 or float64; this one is of {dtype}: call model.float() first")
    if any(parameter.is_inference() for parameter in model.parameters()):
        raise WrongUse("a refit needs weights that can learn; build the model outside of torch.inference_mode")
    if not images.is_floating_point():
        raise WrongUse(f"refit images are of {images.dtype}; give floats, normalised as the parent reads them")
    wanted = (model.spec.channels, *model.spec.image_size)
    if images.dim() != 4 or tuple(images.shape[1:]) != wanted:
        shape = f"(N, {', '.join(map(str, wanted))})"
        raise WrongUse(f"refit images must be {shape}, as the spec says; got {tuple(images.shape)}")
    if len(images) < _LEAST_IMAGES:
        raise WrongUse(f"a refit needs at least {_LEAST_IMAGES} images, better some hundreds; got {len(images)}")
    if not bool(images.isfinite().all()):
        raise WrongUse("refit images hold NaN or infinities")


def check_runs(parent: Backbone, images: Tensor) -> None:
    """Raises `WrongUse` where the parent does not run at the size of the images."""
    with torch.no_grad(), _evaluating(parent):
        try:
            parent(images[:1].to(next(parent.parameters())))
        except ArchError as error:
            raise WrongUse(f"the parent does not run at {images.shape[2]}x{images.shape[3]}: {error}") from None


def refit_blocks(
    model: Backbone, parent: Backbone, pairs: Sequence[NodePair], images: Tensor, settings: RefitSettings
) -> tuple[RefittedBlock, ...]:
    """Fit what a network inherited; its weights are changed in place, and both networks keep their mode."""
    like = next(model.parameters())
    theirs = next(parent.parameters())
    if (theirs.device, theirs.dtype) != (like.device, like.dtype):
        parent = copy.deepcopy(parent).to(like.device, like.dtype)
    with torch.inference_mode(False), torch.no_grad(), _evaluating(model), _evaluating(parent):
        return tuple(_Refit(model, parent, pairs, images.to(like), settings).run())


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and each module's own mode again afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class _Network:
    """One network as it runs over all images: the ports that are alive."""

    def __init__(self, model: Backbone, images: Tensor) -> None:
        self.model, self.images = model, images
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
            self.done(step, through(self.module(step), self.inputs(step)))
        return self.steps[self.next]


class _Refit:
    """One refit."""

    def __init__(
        self, model: Backbone, parent: Backbone, pairs: Sequence[NodePair], images: Tensor, settings: RefitSettings
    ) -> None:
        self.ours, self.theirs = _Network(model, images), _Network(parent, images)
        self.pairs = {pair.name: pair for pair in pairs}
        self.settings = settings

    def run(self) -> Iterator[RefittedBlock]:
        """Every node but the head, in order."""
        for step in self.ours.steps:
            if self.ours.model.spec.node(step.name).kind == "head":
                return
            pair, module, inputs = self.pairs[step.name], self.ours.module(step), self.ours.inputs(step)
            there = self.theirs.run_to(pair.parent) if pair.parent is not None else None
            if isinstance(module, Stage):
                yield from self._stage(module, inputs, pair, there)
            elif any(True for _ in module.parameters()):
                yield self._module(step.name, module, inputs, there)
            self.ours.done(step, through(module, inputs))

    def _module(self, name: str, module: nn.Module, inputs: Maps, there: ScheduledStep | None) -> RefittedBlock:
        targets: Maps = ()
        if there is not None:
            targets = through(self.theirs.module(there), self.theirs.inputs(there))
            self.theirs.done(there, targets)
        return self._fitted(name, module, inputs, targets)

    def _stage(
        self, stage: Stage, inputs: Maps, pair: NodePair, there: ScheduledStep | None
    ) -> Iterator[RefittedBlock]:
        """The blocks; the parent runs up to what the next kept block expects each time."""
        other = self.theirs.module(there) if there is not None else None
        x = _entered(stage, inputs)
        old = list(other.blocks) if isinstance(other, Stage) else []
        y = _entered(other, self.theirs.inputs(there)) if there is not None and isinstance(other, Stage) else ()
        run = 0
        for place, block in enumerate(stage.blocks):
            name = f"{pair.name}.blocks.{place}"
            end = _end(pair, place, len(old))
            while run < end:
                y = _through_block(old[run], y)
                run += 1
            if place in pair.extra:
                yield RefittedBlock(name, "skipped", note="starts as the identity")
            else:
                yield self._fitted(name, block, _read(block, x), _read(block, y))
            x = _through_block(block, x)
        if there is not None and other is not None:
            self.theirs.done(there, through(other, self.theirs.inputs(there)))

    def _fitted(self, name: str, module: nn.Module, inputs: Maps, targets: Maps) -> RefittedBlock:
        """One fit, or why there is none."""
        outputs = through(module, tuple(each[:1] for each in inputs))
        if [each.shape[1:] for each in outputs] != [each.shape[1:] for each in targets]:
            measured = measure_batch_norm(module, inputs)
            note = "no target of its shape" + "; batch norm measured again" * measured
            return RefittedBlock(name, "skipped", note=note)
        if not any(parameter.requires_grad for parameter in module.parameters()):
            return RefittedBlock(name, "skipped", note="frozen")
        fitted = fit(module, inputs, targets, self.settings)
        before, after = (error if math.isfinite(error) else None for error in (fitted.before, fitted.after))
        if not fitted.finite:
            return RefittedBlock(name, "not finite", before, after, "the fit gave NaN or infinities, and was undone")
        if fitted.after < fitted.before:
            return RefittedBlock(name, "fitted", before, after)
        return RefittedBlock(name, "exact" if fitted.before <= EXACT else "kept", before, after)


def _end(pair: NodePair, place: int, count: int) -> int:
    """How many of the parent's blocks have run where a block of ours ends: all before the next one that it keeps."""
    following = [
        source for at, source in enumerate(pair.blocks) if at > place and at not in pair.extra and source is not None
    ]
    return following[0] if following else count


class _Entered(Exception):
    """Ends a stage's forward at its first block."""


def _entered(stage: Stage, inputs: Maps) -> Maps:
    """What the first block of a stage may read, and semantics that go past it."""
    parts: list[Tensor] = []

    def stop(_: nn.Module, read: tuple[Tensor, ...]) -> None:
        parts.append(read[0])
        raise _Entered

    handle = stage.blocks[0].register_forward_pre_hook(stop)
    try:
        for rows in zip(*(torch.split(each, 128) for each in inputs), strict=True):
            try:
                stage(*rows)
            except _Entered:
                continue
    finally:
        handle.remove()
    return (torch.cat(parts), *inputs[1:])


def _read(block: nn.Module, maps: Maps) -> Maps:
    """Of a map and semantics what a block reads."""
    return maps if getattr(block, "two_paths", False) else maps[:1]


def _through_block(block: nn.Module, maps: Maps) -> Maps:
    """A map, and semantics beside it, behind a block."""
    outputs = through(block, _read(block, maps))
    return (*outputs, *maps[len(outputs) :])
