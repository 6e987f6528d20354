"""DAT++: Spatially Dynamic Vision Transformer with Deformable Attention (arXiv:2309.01430).

Attention to the nearest positions and to keys sampled at learned offsets take turns; stem and merges overlap, every
block starts with a depthwise convolution. Differs from the published code in that images of 32 pixels and less, where
it gives NaN, are refused where a stage has one key a side, and that every table runs at any size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from archdsl.errors import ShapeError
from archdsl.families.common.base import Stem
from archdsl.families.common.fields import (
    Heads,
    Integer,
    Kernel,
    Knob,
    LayerNorm,
    Norm,
    SampledBias,
    Width,
)
from archdsl.families.common.rules import check_groups, check_heads, check_norm
from archdsl.families.datpp import names
from archdsl.families.datpp.neighborhood import PlusBlock
from archdsl.families.datpp.options import ClampedOffsets, LogBias, PlusBias, PlusOffsets, TanhOffsets
from archdsl.json_types import JsonObject
from archdsl.shape import Cost, Map

if TYPE_CHECKING:
    from torch import nn

    from archdsl.families.datpp.modules import OffsetNetwork


class ConvStem(Stem):
    """Two convolutions 3x3/2: to half the width, norm, GELU; to the width, norm."""

    type: Literal["conv_stem"]
    width: Width
    norm: Norm = LayerNorm(type="layer")

    def out(self, image: Map) -> Map:
        """Two halvings, each rounded up."""
        if self.width % 2:
            remedy = f"use {self.width + 1}"
            raise ShapeError("the width must be even", f"width {self.width}", remedy, "width")
        check_norm(self.width // 2, self.norm)
        first = self._first(image)
        return Map(self.width, -(-first.height // 2), -(-first.width // 2), image.stride * 4)

    def cost(self, image: Map) -> Cost:
        """Two convolutions and two norms; alive at most beside the image: two of the first maps, or of the last."""
        first, out, half = self._first(image), self.out(image), self.width // 2
        params = 9 * image.channels * half + 3 * half + 9 * half * self.width + 3 * self.width
        macs = first.positions * 9 * image.channels * half + out.positions * 9 * half * self.width
        return Cost(params, macs, image.elements + 2 * max(first.elements, out.elements))

    def build(self, image: Map) -> nn.Module:
        """(B, channels, H, W) -> (B, width, H / 4, W / 4), each half rounded up"""
        from archdsl.families.common import layers
        from archdsl.families.datpp import modules as datpp

        norms = (layers.norm(self.norm, channels) for channels in (self.width // 2, self.width))
        return datpp.ConvStem(image.channels, self.width, *norms)

    def _first(self, image: Map) -> Map:
        """The map between the convolutions."""
        return Map(self.width // 2, -(-image.height // 2), -(-image.width // 2), image.stride * 2)


_EVERY_OFFSETS = ({"type": "clamped"}, {"type": "scaled"}, {"type": "none"})
_EVERY_BIAS = tuple({"type": name} for name in ("none", "sampled", "depthwise", "fixed", "log"))


class DeformablePlus(PlusBlock):
    """Attention of all positions to keys sampled at learned offsets (section 3), or to averages."""

    type: Literal["deformable_plus"]
    heads: Heads
    groups: Annotated[
        Integer,
        Field(ge=1, le=256, description="groups of channels with keys of their own; must divide heads"),
        Knob((2, 1)),
    ]
    kernel: Annotated[Kernel, Field(description="side of the convolution in the offset network"), Knob((3, 5, 7, 9))]
    stride: Annotated[Integer, Field(ge=1, le=16, description="distance between keys, in positions"), Knob((1, 2, 4))]
    offsets: Annotated[PlusOffsets, Knob(_EVERY_OFFSETS)] = ClampedOffsets(type="clamped")
    position_bias: Annotated[PlusBias, Knob(_EVERY_BIAS)] = SampledBias(type="sampled")

    mixer_names: ClassVar[Mapping[str, str]] = names.DEFORMABLE
    mixer_convolutions = names.DEFORMABLE_CONVOLUTIONS

    @property
    def bias(self) -> str:
        """The kind of bias there is: averages have none."""
        return "none" if self.offsets.type == "none" else self.position_bias.type

    def effective(self) -> JsonObject:
        """Equal networks: averages have neither a bias nor what the offset network is made of."""
        if self.offsets.type != "none":
            return {}
        return {"position_bias": {"type": "none"}, "groups": None, "kernel": None}

    def mixer_out(self, x: Map) -> None:
        """Heads divide the width, groups the heads; the map holds at least 2 keys per side (1 without offsets)."""
        check_heads(x.channels, self.heads)
        check_groups(self.heads, self.groups)
        fewest, side = (1 if self.offsets.type == "none" else 2), min(x.height, x.width)
        if self._keys(side, self.stride) < fewest:
            fit = next((s for s in range(self.stride - 1, 0, -1) if self._keys(side, s) >= fewest), None)
            rule = f"at least {fewest} key{'s' * (fewest - 1)} per side must fit on the map of {x.height}x{x.width}"
            remedy = "use a larger image" if fit is None else f"use stride {fit} or a larger image"
            raise ShapeError(rule, f"kernel {self.kernel} at stride {self.stride}", remedy, "stride")

    def mixer_cost(self, x: Map, tokens: int = 0) -> Cost:
        """Projections of N queries and P keys, the offset network, scores and their product with v; no sampling."""
        C, N = x.channels, x.positions
        P = self._keys(x.height, self.stride) * self._keys(x.width, self.stride)
        params = 4 * (C * C + C)  # q, k, v and the output
        macs = 2 * N * C * C + 2 * P * C * C + 2 * N * P * C  # these projections; scores, and their product with v
        if self.offsets.type == "none":
            to_keys = 3 * P * C  # the averages, k and v
            attending = 2 * P * C + self.heads * N * P + N * C  # k, v, scores and the result
            return Cost(params, macs, N * C + max(to_keys, attending, 2 * N * C))
        params += (self.kernel**2 + 5) * C // self.groups  # a group's depthwise convolution, its norm, a Linear to y, x
        params += self._bias_params(x, P)
        macs += P * C * (self.kernel**2 + 2)  # the offset network
        if self.bias == "depthwise":
            macs += 9 * N * C
        return Cost(params, macs, N * C + max(self._offsets_alive(C, P), self._attention_alive(C, N, P)))

    def _bias_params(self, x: Map, P: int) -> int:
        if isinstance(self.position_bias, LogBias):
            return self.position_bias.hidden * (3 + self.heads // self.groups)
        sizes = {
            "none": 0,
            "sampled": self.heads * (2 * x.height - 1) * (2 * x.width - 1),
            "depthwise": 10 * x.channels,
            "fixed": self.heads * x.positions * P,
        }
        return sizes[self.position_bias.type]

    def _offsets_alive(self, C: int, P: int) -> int:
        """Elements alive beside q, at the worst moment of the offset network and of making places of its offsets."""
        coordinates = self.groups * P  # one of the two coordinates of every key of every group
        convolved = C * self.kernel**2 + C + P * C  # weights and biases repeated a group, and the map that they give
        normed = 2 * P * C  # a norm or a GELU: the map before and after
        to_offsets = P * C + 2 * coordinates  # the last Linear: the map and the offsets
        to_places = 6 * coordinates  # the offsets, each coordinate as it is bounded, and both as places
        return max(convolved, normed, to_offsets, to_places)

    def _attention_alive(self, C: int, N: int, P: int) -> int:
        """Elements alive beside q, from the sampling of the keys to the projection of the result."""
        scores, places = self.heads * N * P, 2 * self.groups * P
        keys_and_values = 2 * P * C
        samples = P * C
        bias, making_bias = self._bias_alive(N, P)
        attending = bias + scores + N * C  # the bias, the scores that it is added to, and the result
        ending = (2 + (self.bias == "depthwise")) * N * C  # the result projected; the queries' convolution, both added
        return max(places + keys_and_values + max(samples, making_bias, attending), ending)

    def _bias_alive(self, N: int, P: int) -> tuple[int, int]:
        """Elements of the bias, and of all that is alive at most while it is made."""
        scores, pairs = self.heads * N * P, self.groups * N * P
        displacements = 2 * pairs
        if self.bias == "sampled":
            return scores, displacements + max(2 * N, scores)  # from the queries' places, then the bias read
        if self.bias == "fixed":
            return scores, scores
        if isinstance(self.position_bias, LogBias):
            hidden = self.position_bias.hidden * pairs
            logarithm = 4 * displacements  # the displacements, their signs, and two steps of the logarithm
            swapped = 2 * self.position_bias.hidden  # the first Linear's weight, y and x exchanged
            first = displacements + swapped + hidden
            second = hidden + scores
            reordered = 2 * scores  # the result by head and its copy in that order
            return scores, max(logarithm, first, second, reordered)
        return 0, 0

    def _keys(self, side: int, stride: int) -> int:
        """Keys along a side: as many as the offset network's convolution gives, or whole averages."""
        if self.offsets.type == "none":
            return side // stride
        pad = 0 if self.kernel == stride else self.kernel // 2
        return (side + 2 * pad - self.kernel) // stride + 1

    def mixer(self, x: Map) -> nn.Module:
        """(B, H, W, C) -> (B, H, W, C)"""
        from archdsl.families.datpp import modules as datpp

        if self.offsets.type == "none":
            return datpp.PooledAttention(x.channels, self.heads, self.stride)
        network, bias = self.offset_network(x.channels), self.bias_module(x)
        return datpp.DeformablePlusAttention(x.channels, self.heads, self.groups, network, self.reach, bias)

    @property
    def reach(self) -> float | None:
        """The largest offset, in distances between keys; None where the places are clamped to the map instead."""
        return self.offsets.range if isinstance(self.offsets, TanhOffsets) else None

    def offset_network(self, channels: int) -> OffsetNetwork:
        """(B, H, W, C) -> (B, Hk, Wk, groups, yx)"""
        from archdsl.families.datpp import modules as datpp

        return datpp.OffsetNetwork(channels // self.groups, self.kernel, self.stride)

    def bias_module(self, x: Map) -> nn.Module | None:
        """The position bias for a map of that size, if there is one."""
        from archdsl.families.common import layers
        from archdsl.families.datpp import displacement

        if isinstance(self.position_bias, LogBias):
            return displacement.LogBias(self.position_bias.hidden, self.heads // self.groups)
        if self.bias == "sampled":
            return displacement.SampledBias(x.height, x.width, self.heads)
        if self.bias == "fixed":
            keys = (self._keys(x.height, self.stride), self._keys(x.width, self.stride))
            return displacement.FixedBias((x.height, x.width), keys, self.heads)
        return layers.Depthwise(x.channels, 3) if self.bias == "depthwise" else None
