"""Attention over a map: over all of it, in windows, to the nearest positions, by frequencies."""

from __future__ import annotations

from typing import Literal, TypeVar

from torch import nn

from archdsl.families.common import windows
from archdsl.families.dat import window as dat_spec
from archdsl.families.datpp import neighborhood as datpp_spec
from archdsl.families.datpp import neighborhood_modules as datpp
from archdsl.families.lit import modules as lit
from archdsl.families.lit import spec as lit_spec
from archdsl.families.litv2 import modules as litv2
from archdsl.families.litv2 import spec as litv2_spec
from archdsl.nn.arguments import Size, check_table_has_size, chosen, declared, map_of
from archdsl.nn.maps import LastInsideShown

RelativeOrNone = Literal["relative", "none"]
_Windowed = TypeVar("_Windowed", dat_spec.WindowBlock, dat_spec.ShiftedWindowBlock, datpp_spec.Neighborhood)


class HiLo(LastInsideShown, litv2.HiLo):
    """HiLo attention (arXiv:2205.13213, section 3): some heads attend inside windows, the others to their averages.

    (B, C, H, W) -> (B, C, H, W), for any H and W. The Hi-Fi heads attend inside windows of `window` positions a side;
    the Lo-Fi heads attend from every position to the map averaged over the same windows. The channels of the Hi-Fi
    heads come first. A map that the window does not divide is zero-padded right and below, without a mask, and cut
    again.

    Args:
        channels: of the map; a multiple of `heads`.
        heads: of both kinds together, 1 to 256.
        window: side of a window, in positions, 1 to 128. At 1 there is nothing to average: all heads are Lo-Fi.
        alpha: share of Lo-Fi heads, 0 to 1; heads * alpha is rounded down.
        qkv_bias: whether the projections to queries, keys and values have biases.
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, or `heads` does not divide `channels`.
        ShapeError: when called, the map does not have these channels, or has no position.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int,
        alpha: float = 0.9,
        qkv_bias: bool = True,
        *,
        channels_last: bool = False,
    ) -> None:
        x = map_of(self, channels)
        spec = declared(self, litv2_spec.HiLo, x, heads=heads, window=window, alpha=alpha, qkv_bias=qkv_bias)
        super().__init__(channels, spec.heads, spec.low_heads, spec.window, spec.qkv_bias)
        self.take_maps(channels, channels_last)


class Attention(LastInsideShown, lit.Attention):
    """Self-attention over the whole map, with a bias by displacement if asked for (arXiv:2105.14217, section 3.2).

    (B, C, H, W) -> (B, C, H, W), for any H and W. The bias is a table by whole displacement, a column a head; at
    another size of the map than `size` it is resized bicubically.

    Args:
        channels: of the map; a multiple of `heads`.
        heads: 1 to 256.
        size: side, or (height, width), of the map that the table is made for; needed with a bias.
        position_bias: "relative" or "none".
        qkv_bias: whether the projections to queries, keys and values have biases.
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, `heads` does not divide `channels`, or a bias has no `size`.
        ShapeError: when called, the map does not have these channels, or has no position.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        size: Size | None = None,
        position_bias: RelativeOrNone = "none",
        qkv_bias: bool = True,
        *,
        channels_last: bool = False,
    ) -> None:
        x = map_of(self, channels, size)
        bias = chosen(position_bias)
        spec = declared(self, lit_spec.Attention, x, heads=heads, position_bias=bias, qkv_bias=qkv_bias)
        check_table_has_size(self, spec.position_bias.type, size)
        super().__init__(channels, spec.heads, spec.qkv_bias, spec.bias_module(x))
        self.take_maps(channels, channels_last)


class WindowAttention(LastInsideShown, windows.WindowAttention):
    """Attention inside windows, with a bias by displacement (arXiv:2201.00520, section 3.3, after arXiv:2103.14030).

    (B, C, H, W) -> (B, C, H, W), for any H and W. A map that the window does not divide is zero-padded right and below,
    without a mask, and cut again: padded positions are keys of their windows.

    Args:
        channels: of the map; a multiple of `heads`.
        heads: 1 to 256.
        window: side of a window, in positions, 1 to 128.
        position_bias: "relative", a table by whole displacement, a column a head; or "none".
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, or `heads` does not divide `channels`.
        ShapeError: when called, the map does not have these channels, or has no position.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int = 7,
        position_bias: RelativeOrNone = "relative",
        *,
        channels_last: bool = False,
    ) -> None:
        spec = _windowed(self, dat_spec.WindowBlock, channels, heads, window, position_bias)
        super().__init__(channels, spec.heads, spec.window, spec.position_bias.type == "relative")
        self.take_maps(channels, channels_last)


class ShiftedWindowAttention(LastInsideShown, windows.ShiftedWindowAttention):
    """Attention inside shifted windows, with a bias by displacement (arXiv:2201.00520, section 3.3).

    (B, C, H, W) -> (B, C, H, W), for any H and W. The windows are shifted by half a window, rounded up: by 4 for 7,
    where Swin (arXiv:2103.14030) has 3. The padded map is rolled, and positions that only rolling brought into one
    window are masked by -100. A map that the window does not divide is padded as in `WindowAttention`.

    Args:
        channels: of the map; a multiple of `heads`.
        heads: 1 to 256.
        window: side of a window, in positions, 1 to 128.
        position_bias: "relative", a table by whole displacement, a column a head; or "none".
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, or `heads` does not divide `channels`.
        ShapeError: when called, the map does not have these channels, or has no position.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int = 7,
        position_bias: RelativeOrNone = "relative",
        *,
        channels_last: bool = False,
    ) -> None:
        spec = _windowed(self, dat_spec.ShiftedWindowBlock, channels, heads, window, position_bias)
        super().__init__(channels, spec.heads, spec.window, spec.position_bias.type == "relative")
        self.take_maps(channels, channels_last)


class NeighborhoodAttention(LastInsideShown, datpp.NeighborhoodAttention):
    """Attention of each position to the positions nearest to it (arXiv:2309.01430, after arXiv:2204.07143).

    (B, C, H, W) -> (B, C, H, W), for any H and W. At the borders the window is moved inside the map, so that every
    position has as many keys; the bias goes by the true displacement. A map smaller than the window is zero-padded
    right and below, without a mask, and cut again. Plain PyTorch; the natten package is not needed.

    Args:
        channels: of the map; a multiple of `heads`.
        heads: 1 to 256.
        window: side of the square of nearest positions, odd, 1 to 127.
        position_bias: "relative", a table a head by whole displacement; or "none".
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, the window is even, or `heads` does not divide `channels`.
        ShapeError: when called, the map does not have these channels, or has no position.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int = 7,
        position_bias: RelativeOrNone = "relative",
        *,
        channels_last: bool = False,
    ) -> None:
        spec = _windowed(self, datpp_spec.Neighborhood, channels, heads, window, position_bias)
        super().__init__(channels, spec.heads, spec.window, spec.position_bias.type == "relative")
        self.take_maps(channels, channels_last)


def _windowed(
    module: nn.Module,
    kind: type[_Windowed],
    channels: int,
    heads: int,
    window: int,
    position_bias: RelativeOrNone,
) -> _Windowed:
    """The declaration of an attention inside windows.

    Raises:
        WrongUse: a value is out of its bounds, or `heads` does not divide `channels`.
    """
    x, bias = map_of(module, channels), chosen(position_bias)
    return declared(module, kind, x, heads=heads, window=window, position_bias=bias)
