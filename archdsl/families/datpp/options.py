"""How far DAT++'s sampled keys may move, and how its attention knows positions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from archdsl.families.common.fields import (
    DepthwiseBias,
    Integer,
    NoBias,
    Number,
    SampledBias,
    SubObject,
    tag_of,
)


class FixedBias(SubObject):
    """A learned table by query and key, whatever the offsets; resized bicubically at another size."""

    type: Literal["fixed"]


class LogBias(SubObject):
    """An MLP of the logarithm of the displacement, as Swin V2's."""

    type: Literal["log"]
    hidden: Annotated[Integer, Field(ge=1, le=1024, description="channels inside")] = 32


class ClampedOffsets(SubObject):
    """Offsets without a bound; the places are clamped to the map."""

    type: Literal["clamped"]


class TanhOffsets(SubObject):
    """Offsets bounded by tanh to `range` distances between keys; places may leave the map, which is 0 outside."""

    type: Literal["scaled"]
    range: Annotated[Number, Field(ge=0, le=64, description="largest offset, in distances between keys")] = 2


class NoOffsets(SubObject):
    """No offsets: keys are averages over `stride` x `stride` positions, without a bias."""

    type: Literal["none"]


PlusOffsets = Annotated[
    Annotated[ClampedOffsets, Tag("=clamped")]
    | Annotated[TanhOffsets, Tag("=scaled")]
    | Annotated[NoOffsets, Tag("=none")],
    Discriminator(tag_of),
    Field(description="how the offsets of keys are bounded"),
]

PlusBias = Annotated[
    Annotated[NoBias, Tag("=none")]
    | Annotated[SampledBias, Tag("=sampled")]
    | Annotated[DepthwiseBias, Tag("=depthwise")]
    | Annotated[FixedBias, Tag("=fixed")]
    | Annotated[LogBias, Tag("=log")],
    Discriminator(tag_of),
    Field(description="position bias of the attention"),
]
