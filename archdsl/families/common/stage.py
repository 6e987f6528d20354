"""Stages: blocks one after another at one resolution and width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from archdsl.errors import ShapeError
from archdsl.families.common.base import Part
from archdsl.families.common.block import BOTH, Block
from archdsl.families.common.fields import Depth, Flag, Knob
from archdsl.families.common.inputs import ALL_PORTS, Inputs
from archdsl.families.common.rules import check_semantics
from archdsl.shape import Cost, Map, Shape, Tokens

if TYPE_CHECKING:
    from torch import nn


class Stage(Part):
    """Blocks at one resolution and width; keeps both.

    Where a block reads semantics, the stage reads and gives them; its other blocks pass them on.
    """

    kind = "stage"

    depth: Depth
    position_embedding: Annotated[Flag, Field(description="add a learned position table at the entry of the stage")] = (
        False
    )
    out_norm: Annotated[
        Literal["never", "features", "always"],
        Field(description="who reads a normalised output: nobody, a dense-prediction build, or every reader"),
        Knob(("never", "features", "always")),
    ] = "features"

    def blocks_in_order(self) -> Iterator[Block]:
        """The `depth` blocks, first to last."""
        raise NotImplementedError

    def parts(self) -> tuple[tuple[tuple[str | int, ...], Block], ...]:
        """Each written block with its place in the stage's document."""
        raise NotImplementedError

    @property
    def reads(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on the document
        """The map, and semantics where one of the written blocks reads them."""
        return BOTH if any("semantics" in block.reads for _, block in self.parts()) else ("pixels",)

    @property
    def gives(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on the document
        """What it reads."""
        return self.reads

    def out(self, x: Map, semantics: Tokens | None = None) -> Shape | tuple[Shape, ...]:
        """Raises `ShapeError` where a block does not fit; gives x, and the semantics if it reads them."""
        for place, block in self.parts():
            try:
                block.out(x)
            except ShapeError as error:
                raise error.inside(place) from None
        if semantics is None:
            return x
        check_semantics(x, semantics)
        return x, semantics

    def cost(
        self,
        x: Map,
        semantics: Tokens | None = None,
        read: frozenset[str] = ALL_PORTS,
        features: bool = False,
    ) -> Cost:
        """The whole stage. `read` are the ports that have a reader; with `features` its map is handed out.

        A port that nobody reads is not computed, and what serves only it is not counted.
        """
        tokens, normed = self._tokens(read), self._normed_ports(read, features)
        token_shape = Tokens(x.channels, tokens) if tokens else None
        beside = semantics.elements if semantics else 0
        total = Cost(self._own_params(x, tokens), 0, self._entry_alive(x, tokens) + beside)
        # The caller keeps the stage's inputs. Alive beside them is a map of the stage's own, once there is one, and so
        # are semantics of its own; the block that runs counts what it reads itself.
        own_map = x.elements * bool(tokens or self.position_embedding)
        own_semantics = 0
        for block, needed in self._built(read):
            block_tokens = semantics if "semantics" in block.reads else token_shape
            inputs = Inputs((x,) if block_tokens is None else (x, block_tokens), read=needed)
            cost = block.infer_cost(inputs)
            waiting_semantics = own_semantics + (0 if "semantics" in block.reads else beside)
            total = total.then(cost._replace(activations=cost.activations + own_map + waiting_semantics))
            made = needed & set(block.gives)
            own_map = x.elements if "pixels" in made else own_map
            own_semantics = beside if "semantics" in made else own_semantics
        split_tokens = 2 * tokens * x.channels  # beside the map that they are taken from
        sizes = {"pixels": x.elements, "semantics": beside, "class": tokens * x.channels}
        normed_copies = sum(sizes[port] for port in normed)
        at_exit = x.elements + own_map + split_tokens + beside + own_semantics + normed_copies
        return total.then(Cost(2 * x.channels * len(normed), 0, at_exit))

    def build(
        self,
        x: Map,
        semantics: Tokens | None = None,
        read: frozenset[str] = ALL_PORTS,
        features: bool = False,
    ) -> nn.Module:
        """The stage's module; `read` and `features` as in `cost`."""
        from archdsl.families.common.layers import norm
        from archdsl.families.common.stage_modules import PositionEmbedding, Stage, TokenStage, TwoPathStage

        position = None
        if self.position_embedding:
            position = PositionEmbedding(x.channels, x.height, x.width, self._token_rows())
        blocks = [block.build_module(Inputs((x,), read=needed)) for block, needed in self._built(read)]
        *_, last = self.blocks_in_order()
        norms = {port: norm(last.norm, x.channels) for port in self._normed_ports(read, features)} or None
        norm_all = self.out_norm == "always"
        if self._tokens(read):
            return TokenStage(blocks, x.channels, position, norms, norm_all)
        if semantics is not None:
            return TwoPathStage(blocks, "semantics" in read, position, norms, norm_all)
        return Stage(blocks, position, norms, norm_all)

    def infer_cost(self, inputs: Inputs) -> Cost:
        """What it costs for one image."""
        return self.cost(inputs.pixels, inputs.tokens, inputs.read, inputs.is_feature)

    def build_module(self, inputs: Inputs) -> nn.Module:
        """Its module, which takes what the ports hold in the order of `reads`."""
        return self.build(inputs.pixels, inputs.tokens, inputs.read, inputs.is_feature)

    def needs(self, read: frozenset[str]) -> frozenset[str]:
        """The ports that the stage uses where `read` are those that have a reader: not what is passed on to nobody."""
        used = any("semantics" in block.reads for block, _ in self._built(read))
        return frozenset(port for port in self.reads if port != "semantics" or used or port in read)

    def read_after(self, place: int, read: frozenset[str]) -> frozenset[str]:
        """The ports that are read behind the block at `place`, where `read` are those that are read behind the stage.

        Raises:
            ValueError: a block of the stage is not built, since it serves no port with a reader.
        """
        built = self._built(read)
        if len(built) != self.depth:
            raise ValueError(f"{self.depth - len(built)} of {self.depth} blocks are not built")
        return built[place][1]

    def _built(self, read: frozenset[str]) -> list[tuple[Block, frozenset[str]]]:
        """The blocks that serve a port with a reader, first to last, each with the ports that are read after it."""
        built: list[tuple[Block, frozenset[str]]] = []
        for block in reversed(list(self.blocks_in_order())):
            if "semantics" in block.reads or read != {"semantics"}:
                built.append((block, read))
            if "semantics" in block.reads:
                read = frozenset(BOTH)
        return built[::-1]

    def _tokens(self, read: frozenset[str]) -> int:
        """Tokens that go through the blocks beside the map, where they have a reader."""
        return 0

    def _token_rows(self) -> int:
        """Rows of the position table that are a token's; they stay where the token has no reader."""
        return 0

    def _entry_alive(self, x: Map, tokens: int) -> int:
        """The input, with the position embedding added, and put behind the tokens."""
        embedded = x.elements * self.position_embedding
        if not tokens:
            return x.elements + embedded
        return 2 * x.elements + embedded + tokens * x.channels * (1 + self.position_embedding)

    def _own_params(self, x: Map, tokens: int) -> int:
        rows = x.positions + self._token_rows()
        return x.channels * (self.position_embedding * rows + tokens)

    def _normed_ports(self, read: frozenset[str], features: bool) -> tuple[str, ...]:
        if self.out_norm == "always":
            return tuple(port for port in self.gives if port in read)
        return ("pixels",) if features and self.out_norm == "features" else ()


Block.stage = Stage
