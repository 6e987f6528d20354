"""A stage whose blocks differ: several types in turn, cycled up to the depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from archdsl.families.common.block import Block
from archdsl.families.common.fields import type_name
from archdsl.families.common.stage import Stage


class Sequence(Stage):
    """Block i of the stage is blocks[i mod length]; `depth` need not be a multiple of the length."""

    type: Literal["sequence"]
    blocks: tuple[Block, ...]  # the schema narrows this to all declared blocks

    def label(self) -> str:
        """Its blocks in turn, then what the stage itself has beside its defaults."""
        blocks = ", ".join(f"{type_name(type(block))} {block.label()}".strip() for block in self.blocks)
        return f"{blocks} {super().label()}".strip()

    def parts(self) -> tuple[tuple[tuple[str | int, ...], Block], ...]:
        """Each written block with its place."""
        return tuple((("blocks", i), block) for i, block in enumerate(self.blocks))

    def blocks_in_order(self) -> Iterator[Block]:
        """The `depth` blocks, the written ones in turn."""
        return (self.blocks[i % len(self.blocks)] for i in range(self.depth))
