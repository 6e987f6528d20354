"""Every module of `archdsl.nn` beside the part of a published backbone that it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import archdsl
from archdsl.graphs import plan

SIDES = (10, 13)
"""Of the maps that are run: no window divides them."""


class Public(NamedTuple):
    """A public module by its name: what builds it, and where the same one is in a backbone of 64 pixels.

    reads_first: the backbone's module reads channels first; a public one gives whichever it is asked for.
    """

    name: str
    build: Callable[..., nn.Module]
    zoo: str
    place: str
    channels: int
    overrides: tuple[str, ...] = ()
    reads_first: bool = False

    def part(self) -> nn.Module:
        """The module of the backbone, with no value where it starts."""
        node, _, inside = self.place.partition(".")
        spec = archdsl.override(archdsl.load_spec(self.zoo), ["image=64", *self.overrides])
        step = next(step for step in plan(spec) if step.node.id == node)
        torch.manual_seed(0)
        return shaken(step.node.build_module(step.part_inputs(spec)).get_submodule(inside))

    def built(self, channels_last: bool = False) -> nn.Module:
        """The public module, with no value where it starts."""
        torch.manual_seed(1)
        return shaken(self.build(channels_last=channels_last) if self.reads_map else self.build())

    @property
    def reads_map(self) -> bool:
        """Whether it reads a map at all."""
        return self.name != "SemanticMerge"

    def inputs(self) -> tuple[Tensor, ...]:
        """A map (2, C, 10, 13), and tokens (2, 5, C) beside it or alone, where the module reads them."""
        source = torch.Generator().manual_seed(2)
        x = torch.randn(2, self.channels, *SIDES, generator=source)
        tokens = torch.randn(2, 5, self.channels, generator=source)
        if not self.reads_map:
            return (tokens,)
        return (x, tokens) if self.name in ("DualPathBlock", "JointPathBlock") else (x,)


def shaken(module: nn.Module) -> nn.Module:
    """The module in eval mode, its parameters and statistics moved: offsets and tables are not zero."""
    source = torch.Generator().manual_seed(3)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.1 * torch.rand(tensor.shape, generator=source))
    return module.eval().requires_grad_(False)


def outputs(result: Any) -> tuple[Tensor, ...]:
    """What a module gives, as a tuple."""
    return result if isinstance(result, tuple) else (result,)


PUBLIC = (
    Public("HiLo", partial(archdsl.nn.HiLo, 384, 12, 2), "litv2_s", "stage3.blocks.0.mixer", 384, ("stage3.depth=1",)),
    Public(
        "Attention",
        partial(archdsl.nn.Attention, 384, 12, 4, "relative"),
        "lit_s",
        "stage3.blocks.0.mixer",
        384,
        ("stage3.depth=1",),
    ),
    Public("WindowAttention", partial(archdsl.nn.WindowAttention, 96, 3), "dat_t", "stage1.blocks.0.mixer", 96),
    Public(
        "ShiftedWindowAttention",
        partial(archdsl.nn.ShiftedWindowAttention, 96, 3),
        "dat_t",
        "stage1.blocks.1.mixer",
        96,
    ),
    Public(
        "NeighborhoodAttention",
        partial(archdsl.nn.NeighborhoodAttention, 64, 2),
        "datpp_t",
        "stage1.blocks.0.mixer",
        64,
    ),
    Public(
        "DeformableAttention",
        partial(archdsl.nn.DeformableAttention, 384, 12, 3, 5, size=4),
        "dat_t",
        "stage3.blocks.1.mixer",
        384,
        ("stage3.depth=2",),
    ),
    Public(
        "DeformablePlusAttention",
        partial(archdsl.nn.DeformablePlusAttention, 64, 2, 1, 9, 8, size=16),
        "datpp_t",
        "stage1.blocks.1.mixer",
        64,
    ),
    Public(
        "PooledAttention",
        partial(archdsl.nn.PooledAttention, 64, 2, 8),
        "datpp_t",
        "stage1.blocks.1.mixer",
        64,
        ('stage1.blocks.1.offsets={"type": "none"}',),
    ),
    Public(
        "ContextMixer", partial(archdsl.nn.ContextMixer, 64), "fcvit_tiny", "stage2.blocks.0.mixer.steps.0.context", 64
    ),
    Public(
        "DepthwiseTokenMixer", partial(archdsl.nn.DepthwiseTokenMixer, 32), "fcvit_tiny", "stage1.blocks.0.mixer", 32
    ),
    Public("ConvMlp", partial(archdsl.nn.ConvMlp, 96), "litv2_s", "stage1.blocks.0.mlp", 96),
    Public("ResidualConvMlp", partial(archdsl.nn.ResidualConvMlp, 64), "datpp_t", "stage1.blocks.0.mlp", 64),
    Public("DeformableMerge", partial(archdsl.nn.DeformableMerge, 96, 192), "litv2_s", "merge1", 96, reads_first=True),
    Public(
        "ConvMerge",
        partial(archdsl.nn.ConvMerge, 96, 192, 2, bias=False),
        "dat_t",
        "merge1",
        96,
        reads_first=True,
    ),
    Public("SemanticStem", partial(archdsl.nn.SemanticStem, 64), "dualvit_s", "semantic_stem", 64, reads_first=True),
    Public("SemanticMerge", partial(archdsl.nn.SemanticMerge, 64, 128), "dualvit_s", "semantic_merge1", 64),
    Public("DualPathBlock", partial(archdsl.nn.DualPathBlock, 64, 2), "dualvit_s", "stage1.blocks.0", 64),
    Public("JointPathBlock", partial(archdsl.nn.JointPathBlock, 320, 10), "dualvit_s", "stage3.blocks.0", 320),
)
