"""What a document says beside its nodes: its name, its paper, the image, the classes, how it is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from archdsl.families.common.fields import Integer, Number, one_or_several
from archdsl.language.patterns import ARXIV, ID, NAME

VERSION = 1
MOST_CLASSES = 100_000
SPACE_FIELDS = ("constraints", "budgets", "objectives", "seeds", "parent")
"""Fields that a document of kind "space" has beside those of a backbone."""

Side = Annotated[Integer, Field(ge=16, le=4096)]
Image = Annotated[
    Annotated[Side, Tag("=one")] | Annotated[tuple[Side, Side], Tag("=several")],
    Discriminator(one_or_several),
    Field(description="side of a square image, or [height, width]"),
]


class Paper(BaseModel):
    """What the authors printed; never computed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, Field(max_length=300)] | None = None
    arxiv: Annotated[str, Field(pattern=ARXIV)] | None = None
    params: Annotated[Number, Field(gt=0)] | None = None
    gmacs: Annotated[Number, Field(gt=0)] | None = None
    imagenet_top1: Annotated[Number, Field(ge=0, le=100)] | None = None
    crop: Annotated[Number, Field(gt=0, le=1)] | None = None
    url: Annotated[str, Field(max_length=500)] | None = None
    note: Annotated[str, Field(max_length=500)] | None = None


class Header(BaseModel):
    """Everything in a document but its nodes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Annotated[Annotated[str, Field(max_length=500)] | None, Field(alias="$schema")] = None
    kind: Literal["arch"]
    version: Annotated[Integer, Field(ge=1, le=VERSION)]
    name: Annotated[str, Field(pattern=NAME)]
    paper: Paper | None = None
    image: Image
    channels: Annotated[Integer, Field(ge=1, le=64)] = 3
    classes: Annotated[Integer, Field(ge=1, le=MOST_CLASSES)] = 1000
    drop_path: Annotated[Number, Field(ge=0, lt=1, description="stochastic depth rate of the last block")] = 0
    init: Literal["truncated_normal", "torch"] = "truncated_normal"
    weights: Annotated[str, Field(max_length=64, description="the scheme of published tensor names")] | None = None
    features: Annotated[tuple[Annotated[str, Field(pattern=ID)], ...], Field(min_length=1, max_length=16)] | None = None

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return (self.image, self.image) if isinstance(self.image, int) else self.image
