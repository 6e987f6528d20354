"""An alternative's module: built alone, as it would be inside the parent, and begun with the parent's block."""

from __future__ import annotations

import torch
from torch import nn

from archdsl.compile import Backbone
from archdsl.deriving.walking import inherit_block
from archdsl.errors import ShapeError
from archdsl.families.common.initial_values import initialise
from archdsl.families.common.inputs import Inputs
from archdsl.families.common.stage import Stage
from archdsl.families.common.stage_modules import Stage as StageModule
from archdsl.graphs import plan
from archdsl.load.alternatives import Alternative
from archdsl.shape import Map


def inherited_block(parent: Backbone, alternative: Alternative, seed: int) -> nn.Module:
    """The module of an alternative in evaluation mode, with what it can take over of the first block of its run.

    What it cannot take over has initial values by the seed.

    Raises:
        ShapeError: the block does not fit the map of its stage, or the stage has no such positions.
    """
    step = next(each for each in plan(parent.spec) if each.node.id == alternative.stage)
    stage, shape = step.node, step.inputs[0]
    module = parent._modules[alternative.stage]
    last = alternative.first + alternative.span - 1
    if not isinstance(stage, Stage) or not isinstance(module, StageModule) or not isinstance(shape, Map):
        raise ShapeError(f"{alternative.stage} is no stage")
    if last >= len(module.blocks):
        raise ShapeError(f"{alternative.stage} has no block {last}", f"{len(module.blocks)} blocks")
    alternative.block.out(shape)
    try:
        read = stage.read_after(last, step.read)
    except ValueError as error:
        raise ShapeError(f"{alternative.stage}: {error}") from None
    like = next(parent.parameters())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        block = alternative.block.build_module(Inputs((shape,), read=read))
        initialise(block, parent.spec.init)
    block = block.to(like.device, like.dtype).eval()
    inherit_block(block, parent, module.blocks[alternative.first], shape.channels)
    return block
