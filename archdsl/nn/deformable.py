"""Attention to keys that are sampled at learned offsets, of both generations, and to averages in their place."""

from __future__ import annotations

from typing import Literal, TypeAlias

from archdsl.families.dat import modules as dat
from archdsl.families.dat import spec as dat_spec
from archdsl.families.datpp import modules as datpp
from archdsl.families.datpp import spec as datpp_spec
from archdsl.nn.arguments import Fields, Size, check_table_has_size, chosen, declared, map_of, refusal
from archdsl.nn.maps import LastInsideShown, SamplingShown

DatOffsets: TypeAlias = Literal["scaled", "free", "squashed"] | Fields
DatBias: TypeAlias = Literal["sampled", "depthwise", "none"]
PlusOffsets: TypeAlias = Literal["clamped", "scaled"] | Fields
PlusBias: TypeAlias = Literal["sampled", "log", "fixed", "depthwise", "none"] | Fields


class DeformableAttention(SamplingShown, dat.DeformableAttention):
    """Attention of all positions to keys sampled at learned offsets, as in DAT (arXiv:2201.00520, section 3.2).

    (B, C, H, W) -> (B, C, H, W), for any H and W. Each group of channels has offsets of its own, which a small
    convolutional network makes of the queries; keys and values are sampled bilinearly there, and count 0 outside the
    map. Sampling is done in float32 where the map is of half precision.

    Args:
        channels: of the map; a multiple of `heads`.
        heads: 1 to 256; a multiple of `groups`.
        groups: groups of channels that are sampled apart, 1 to 256.
        kernel: side of the convolution in the offset network, 1 to 31.
        stride: distance between keys, in positions, 1 to 16.
        size: side, or (height, width), of the map that the table of "sampled" is made for; at another size the table is
            resized bicubically.
        offsets: "scaled" (tanh, to 2 halves of the distance between keys; `{"type": "scaled", "range": 3}` for
            another range), "free", or "squashed" (tanh of the whole place).
        position_bias: "sampled" (a table a head, read bilinearly at the displacement of query and key), "depthwise" (a
            3x3 convolution of the queries, added to the result), or "none".
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, `heads` does not divide `channels`, `groups` not `heads`, or "sampled"
            has no `size`.
        ShapeError: when called, the map does not have these channels, or has no position.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        groups: int,
        kernel: int,
        stride: int = 1,
        size: Size | None = None,
        offsets: DatOffsets = "scaled",
        position_bias: DatBias = "sampled",
        *,
        channels_last: bool = False,
    ) -> None:
        x = map_of(self, channels, size)
        spec = declared(
            self,
            dat_spec.Deformable,
            x,
            heads=heads,
            groups=groups,
            kernel=kernel,
            stride=stride,
            offsets=chosen(offsets),
            position_bias=chosen(position_bias),
        )
        check_table_has_size(self, spec.position_bias.type, size)
        network, bias = spec.offset_network(channels), spec.bias_module(x)
        super().__init__(channels, spec.heads, spec.groups, network, spec.offsets, bias)
        self.take_maps(channels, channels_last)


class DeformablePlusAttention(SamplingShown, datpp.DeformablePlusAttention):
    """Attention of all positions to keys sampled at learned offsets, as in DAT++ (arXiv:2309.01430, section 3).

    (B, C, H, W) -> (B, C, H, W). As `DeformableAttention`, but the keys start from another grid, and by default their
    places are clamped to the map instead of their offsets being bounded. A map must hold two keys a side.

    Args:
        channels: of the map; a multiple of `heads`.
        heads: 1 to 256; a multiple of `groups`.
        groups: groups of channels that are sampled apart, 1 to 256.
        kernel: side of the convolution in the offset network, 1 to 31; not padded where it equals `stride`.
        stride: distance between keys, in positions, 1 to 16.
        size: side, or (height, width), of the map that the tables of "sampled" and "fixed" are made for. At another
            size "sampled" is read at the same shares of the map, "fixed" is resized bicubically.
        offsets: "clamped", or "scaled" (tanh, to 2 distances between keys; `{"type": "scaled", "range": 3}` for
            another range). Keys without offsets are `PooledAttention`.
        position_bias: "sampled" (a table a head, read bilinearly at the displacement of query and key), "log" (an MLP
            of the displacement's logarithm; `{"type": "log", "hidden": 64}`), "fixed" (a table by query and key),
            "depthwise" (a 3x3 convolution of the queries, added to the result), or "none".
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, `heads` does not divide `channels`, `groups` not `heads`, a map of
            `size` does not hold two keys a side, or a table has no `size`.
        ShapeError: when called, the map does not have these channels, or does not hold two keys a side.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        groups: int,
        kernel: int,
        stride: int,
        size: Size | None = None,
        offsets: PlusOffsets = "clamped",
        position_bias: PlusBias = "sampled",
        *,
        channels_last: bool = False,
    ) -> None:
        x = map_of(self, channels, size)
        spec = declared(
            self,
            datpp_spec.DeformablePlus,
            x,
            heads=heads,
            groups=groups,
            kernel=kernel,
            stride=stride,
            offsets=chosen(offsets),
            position_bias=chosen(position_bias),
        )
        if spec.offsets.type == "none":
            raise refusal(self, 'offsets must be "clamped" or "scaled"; use PooledAttention for keys without offsets')
        check_table_has_size(self, spec.position_bias.type, size)
        network, bias = spec.offset_network(channels), spec.bias_module(x)
        super().__init__(channels, spec.heads, spec.groups, network, spec.reach, bias)
        self.take_maps(channels, channels_last)


class PooledAttention(LastInsideShown, datpp.PooledAttention):
    """Attention of all positions to averages over squares of them: DAT++ without offsets (arXiv:2309.01430).

    (B, C, H, W) -> (B, C, H, W). Rows and columns that the stride does not divide are left out of the averages.

    Args:
        channels: of the map; a multiple of `heads`.
        heads: 1 to 256.
        stride: side of the square that one key is the average of, in positions, 1 to 16.
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, or `heads` does not divide `channels`.
        ShapeError: when called, the map does not have these channels, or does not hold one average.
    """

    def __init__(self, channels: int, heads: int, stride: int, *, channels_last: bool = False) -> None:
        spec = declared(
            self,
            datpp_spec.DeformablePlus,
            map_of(self, channels),
            heads=heads,
            groups=1,
            kernel=1,
            stride=stride,
            offsets=chosen("none"),
        )
        super().__init__(channels, spec.heads, spec.stride)
        self.take_maps(channels, channels_last)
