"""How far DAT's sampled keys may move: read by the declaration of its attention and by the module."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from archdsl.families.common.fields import Number, SubObject, tag_of


class ScaledOffsets(SubObject):
    """Offsets bounded by tanh to `range` halves of the distance between keys: 2 reaches the next key."""

    type: Literal["scaled"]
    range: Annotated[
        Number, Field(gt=0, le=64, description="largest offset, in halves of the distance between keys")
    ] = 2


class FreeOffsets(SubObject):
    """Offsets without a bound."""

    type: Literal["free"]


class SquashedOffsets(SubObject):
    """Places, the reference points included, bounded to the map by tanh."""

    type: Literal["squashed"]


Offsets = Annotated[
    Annotated[ScaledOffsets, Tag("=scaled")]
    | Annotated[FreeOffsets, Tag("=free")]
    | Annotated[SquashedOffsets, Tag("=squashed")],
    Discriminator(tag_of),
    Field(description="how the offsets of keys are bounded"),
]
