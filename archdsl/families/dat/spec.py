"""DAT: Vision Transformer with Deformable Attention (arXiv:2201.00520).

Attention inside windows and shifted windows in the early stages, inside windows and to keys sampled at learned offsets
in the late ones. Differs from the published code, which takes square images of one size alone, in that any map runs:
windows are padded, masks are those of the map that runs, tables are resized.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Discriminator, Field, Tag

from archdsl.errors import ShapeError
from archdsl.families.common.base import Merge
from archdsl.families.common.fields import (
    DepthwiseBias,
    Flag,
    Heads,
    Integer,
    Kernel,
    Knob,
    LayerNorm,
    NoBias,
    Norm,
    SampledBias,
    Width,
    tag_of,
)
from archdsl.families.common.rules import check_groups, check_heads, check_norm
from archdsl.families.dat import names
from archdsl.families.dat.offsets import Offsets, ScaledOffsets
from archdsl.families.dat.window import DatBlock
from archdsl.shape import Cost, Map

if TYPE_CHECKING:
    from torch import nn

    from archdsl.families.dat.modules import OffsetNetwork


class ConvMerge(Merge):
    """A strided convolution, then a norm (DAT, DAT++, Dual-ViT, FCViT)."""

    type: Literal["conv_merge"]
    width: Width
    kernel: Annotated[Kernel, Knob((2, 3))] = 3
    stride: Annotated[Integer, Field(ge=1, le=16, description="input positions per output position")] = 2
    bias: Annotated[Flag, Field(description="the convolution has a bias")] = True
    norm: Norm = LayerNorm(type="layer")

    def out(self, x: Map) -> Map:
        """(H + 2p - k) // stride + 1 with p = (k - 1) // 2: kernel 2 rounds an odd map down, kernel 3 up."""
        pad = 2 * ((self.kernel - 1) // 2) - self.kernel
        if min(x.height, x.width) + pad < 0:
            values = f"kernel {self.kernel} on {x.height}x{x.width}"
            raise ShapeError("the padded map must hold the kernel", values, "use a smaller kernel", "kernel")
        check_norm(self.width, self.norm)
        height, width = (x.height + pad) // self.stride + 1, (x.width + pad) // self.stride + 1
        return Map(self.width, height, width, x.stride * self.stride)

    def cost(self, x: Map) -> Cost:
        """One convolution and a norm; alive at most beside the map: two of the smaller ones."""
        out, taps = self.out(x), x.channels * self.kernel**2
        params = taps * self.width + (self.bias + 2) * self.width
        return Cost(params, out.positions * taps * self.width, x.elements + 2 * out.elements)

    def build(self, x: Map) -> nn.Module:
        """(B, C, H, W) -> (B, width, H', W')"""
        from archdsl.families.common import layers
        from archdsl.families.dat import modules as dat

        norm = layers.norm(self.norm, self.width)
        return dat.ConvMerge(x.channels, self.width, self.kernel, self.stride, self.bias, norm)


DeformableBias = Annotated[
    Annotated[NoBias, Tag("=none")]
    | Annotated[SampledBias, Tag("=sampled")]
    | Annotated[DepthwiseBias, Tag("=depthwise")],
    Discriminator(tag_of),
    Field(description="position bias of the attention"),
]


class Deformable(DatBlock):
    """Attention of all positions to keys sampled at learned offsets (section 3.2)."""

    type: Literal["deformable"]
    heads: Heads
    groups: Annotated[
        Integer,
        Field(ge=1, le=256, description="groups of channels with keys of their own; must divide heads"),
        Knob((2, 1)),
    ]
    kernel: Annotated[Kernel, Field(description="side of the convolution in the offset network"), Knob((3, 5, 7, 9))]
    stride: Annotated[Integer, Field(ge=1, le=16, description="distance between keys, in positions"), Knob((1, 2))] = 1
    offsets: Annotated[Offsets, Knob(({"type": "scaled"}, {"type": "free"}, {"type": "squashed"}))] = ScaledOffsets(
        type="scaled"
    )
    position_bias: Annotated[DeformableBias, Knob(({"type": "none"}, {"type": "sampled"}, {"type": "depthwise"}))] = (
        SampledBias(type="sampled")
    )

    convolutions = names.DEFORMABLE_CONVOLUTIONS

    @property
    def mixer_names(self) -> Mapping[str, str]:  # type: ignore[override]  # depends on the document
        """Those of the offset network and of the bias that it has."""
        bias = names.BIAS_TABLE if self.position_bias.type == "sampled" else names.DEPTHWISE_BIAS
        return names.DEFORMABLE | bias

    def mixer_out(self, x: Map) -> None:
        """Heads divide the width, groups the heads."""
        check_heads(x.channels, self.heads)
        check_groups(self.heads, self.groups)

    def mixer_cost(self, x: Map, tokens: int = 0) -> Cost:
        """Projections of N queries and P keys, the offset network, scores and their product with v; no sampling."""
        C, N, P = x.channels, x.positions, self._keys(x)
        params = 4 * (C * C + C)  # q, k, v and the output
        params += (self.kernel**2 + 5) * C // self.groups  # a group's depthwise convolution, its norm, a Linear to y, x
        macs = 2 * N * C * C + 2 * P * C * C  # q and the output for queries, k and v for keys
        macs += 2 * N * P * C  # scores, and their product with v
        macs += P * C * (self.kernel**2 + 2)  # the offset network
        if self.position_bias.type == "sampled":
            params += self.heads * (2 * x.height - 1) * (2 * x.width - 1)
        if self.position_bias.type == "depthwise":
            params, macs = params + 10 * C, macs + 9 * N * C
        return Cost(params, macs, N * C + max(self._offsets_alive(C, P), self._attention_alive(C, N, P)))

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
        is_sampled, is_depthwise = self.position_bias.type == "sampled", self.position_bias.type == "depthwise"
        keys_and_values = 2 * P * C
        samples = P * C
        displacements = places * N  # of every query and key, a group
        making_bias = is_sampled * (displacements + max(2 * N, scores))  # from the queries' places, then the bias read
        attending = (1 + is_sampled) * scores + N * C  # scores, the bias added to them, and the result
        ending = (2 + is_depthwise) * N * C  # the result as it is projected; the queries' convolution, and both added
        return max(places + keys_and_values + max(samples, making_bias, attending), ending)

    def _keys(self, x: Map) -> int:
        """Keys of a group: (H + 2 (k // 2) - k) // stride + 1 a side."""
        pad = 2 * (self.kernel // 2) - self.kernel
        return ((x.height + pad) // self.stride + 1) * ((x.width + pad) // self.stride + 1)

    def offset_network(self, channels: int) -> OffsetNetwork:
        """(B, H, W, C) -> (B, Hk, Wk, groups, yx)"""
        from archdsl.families.dat import modules as dat

        return dat.OffsetNetwork(channels // self.groups, self.kernel, self.stride, self.kernel // 2)

    def bias_module(self, x: Map) -> nn.Module | None:
        """The position bias for a map of that size, if there is one."""
        from archdsl.families.common import layers
        from archdsl.families.dat import modules as dat

        if self.position_bias.type == "sampled":
            return dat.SampledBias(x.height, x.width, self.heads)
        return layers.Depthwise(x.channels, 3) if self.position_bias.type == "depthwise" else None

    def mixer(self, x: Map) -> nn.Module:
        """(B, H, W, C) -> (B, H, W, C)"""
        from archdsl.families.dat import modules as dat

        bias, network = self.bias_module(x), self.offset_network(x.channels)
        return dat.DeformableAttention(x.channels, self.heads, self.groups, network, self.offsets, bias)
