"""What DAT's blocks share, and its attention inside windows (arXiv:2201.00520, section 3.3, after Swin)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from archdsl.families.common.block import Block
from archdsl.families.common.fields import (
    Heads,
    Knob,
    MapBias,
    RelativeBias,
    Window,
)
from archdsl.families.common.rules import check_heads
from archdsl.families.dat import names
from archdsl.shape import Cost, Map

if TYPE_CHECKING:
    from torch import nn


class DatBlock(Block):
    """What DAT's blocks share: the published names of their MLPs."""

    mixer_names: ClassVar[Mapping[str, str]] = {}

    @property
    def published(self) -> Mapping[str, str]:  # type: ignore[override]  # depends on the document
        """Those of the mixer, then of the MLP that it has."""
        return {**self.mixer_names, **(names.PLAIN_MLP if self.mlp.type == "plain" else names.CONV_MLP)}


class WindowBlock(DatBlock):
    """Attention inside windows, with a bias by displacement (section 3.3, after Swin)."""

    type: Literal["window"]
    heads: Heads
    window: Annotated[Window, Knob((4, 7))] = 7
    position_bias: Annotated[MapBias, Knob(({"type": "none"}, {"type": "relative"}))] = RelativeBias(type="relative")

    mixer_names: ClassVar[Mapping[str, str]] = {
        "proj_qkv": "qkv",
        "proj_out": "proj",
        "relative_position_bias_table": "bias.table",
    }

    def mixer_out(self, x: Map) -> None:
        """Heads divide the width; a map that the window does not divide is padded."""
        check_heads(x.channels, self.heads)

    def mixer_cost(self, x: Map, tokens: int = 0) -> Cost:
        """On the padded map: projections, scores and their product with v inside windows."""
        C, N, area = x.channels, self.padded(x).positions, self.window**2
        params = 4 * (C * C + C) + self._biased * (2 * self.window - 1) ** 2 * self.heads
        padded = C * N if x.positions != N else 0
        return Cost(params, 4 * N * C * C + 2 * N * area * C, padded + self._alive_inside(C, N))

    def _alive_inside(self, C: int, N: int) -> int:
        """Elements beside the padded map: q, k, v, and with them the bias as it is made, or scores and the result."""
        bias = self._biased * self.heads * self.window**4  # of all pairs of a window, a head
        scores = self.heads * N * self.window**2
        return 3 * N * C + max(self._table_alive, bias + scores + N * C)

    @property
    def _table_alive(self) -> int:
        """The table head by head, and the bias of all pairs of a window twice, in the table's order and in theirs."""
        return self._biased * self.heads * ((2 * self.window - 1) ** 2 + 2 * self.window**4)

    @property
    def _biased(self) -> bool:
        return self.position_bias.type == "relative"

    def padded(self, x: Map) -> Map:
        """Whole windows."""
        return x.in_windows(self.window)

    def mixer(self, x: Map) -> nn.Module:
        """(B, H, W, C) -> (B, H, W, C)"""
        from archdsl.families.common import windows

        return windows.WindowAttention(x.channels, self.heads, self.window, self._biased)


class ShiftedWindowBlock(WindowBlock):
    """Attention inside windows shifted by half a window, rounded up, masked where that wraps around (section 3.3)."""

    type: Literal["shifted_window"]  # type: ignore[assignment]  # another type's name

    def _alive_inside(self, C: int, N: int) -> int:
        """Beside the padded map: q, k, v copied into windows, or with them the bias, the mask that it becomes, scores.

        The mask is of all windows and heads; what tells shift_mask apart is of all windows.
        """
        area, pairs = self.window**4, N * self.window**2
        bias = self.heads * area if self._biased else self.heads
        masked, attending = bias + pairs + self.heads * pairs, 2 * self.heads * pairs + N * C
        return 3 * N * C + max(3 * N * C, self._table_alive, masked, attending)

    def mixer(self, x: Map) -> nn.Module:
        """(B, H, W, C) -> (B, H, W, C)"""
        from archdsl.families.common import windows

        return windows.ShiftedWindowAttention(x.channels, self.heads, self.window, self._biased)
