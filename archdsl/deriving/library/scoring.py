"""The score of a block: what the parent's output loses when it alone stands in the place of the parent's."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.compile import Backbone
from archdsl.deriving.fitting import AllocateMap, Maps
from archdsl.deriving.library.activations import stage_maps
from archdsl.deriving.running import RunningNetwork
from archdsl.families.common.stage_modules import Stage
from archdsl.graphs import ScheduledStep

_BATCH = 128


class Scorer:
    """Scores blocks of one stage after another, on images that no block is fitted on.

    The network runs from the exchanged block on alone. Batch norms outside of it read the batch at hand in both
    networks, since their averages are those of the parent.
    """

    def __init__(self, parent: Backbone, images: Tensor, allocate: AllocateMap | None = None) -> None:
        self._model = _reading_batches(parent)
        self._running = RunningNetwork(self._model, images, allocate)
        self._logits: tuple[Tensor, ...] = ()
        self._maps: tuple[Maps, ...] = ()
        self._step: ScheduledStep | None = None
        with torch.no_grad():
            self._logits = tuple(_log_shares(self._model(some)) for some in torch.split(images, _BATCH))

    def enter(self, stage: str) -> None:
        """Run up to a stage, and keep what its blocks read; stages are entered in the order in which they run."""
        self._maps = ()
        self._step = self._running.run_to(stage)
        if self._step is not None:
            self._maps = stage_maps(self._running, self._step)

    def kl(self, first: int, span: int, block: nn.Module) -> float:
        """The divergence, in nats, of the output with the block in the place of `span` blocks from `first` on.

        Mean over the images of sum p log(p / q), p of the parent and q with the exchange; not finite where q is not.
        """
        assert self._step is not None
        stage = self._running.module(self._step)
        assert isinstance(stage, Stage)
        given = _Given(self._maps[first])
        old = stage.blocks
        stage.blocks = nn.ModuleList([given, block, *old[first + span :]])
        total, count = 0.0, 0
        try:
            with torch.no_grad():
                for number, reference in enumerate(self._logits):
                    given.batch = number
                    shares = _log_shares(self._rest(self._step, number))
                    total += float((reference.exp() * (reference - shares)).sum())
                    count += len(reference)
        finally:
            stage.blocks = old
        return total / count

    def _rest(self, step: ScheduledStep, batch: int) -> Tensor:
        """The output of a batch, from the stage on."""
        rows = slice(batch * _BATCH, (batch + 1) * _BATCH)
        alive = {port: value[rows] for port, value in self._running.alive.items()}
        maps: list[Tensor] = []
        for each in self._running.steps[self._running.steps.index(step) :]:
            self._model._step(each, self._running.images[rows], alive, maps)
        (output,) = alive.values()
        return output


class _Given(nn.Module):
    """Stands for the blocks before the exchanged one: gives what is known already."""

    two_paths = False

    def __init__(self, maps: Maps) -> None:
        super().__init__()
        self.maps, self.batch = maps, 0
        self.two_paths = len(maps) > 1

    def forward(self, *_: Tensor) -> Tensor | Maps:
        """The maps of the batch."""
        rows = slice(self.batch * _BATCH, (self.batch + 1) * _BATCH)
        values = tuple(each[rows] for each in self.maps)
        return values if self.two_paths else values[0]


def _log_shares(logits: Tensor) -> Tensor:
    return F.log_softmax(logits.double(), 1)


def _reading_batches(parent: Backbone) -> Backbone:
    """A copy in evaluation mode whose batch norms read the batch."""
    model = copy.deepcopy(parent).eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean = norm.running_var = None
    return model
