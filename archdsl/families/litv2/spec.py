"""LITv2: Fast Vision Transformers with HiLo Attention (arXiv:2205.13213).

LIT with a depthwise convolution in every MLP and HiLo attention in the third stage. Differs from the published
classification code in that any map runs: one that the window does not divide is padded, one that is not square is not
taken for square.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from archdsl.families.common.block import Block
from archdsl.families.common.fields import ConvMlp, Heads, Knob, Mlp, Number, QkvBias, Window
from archdsl.families.common.rules import check_heads
from archdsl.families.litv2 import names
from archdsl.json_types import JsonObject
from archdsl.shape import Cost, Map

if TYPE_CHECKING:
    from torch import nn


class HiLo(Block):
    """HiLo attention (section 3): some heads inside windows, the others to the map averaged over them."""

    type: Literal["hilo"]
    heads: Heads
    window: Annotated[Window, Knob((1, 2, 4))]
    alpha: Annotated[Number, Field(ge=0, le=1, description="share of Lo-Fi heads"), Knob((0.0, 0.5, 0.9, 1.0))] = 0.9
    qkv_bias: QkvBias = True
    mlp: Mlp = ConvMlp(type="dwconv")

    published: ClassVar[Mapping[str, str]] = names.HILO

    @property
    def low_heads(self) -> int:
        """Heads of Lo-Fi: heads * alpha, rounded down; all of them at window 1, where there is nothing to average."""
        return self.heads if self.window == 1 else int(self.heads * self.alpha)

    def effective(self) -> JsonObject:
        """Equal networks: alpha matters by the head count that it gives."""
        return {"alpha": self.low_heads}

    def mixer_out(self, x: Map) -> None:
        """Heads divide the width; a map that the window does not divide is padded."""
        check_heads(x.channels, self.heads)

    def padded(self, x: Map) -> Map:
        """Whole windows."""
        return x.in_windows(self.window)

    def mixer_cost(self, x: Map, tokens: int = 0) -> Cost:
        """Both halves on the padded map."""
        C, s = x.channels, self.window
        rows, columns = -(-x.height // s), -(-x.width // s)
        P, N = rows * columns, rows * columns * s * s
        low = self.low_heads * C // self.heads
        high = C - low
        params = macs = 0
        if low:
            params += 3 * C * low + low * low + low + self.qkv_bias * 3 * low
            macs += N * C * low + 2 * P * C * low + 2 * N * P * low + N * low * low
        if high:
            params += 3 * C * high + high * high + high + self.qkv_bias * 3 * high
            macs += 3 * N * C * high + 2 * N * s * s * high + N * high * high
        return Cost(params, macs, self._mixer_alive(x, N, P, low))

    def _mixer_alive(self, x: Map, N: int, P: int, low: int) -> int:
        """Elements alive beside the input: the padded map, and with it Hi-Fi, Lo-Fi beside Hi-Fi's result, or both.

        Hi-Fi puts q, k, v into windows, a copy where they stand side by side, attends and puts them back. Lo-Fi
        averages for k and v beside q, attends, projects.
        """
        C, side_by_side = x.channels, x.width > self.window
        high, padded = C - low, N * C if x.positions != N else 0
        scores = (self.heads - self.low_heads) * N * self.window**2
        in_windows = max((6 if side_by_side else 5) * N * high, 4 * N * high + scores)
        if not low:
            return padded + in_windows
        averages = P * C if self.window > 1 else 0
        to_averages = N * low + 2 * P * low + max(averages, N * low + max(self.low_heads * N * P, N * low))
        return padded + max(in_windows, N * high + to_averages, 2 * N * C if high else 0)

    def mixer(self, x: Map) -> nn.Module:
        """(B, H, W, C) -> (B, H, W, C)"""
        from archdsl.families.litv2 import modules as litv2

        return litv2.HiLo(x.channels, self.heads, self.low_heads, self.window, self.qkv_bias)
