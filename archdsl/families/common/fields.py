"""The fields that parts share: one meaning and one bound each, everywhere in the language.

Scalars are strict: `true` is no number and `"3"` no integer; an integer serves where a number is asked.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Strict, StrictBool, Tag

from archdsl.json_types import Json

TAG_MARK = "="
"""Starts every union tag of ours, so that pydantic's error locations can be told from keys of the document."""


KnobValue: TypeAlias = "Json | tuple[int, ...]"
"""One value of a field as a document writes it; a list of numbers as a tuple, so that a declaration cannot change."""


class Knob(NamedTuple):
    """Values that a search may try for a field; they ride on the field and show up as examples in the JSON Schema."""

    values: tuple[KnobValue, ...]


Integer = Annotated[int, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Flag = StrictBool

Width = Annotated[Integer, Field(ge=4, le=8192, description="channels out"), Knob((32, 64, 96, 128))]
Depth = Annotated[Integer, Field(ge=1, le=64, description="blocks in the stage"), Knob((1, 2, 3))]
Heads = Annotated[Integer, Field(ge=1, le=256, description="attention heads; must divide the width"), Knob((1, 2, 4))]
Window = Annotated[Integer, Field(ge=1, le=128, description="side of a window or pooling cell, in positions")]
Kernel = Annotated[Integer, Field(ge=1, le=31, description="side of the spatial convolution")]
Eps = Annotated[Number, Field(gt=0, le=1, description="added to the variance")]
Ratio = Annotated[Number, Field(ge=0.25, le=16, description="MLP hidden width / width, rounded down"), Knob((2, 3, 4))]
QkvBias = Annotated[Flag, Field(description="the projections to q, k and v have biases")]
Scale = Annotated[Number, Field(gt=0, le=10)]


class SubObject(BaseModel):
    """A mechanism chosen inside a part: `type` is always written, the rest has defaults by that type alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def tag_of(value: Json | BaseModel) -> str | None:
    """The union tag of a document's object or of a model: its `type`, marked."""
    name = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return TAG_MARK + name if isinstance(name, str) else None


def one_or_several(value: Json | tuple[str | int, ...]) -> str:
    """The union tag of a field that takes one value or a list of them."""
    return "=several" if isinstance(value, list | tuple) else "=one"


def type_name(model: type[BaseModel]) -> str:
    """The `type` that a model is written with: the one value of its Literal."""
    return str(model.model_fields["type"].annotation.__args__[0])  # type: ignore[union-attr]  # it is a Literal


# ---------------------------------------------------------------------------------------------------------- norms


class LayerNorm(SubObject):
    """Mean and variance over the channels of each position."""

    type: Literal["layer"]
    eps: Eps = 1e-5


class BatchNorm(SubObject):
    """Running mean and variance of each channel."""

    type: Literal["batch"]
    eps: Eps = 1e-5


class GroupNorm(SubObject):
    """Mean and variance over the channels of a group and all positions of a sample."""

    type: Literal["group"]
    eps: Eps = 1e-5
    groups: Annotated[
        Integer, Field(ge=1, le=256, description="groups of channels, normalised separately; must divide the channels")
    ] = 1


Norm = Annotated[
    Annotated[LayerNorm, Tag("=layer")] | Annotated[BatchNorm, Tag("=batch")] | Annotated[GroupNorm, Tag("=group")],
    Discriminator(tag_of),
    Field(description="the normalisation"),
]

# ----------------------------------------------------------------------------------------------------------- MLPs


class PlainMlp(SubObject):
    """Linear, GELU, Linear."""

    type: Literal["plain"]
    ratio: Ratio = 4


class ConvMlp(SubObject):
    """Linear, depthwise convolution, GELU, Linear (LITv2, Dual-ViT, FCViT)."""

    type: Literal["dwconv"]
    ratio: Ratio = 4
    kernel: Annotated[Kernel, Field(json_schema_extra={"not": {"multipleOf": 2}}), Knob((3, 5))] = 3


class ResidualConvMlp(SubObject):
    """As `dwconv`, the depthwise convolution added to its input (DAT++)."""

    type: Literal["dwconv_residual"]
    ratio: Ratio = 4
    kernel: Annotated[Kernel, Field(json_schema_extra={"not": {"multipleOf": 2}}), Knob((3, 5))] = 3


Mlp = Annotated[
    Annotated[PlainMlp, Tag("=plain")]
    | Annotated[ConvMlp, Tag("=dwconv")]
    | Annotated[ResidualConvMlp, Tag("=dwconv_residual")],
    Discriminator(tag_of),
    Field(description="the MLP"),
]

# -------------------------------------------------------------------------------------------------- position bias


class NoBias(SubObject):
    """No position bias."""

    type: Literal["none"]


class RelativeBias(SubObject):
    """A learned table by whole displacement, added to the attention scores."""

    type: Literal["relative"]


class SampledBias(SubObject):
    """A learned table read bilinearly at the displacement of a query and a sampled key (DAT, DAT++)."""

    type: Literal["sampled"]


class DepthwiseBias(SubObject):
    """A depthwise 3x3 convolution of the queries, added to the output of the attention (DAT, DAT++)."""

    type: Literal["depthwise"]


MapBias = Annotated[
    Annotated[NoBias, Tag("=none")] | Annotated[RelativeBias, Tag("=relative")],
    Discriminator(tag_of),
    Field(description="position bias of the attention"),
]
