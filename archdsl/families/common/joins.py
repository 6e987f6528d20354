"""Where branches meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from archdsl.errors import ShapeError
from archdsl.families.common.base import Join
from archdsl.shape import Cost, Map

if TYPE_CHECKING:
    from torch import nn


class AddJoin(Join):
    """The sum of equal maps."""

    type: Literal["add_join"]

    def out(self, *maps: Map) -> Map:
        """The shape that all maps have."""
        shapes = [str(x) for x in maps]
        if len(set(shapes)) > 1:
            remedy = "give the branches one width and resolution, or use concat_join for maps of one size"
            raise ShapeError("add_join needs equal maps", " and ".join(shapes), remedy)
        return maps[0]

    def cost(self, *maps: Map) -> Cost:
        """No parameters; the running sum beside the maps."""
        running = 1 if len(maps) == 2 else 2
        return Cost(0, 0, (len(maps) + running) * maps[0].elements)

    def build(self, *maps: Map) -> nn.Module:
        """(B, C, H, W) each -> (B, C, H, W)"""
        from archdsl.families.common import join_modules as joins

        return joins.AddJoin()


class ConcatJoin(Join):
    """Maps of equal size, channel after channel in the order of the sources."""

    type: Literal["concat_join"]

    def out(self, *maps: Map) -> Map:
        """Widths add up."""
        if len({(x.height, x.width) for x in maps}) > 1:
            shapes = " and ".join(str(x) for x in maps)
            raise ShapeError("concat_join needs maps of one size", shapes, "bring the branches to one resolution")
        return Map(sum(x.channels for x in maps), maps[0].height, maps[0].width, maps[0].stride)

    def cost(self, *maps: Map) -> Cost:
        """No parameters; all maps and their copy."""
        return Cost(0, 0, 2 * sum(x.elements for x in maps))

    def build(self, *maps: Map) -> nn.Module:
        """(B, C_i, H, W) each -> (B, sum of C_i, H, W)"""
        from archdsl.families.common import join_modules as joins

        return joins.ConcatJoin()
