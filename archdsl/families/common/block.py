"""Blocks: what every family's blocks have in common, and those of two pathways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from archdsl.families.common.base import Part
from archdsl.families.common.fields import Flag, LayerNorm, Mlp, Norm, PlainMlp, Scale
from archdsl.families.common.inputs import ALL_PORTS, Inputs
from archdsl.families.common.rules import check_mlp, check_norm
from archdsl.shape import Cost, Map

if TYPE_CHECKING:
    from torch import nn

BOTH = ("pixels", "semantics")
"""The ports of two pathways: a map, and tokens of the same width beside it."""


class Block(Part):
    """A residual unit that keeps its shape: x + mixer(norm x), then x + mlp(norm x).

    A new block declares its own fields and `mixer_out`, `mixer_cost` and `mixer`; the rest is common. One that is built
    otherwise overrides `cost` and `build`.
    """

    kind = "block"
    stage: ClassVar[type[Part]]
    """The stage fields that this type has; `Stage` unless a type needs more."""

    norm: Norm = LayerNorm(type="layer")
    mlp: Mlp = PlainMlp(type="plain")
    layer_scale: Annotated[
        Scale | None, Field(description="initial value of the learned scale of each branch, or null for no scale")
    ] = None
    local_perception: Annotated[Flag, Field(description="first add a depthwise 3x3 convolution of the input to it")] = (
        False
    )

    def mixer_out(self, x: Map) -> None:
        """The shape rule of the mixer: raises `ShapeError` where x does not fit."""

    def mixer_cost(self, x: Map, tokens: int = 0) -> Cost:
        """The mixer alone, norm and residual not included; `tokens` go beside the map (a class token).

        `activations` are the elements that it holds at its worst moment beside its input, its output among them.
        """
        return Cost()

    def mixer(self, x: Map) -> nn.Module | None:
        """The mixer's module, (B, H, W, C) -> (B, H, W, C), or None for a block that is an MLP alone."""
        return None

    mixes: ClassVar[bool] = True
    """Whether there is a mixer at all."""

    def out(self, x: Map) -> Map:
        """Raises `ShapeError` where x does not fit; gives x."""
        check_norm(x.channels, self.norm)
        check_mlp(self.mlp)
        self.mixer_out(x)
        return x

    def cost(self, x: Map, tokens: int = 0) -> Cost:
        """Parameters and MACs as in the papers' own counts; elements alive in `ResidualBlock.forward`."""
        C, N = x.channels, x.positions + tokens
        mixer, mlp = self.mixer_cost(x, tokens), self._mlp_cost(C, N)
        params = mixer.params + mlp.params + 2 * C * (1 + self.mixes)
        macs = mixer.macs + mlp.macs
        if self.layer_scale is not None:
            params += C * (1 + self.mixes)
        if self.local_perception:
            params, macs = params + 10 * C, macs + 9 * N * C
        return Cost(params, macs, self._alive(C * N, mixer.activations, mlp.activations))

    def _alive(self, x: int, mixer: int, mlp: int) -> int:
        """Elements alive at the worst moment; x is those of the map.

        The input stays with the caller, and beside it the sum so far. A branch holds its normed input while it runs;
        scaling its result and adding it hold no more.
        """
        before = x * (1 + self.local_perception)
        after = x * (1 + (self.local_perception or self.mixes))
        return x + max(before + mixer if self.mixes else 0, after + mlp)

    def _mlp_cost(self, C: int, N: int) -> Cost:
        hidden = int(self.mlp.ratio * C)
        params = C * hidden + hidden + hidden * C + C
        macs = 2 * N * C * hidden
        if self.mlp.type == "plain":
            return Cost(params, macs, max(2 * hidden, hidden + C) * N)
        window = self.mlp.kernel**2
        alive = max((3 if self.mlp.type == "dwconv_residual" else 2) * hidden, hidden + C) * N
        return Cost(params + (window + 1) * hidden, macs + N * window * hidden, alive)

    def build(self, x: Map) -> nn.Module:
        """The residual block, (B, H, W, C) -> (B, H, W, C)."""
        from archdsl.families.common.layers import ResidualBlock, mlp, norm

        C, mixer = x.channels, self.mixer(x)
        return ResidualBlock(
            C,
            norm(self.norm, C) if mixer is not None else None,
            mixer,
            norm(self.norm, C),
            mlp(self.mlp, C),
            self.layer_scale,
            self.local_perception,
        )

    def infer_cost(self, inputs: Inputs) -> Cost:
        """What it costs for one image; a class token beside the map goes through it too."""
        tokens = inputs.tokens
        return self.cost(inputs.pixels, tokens.count) if tokens is not None else self.cost(inputs.pixels)

    def build_module(self, inputs: Inputs) -> nn.Module:
        """Its module, the same with a class token and without."""
        return self.build(inputs.pixels)


class TwoPathBlock(Block):
    """A block that reads and gives pixels and semantics (Dual-ViT); `cost` and `build` are its own.

    `read` are the ports that somebody reads after it; what serves only another is neither built nor counted, and that
    port leaves the block as it came.
    """

    reads = gives = BOTH

    def cost(self, x: Map, tokens: int = 0, read: frozenset[str] = ALL_PORTS) -> Cost:
        """The whole block; `tokens` are the semantics, of the map's width."""
        raise NotImplementedError

    def build(self, x: Map, read: frozenset[str] = ALL_PORTS) -> nn.Module:
        """(B, H, W, C), (B, M, C) -> the same; the module has `two_paths`."""
        raise NotImplementedError

    def infer_cost(self, inputs: Inputs) -> Cost:
        """What it costs for one image, what serves a port without a reader left out."""
        assert inputs.tokens is not None
        return self.cost(inputs.pixels, inputs.tokens.count, inputs.read)

    def build_module(self, inputs: Inputs) -> nn.Module:
        """Its module, without what serves a port that has no reader."""
        return self.build(inputs.pixels, inputs.read)
