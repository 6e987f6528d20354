"""What DAT++'s blocks share, and its attention to the nearest positions (arXiv:2309.01430, after arXiv:2204.07143)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from archdsl.errors import ShapeError
from archdsl.families.common.block import Block
from archdsl.families.common.fields import Flag, Heads, Knob, MapBias, Mlp, RelativeBias, ResidualConvMlp, Window
from archdsl.families.common.rules import check_heads
from archdsl.families.datpp import names
from archdsl.shape import Cost, Map

if TYPE_CHECKING:
    from torch import nn


class PlusBlock(Block):
    """What DAT++'s blocks share: local perception, an MLP with a convolution, and the published names of its layers."""

    mlp: Mlp = ResidualConvMlp(type="dwconv_residual")
    local_perception: Annotated[Flag, Field(description="first add a depthwise 3x3 convolution of the input to it")] = (
        True
    )

    mixer_names: ClassVar[Mapping[str, str]] = {}
    mixer_convolutions: ClassVar[tuple[str, ...]] = ()

    @property
    def published(self) -> Mapping[str, str]:  # type: ignore[override]  # depends on the document
        """The two kinds of MLP are published under different names."""
        return {**self.mixer_names, **(names.PLAIN_MLP if self.mlp.type == "plain" else names.CONV_MLP)}

    @property
    def convolutions(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on the document
        """Those of the plain MLP are published as what they are."""
        mlp = () if self.mlp.type == "plain" else names.CONV_MLP_CONVOLUTIONS
        return (*mlp, *self.mixer_convolutions)


class _Blocks(NamedTuple):
    """One axis of a map as `modules.neighborhood` cuts it: blocks, queries of each, keys that these can have."""

    blocks: int
    side: int
    reach: int

    @property
    def indices(self) -> int:
        """Elements that say which positions these are and what lies between them."""
        return self.blocks * (self.side + self.reach + self.side * self.reach)


class Neighborhood(PlusBlock):
    """Attention of each position to the `window` x `window` positions nearest to it (arXiv:2204.07143)."""

    type: Literal["neighborhood"]
    heads: Heads
    window: Annotated[Window, Field(json_schema_extra={"not": {"multipleOf": 2}}), Knob((3, 5, 7))] = 7
    position_bias: Annotated[MapBias, Knob(({"type": "none"}, {"type": "relative"}))] = RelativeBias(type="relative")

    mixer_names: ClassVar[Mapping[str, str]] = {"rpb": "table"}

    def mixer_out(self, x: Map) -> None:
        """Heads divide the width; the window is odd; a map smaller than it is padded."""
        check_heads(x.channels, self.heads)
        if self.window % 2 == 0:
            raise ShapeError("the window must be odd", f"window {self.window}", f"use {self.window + 1}", "window")

    def mixer_cost(self, x: Map, tokens: int = 0) -> Cost:
        """Projections of the padded map, but for the last, and the pairs that attend; no pair that a mask shuts out."""
        C, area = x.channels, self.window**2
        N = max(x.height, self.window) * max(x.width, self.window)
        params = 4 * (C * C + C)
        if self.position_bias.type == "relative":
            params += self.heads * (2 * self.window - 1) ** 2
        return Cost(params, 3 * N * C * C + x.positions * C * C + 2 * N * area * C, self._mixer_alive(x, N))

    def _mixer_alive(self, x: Map, N: int) -> int:
        """Elements beside the input: q, k, v copied into blocks, or with the copies bias, scores and result."""
        C, rows, columns = x.channels, self._cut(x.height), self._cut(x.width)
        blocks, reach = rows.blocks * columns.blocks, rows.reach * columns.reach
        queries, keys = blocks * rows.side * columns.side, blocks * reach
        copying, attending = 3 * N * C + keys, 2 * self.heads * queries * reach + queries * C
        return rows.indices + columns.indices + queries * C + 2 * keys * C + max(copying, attending)

    def _cut(self, length: int) -> _Blocks:
        length = max(length, self.window)
        blocks = -(-length // max(self.window, 4))
        side = -(-length // blocks)
        return _Blocks(blocks, side, min(side + self.window - 1, length))

    def mixer(self, x: Map) -> nn.Module:
        """(B, H, W, C) -> (B, H, W, C)"""
        from archdsl.families.datpp import neighborhood_modules as neighborhood

        biased = self.position_bias.type == "relative"
        return neighborhood.NeighborhoodAttention(x.channels, self.heads, self.window, biased)
