"""Blocks and the stages they make: what every family's blocks have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from archdsl.blocks.base import Part
from archdsl.blocks.fields import Depth, Flag, Knob, LayerNorm, Mlp, Norm, PlainMlp, Scale
from archdsl.blocks.rules import check_mlp, check_norm
from archdsl.errors import ShapeError
from archdsl.shape import PORTS, Cost, Map

if TYPE_CHECKING:
    from torch import nn


ALL_PORTS = frozenset(PORTS)


class Block(Part):
    """A residual unit that keeps its shape: x + mixer(norm x), then x + mlp(norm x).

    A new block declares its own fields and `mixer_out`, `mixer_cost` and `mixer`; the rest is common. One that is built
    otherwise overrides `cost` and `build`.
    """

    kind = "block"
    stage: ClassVar[type[Stage]]
    """The stage fields that this type has; `Stage` unless a type needs more."""

    norm: Norm = LayerNorm(type="layer")
    mlp: Mlp = PlainMlp(type="plain")
    layer_scale: Annotated[Scale | None, Field(description="initial value, or null for none")] = None
    local_perception: Annotated[Flag, Field(description="x + depthwise 3x3 of x, first of all")] = False

    def mixer_out(self, x: Map) -> None:
        """The shape rule of the mixer: raises `ShapeError` where x does not fit."""

    def mixer_cost(self, x: Map, tokens: int = 0) -> Cost:
        """The mixer alone, norm and residual not included; `tokens` go beside the map (a class token).

        `activations` are the elements it holds at its worst moment beside its input, its output among them.
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

        The input stays with the caller. Each branch holds its normed input while it runs, then its result, scaled or
        not, and the sum.
        """
        held = x * (1 + (self.local_perception))
        peak = 3 * x if self.local_perception else 0
        if self.mixes:
            scaled = x * (self.layer_scale is not None)
            peak = max(peak, held + x + mixer, held + 2 * x + scaled)
            held = 2 * x
        return max(peak, held + x + mlp, held + 2 * x)

    def _mlp_cost(self, C: int, N: int) -> Cost:
        hidden = int(self.mlp.ratio * C)
        params = C * hidden + hidden + hidden * C + C
        macs = 2 * N * C * hidden
        if self.mlp.type == "plain":
            return Cost(params, macs, 2 * hidden * N)
        window = self.mlp.kernel**2
        alive = (3 if self.mlp.type == "dwconv_residual" else 2) * hidden * N
        return Cost(params + (window + 1) * hidden, macs + N * window * hidden, alive)

    def build(self, x: Map) -> nn.Module:
        """The residual block, (B, H, W, C) -> (B, H, W, C)."""
        from archdsl.modules.layers import ResidualBlock, mlp

        return ResidualBlock(
            x.channels, self.norm, self.mixer(x), mlp(self.mlp, x.channels), self.layer_scale, self.local_perception
        )


class Stage(Part):
    """Blocks at one resolution and width; keeps both."""

    kind = "stage"

    depth: Depth
    position_embedding: Annotated[Flag, Field(description="learned, added once at entry")] = False
    out_norm: Annotated[
        Literal["never", "features", "always"],
        Field(description="who gets the output normed: nobody, a dense-prediction build, or every reader"),
        Knob(("never", "features", "always")),
    ] = "features"

    def blocks_in_order(self) -> Iterator[Block]:
        """The `depth` blocks, first to last."""
        raise NotImplementedError

    def parts(self) -> tuple[tuple[tuple[str | int, ...], Block], ...]:
        """Each written block with its place in the stage's document."""
        raise NotImplementedError

    def out(self, x: Map) -> Map:
        """Raises `ShapeError` where a block does not fit; gives x."""
        for place, block in self.parts():
            try:
                block.out(x)
            except ShapeError as error:
                raise error.inside(place) from None
        return x

    def cost(self, x: Map, read: frozenset[str] = ALL_PORTS, features: bool = False) -> Cost:
        """The whole stage. `read` are the ports that have a reader; with `features` its map is handed out.

        A port that nobody reads is not computed, and what serves only it is not counted.
        """
        tokens, normed = self._tokens(read), self._normed_ports(read, features)
        entry = 2 * x.elements if self.position_embedding or tokens else x.elements
        total = Cost(self._own_params(x, tokens), 0, entry)
        for block in self.blocks_in_order():
            total = total.then(block.cost(x, tokens) if tokens else block.cost(x))
        return total.then(Cost(2 * x.channels * len(normed), 0, (3 if normed else 2) * x.elements))

    def build(self, x: Map, read: frozenset[str] = ALL_PORTS, features: bool = False) -> nn.Module:
        """The stage's module; `read` and `features` as in `cost`."""
        from archdsl.modules.layers import norm
        from archdsl.modules.stage import PositionEmbedding, Stage

        tokens, blocks = self._tokens(read), list(self.blocks_in_order())
        position = None
        if self.position_embedding:
            position = PositionEmbedding(x.channels, x.height, x.width, self._token_rows())
        return Stage(
            [self._build_block(block, x, tokens) for block in blocks],
            position,
            x.channels if tokens else None,
            {port: norm(blocks[-1].norm, x.channels) for port in self._normed_ports(read, features)},
            self.out_norm == "always",
        )

    def _build_block(self, block: Block, x: Map, tokens: int) -> nn.Module:
        return block.build(x)

    def _tokens(self, read: frozenset[str]) -> int:
        """Tokens that go through the blocks beside the map, where they have a reader."""
        return 0

    def _token_rows(self) -> int:
        """Rows of the position table that are a token's; they stay where the token has no reader."""
        return 0

    def _own_params(self, x: Map, tokens: int) -> int:
        rows = x.positions + self._token_rows()
        return x.channels * (self.position_embedding * rows + tokens)

    def _normed_ports(self, read: frozenset[str], features: bool) -> tuple[str, ...]:
        if self.out_norm == "always":
            return tuple(port for port in self.gives if port in read)
        return ("pixels",) if features and self.out_norm == "features" else ()


Block.stage = Stage
