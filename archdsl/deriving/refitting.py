"""The refit of an inherited network: its blocks, from front to back, towards the parent's activations.

Both networks run side by side over all images, node by node and inside a stage block by block. Held are the maps
between nodes that a later one reads, and of the block at hand its input and its target. So errors of blocks in front
are corrected by those behind, and memory does not grow with depth.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from archdsl.compile import Backbone
from archdsl.deriving.counterparts import NodePair
from archdsl.deriving.fitting import EXACT, Maps, RefitSettings, fit, measure_batch_norm, through
from archdsl.deriving.report import RefittedBlock
from archdsl.deriving.running import RunningNetwork, entered, evaluating, read_by, through_block
from archdsl.errors import ArchError, WrongUse
from archdsl.families.common.stage_modules import Stage
from archdsl.graphs import ScheduledStep

_LEAST_IMAGES = 2
_NO_TIME = "there was no time left for it"


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
    with torch.no_grad(), evaluating(parent):
        try:
            parent(images[:1].to(next(parent.parameters())))
        except ArchError as error:
            raise WrongUse(f"the parent does not run at {images.shape[2]}x{images.shape[3]}: {error}") from None


def refit_blocks(
    model: Backbone, parent: Backbone, pairs: Sequence[NodePair], images: Tensor, settings: RefitSettings
) -> tuple[RefittedBlock, ...]:
    """Fit what a network inherited; its weights are changed in place, and both networks keep their mode.

    What follows once the settings' deadline is past is left as it is.
    """
    like = next(model.parameters())
    theirs = next(parent.parameters())
    if (theirs.device, theirs.dtype) != (like.device, like.dtype):
        parent = copy.deepcopy(parent).to(like.device, like.dtype)
    with torch.inference_mode(False), torch.no_grad(), evaluating(model), evaluating(parent):
        return tuple(_Refit(model, parent, pairs, images.to(like), settings).run())


class _Refit:
    """One refit."""

    def __init__(
        self, model: Backbone, parent: Backbone, pairs: Sequence[NodePair], images: Tensor, settings: RefitSettings
    ) -> None:
        self.ours, self.theirs = RunningNetwork(model, images), RunningNetwork(parent, images)
        self.pairs = {pair.name: pair for pair in pairs}
        self.settings = settings

    def run(self) -> Iterator[RefittedBlock]:
        """Every node but the head, in order."""
        for step in self.ours.steps:
            if self.ours.model.spec.node(step.name).kind == "head":
                return
            pair, module = self.pairs[step.name], self.ours.module(step)
            if self.settings.is_over:
                yield RefittedBlock(step.name, "skipped", note=_NO_TIME)
                continue
            inputs = self.ours.inputs(step)
            there = self.theirs.run_to(pair.parent) if pair.parent is not None else None
            if isinstance(module, Stage):
                yield from self._stage(module, inputs, pair, there)
            elif any(True for _ in module.parameters()):
                yield self._module(step.name, module, inputs, there)
            if not self.settings.is_over:
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
        x = entered(stage, inputs)
        old = list(other.blocks) if isinstance(other, Stage) else []
        y = entered(other, self.theirs.inputs(there)) if there is not None and isinstance(other, Stage) else ()
        run = 0
        for place, block in enumerate(stage.blocks):
            name = f"{pair.name}.blocks.{place}"
            if self.settings.is_over:
                yield RefittedBlock(name, "skipped", note=_NO_TIME)
                continue
            end = _end(pair, place, len(old))
            while run < end:
                y = through_block(old[run], y)
                run += 1
            if place in pair.extra:
                yield RefittedBlock(name, "skipped", note="starts as the identity")
            else:
                yield self._fitted(name, block, read_by(block, x), read_by(block, y))
            x = through_block(block, x)
        if there is not None and other is not None and not self.settings.is_over:
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
