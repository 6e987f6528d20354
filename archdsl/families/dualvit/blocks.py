"""Blocks of Dual-ViT (arXiv:2207.04976), which read and give a map and semantics beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from archdsl.families.common.block import TwoPathBlock
from archdsl.families.common.fields import ConvMlp, Heads, LayerNorm, Mlp, Norm, Ratio, Scale
from archdsl.families.common.inputs import ALL_PORTS
from archdsl.families.common.rules import check_heads
from archdsl.families.dualvit import names
from archdsl.shape import Cost, Map

if TYPE_CHECKING:
    from torch import nn


class _Pathways(TwoPathBlock):
    """What the two blocks share: the semantic MLP, whose activation is theirs."""

    heads: Heads
    semantic_ratio: Annotated[Ratio, Field(description="semantic MLP hidden width / width, rounded down")] = 4
    norm: Norm = LayerNorm(type="layer", eps=1e-6)
    layer_scale: Annotated[
        Scale | None, Field(description="initial value of the learned scale of each branch, or null for no scale")
    ] = 1e-6

    def mixer_out(self, x: Map) -> None:
        """Heads divide the width."""
        check_heads(x.channels, self.heads)

    def semantic_hidden(self, C: int) -> int:
        """Hidden width of the semantic MLP."""
        return int(self.semantic_ratio * C)

    def _semantic_mlp_cost(self, C: int, M: int) -> Cost:
        hidden = self.semantic_hidden(C)
        return Cost(2 * C * hidden + hidden + C, 2 * M * C * hidden, max(2 * hidden, hidden + C) * M)


class DualPath(_Pathways):
    """Semantics are refined by themselves and by the pixels, which then read them."""

    type: Literal["dual_path"]
    mlp: Mlp = ConvMlp(type="dwconv", ratio=8)

    published: ClassVar[Mapping[str, str]] = names.DUAL_PATH

    def cost(self, x: Map, tokens: int = 0, read: frozenset[str] = ALL_PORTS) -> Cost:
        """Three attentions and two MLPs; where nobody reads the pixels, what refines the semantics alone."""
        C, N, M = x.channels, x.positions, tokens
        scaled, local = self.layer_scale is not None, self.local_perception
        mlp, semantic = self._mlp_cost(C, N), self._semantic_mlp_cost(C, M)
        params = 6 * C * C + (14 + 3 * scaled + 10 * local) * C + semantic.params
        macs = (4 * M + 2 * N) * C * C + 2 * M * (M + N) * C + 9 * N * C * local + semantic.macs
        if "pixels" in read:
            params += 4 * C * C + (8 + 2 * scaled) * C + mlp.params
            macs += (2 * M + 2 * N) * C * C + 2 * M * N * C + mlp.macs
        return Cost(params, macs, self._alive_of_both(C, N, M, "pixels" in read))

    def _alive_of_both(self, C: int, N: int, M: int, pixels: bool) -> int:
        """Elements alive at the worst moment, both inputs with the caller.

        Beside the normed map: the semantics' own attention, that to the pixels or, of the same size, the pixels' to
        them, or the semantic MLP; after that the pixels' MLP beside what is new of both.
        """
        x, s = N * C, M * C
        attention = max(5 * s + self.heads * M * M, 4 * s + 2 * x + self.heads * M * N)
        mixed = x * self.local_perception + x + max(attention, 2 * s + self._semantic_mlp_cost(C, M).activations)
        return x + s + max(mixed, pixels * (2 * x + s + self._mlp_cost(C, N).activations))

    def build(self, x: Map, read: frozenset[str] = ALL_PORTS) -> nn.Module:
        """(B, H, W, C), (B, M, C) -> the same"""
        from archdsl.families.common import layers
        from archdsl.families.dualvit import block_modules as dualvit_blocks

        C, with_pixels = x.channels, "pixels" in read
        return dualvit_blocks.DualPath(
            C,
            self.heads,
            layers.norm(self.norm, C),
            layers.norm(self.norm, C) if with_pixels else None,
            layers.mlp(self.mlp, C) if with_pixels else None,
            self.semantic_hidden(C),
            self.layer_scale,
            self.local_perception,
        )


class JointPath(_Pathways):
    """Attention over pixels and semantics together, then separate MLPs for both."""

    type: Literal["joint_path"]
    semantic_ratio: Annotated[Ratio, Field(description="semantic MLP hidden width / width, rounded down")] = 2
    mlp: Mlp = ConvMlp(type="dwconv")

    published: ClassVar[Mapping[str, str]] = names.JOINT_PATH

    def cost(self, x: Map, tokens: int = 0, read: frozenset[str] = ALL_PORTS) -> Cost:
        """One attention, and the MLPs of the ports that are read."""
        C, N, n = x.channels, x.positions, x.positions + tokens
        scaled, local = self.layer_scale is not None, self.local_perception
        params = 4 * C * C + (8 + 2 * scaled + 10 * local) * C
        macs = 4 * n * C * C + 2 * n * n * C + 9 * N * C * local
        mlps = {"pixels": self._mlp_cost(C, N), "semantics": self._semantic_mlp_cost(C, tokens)}
        for port in read & mlps.keys():
            params, macs = params + mlps[port].params, macs + mlps[port].macs
        return Cost(params, macs, self._alive_of_both(C, N, tokens, read))

    def _alive_of_both(self, C: int, N: int, M: int, read: frozenset[str]) -> int:
        """Elements alive at the worst moment, both inputs with the caller.

        Beside all tokens, as they are and normed: attention, or an MLP and the scaling of what it gives, the semantics'
        after the pixels'.
        """
        x, s, scaled = N * C, M * C, self.layer_scale is not None
        n, after = N + M, [0]
        if "pixels" in read:
            after.append(max(self._mlp_cost(C, N).activations, 2 * x * scaled))
        if "semantics" in read:
            semantic = max(self._semantic_mlp_cost(C, M).activations, 2 * s * scaled)
            after.append(x * ("pixels" in read) + semantic)
        return 3 * (x + s) + max(4 * (x + s) + self.heads * n * n, *after)

    def build(self, x: Map, read: frozenset[str] = ALL_PORTS) -> nn.Module:
        """(B, H, W, C), (B, M, C) -> the same"""
        from archdsl.families.common import layers
        from archdsl.families.dualvit import block_modules as dualvit_blocks

        C = x.channels
        return dualvit_blocks.JointPath(
            C,
            self.heads,
            layers.norm(self.norm, C),
            layers.norm(self.norm, C),
            layers.mlp(self.mlp, C) if "pixels" in read else None,
            self.semantic_hidden(C) if "semantics" in read else None,
            self.layer_scale,
            self.local_perception,
        )
