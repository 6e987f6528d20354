"""MetaFormer is Actually What You Need for Vision (arXiv:2111.11418): pooling as the mixer.

Differs from the paper in that the norm is the common one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from archdsl.blocks.fields import Knob, Window
from archdsl.blocks.stage import Block
from archdsl.errors import ShapeError
from archdsl.shape import Cost, Map

if TYPE_CHECKING:
    from torch import nn


class Pool(Block):
    """The average over a window less the position itself (eq. 4)."""

    type: Literal["acme.pool"]
    window: Annotated[Window, Knob((3, 5))] = 3

    def mixer_out(self, x: Map) -> None:
        """The window has a middle."""
        if self.window % 2 == 0:
            raise ShapeError("the window must be odd", f"window {self.window}", f"use {self.window + 1}", "window")

    def mixer_cost(self, x: Map, tokens: int = 0) -> Cost:
        """No parameters and no MACs; alive: the averages and what is left of them."""
        return Cost(0, 0, 2 * x.elements)

    def mixer(self, x: Map) -> nn.Module:
        """(B, H, W, C) -> (B, H, W, C)"""
        from . import modules

        return modules.Pool(self.window)
