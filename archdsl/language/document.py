"""The arch document: one backbone, frozen once read."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, create_model

from archdsl.families.common.fields import Integer, Number, one_or_several
from archdsl.language.nodes import Node, node_models, union
from archdsl.language.patterns import ARXIV, ID, NAME

VERSION = 1
MOST_CLASSES = 100_000
SPACE_FIELDS = ("constraints", "budgets", "objectives", "seeds")
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


class Spec(Header):
    """A backbone: its header and its nodes, in an order in which every node stands after all that it reads."""

    nodes: Annotated[tuple[Any, ...], Field(min_length=3, max_length=256)]  # `spec_model` narrows this

    def __repr__(self) -> str:
        """`Spec('litv2_s', image 224x224, 9 nodes)`; the document itself is `to_json()`."""
        height, width = self.image_size
        return f"Spec({self.name!r}, image {height}x{width}, {len(self.nodes)} nodes)"

    __str__ = __repr__

    def node(self, name: str) -> Node:
        """The node with that id."""
        found: Node = next(node for node in self.nodes if node.id == name)
        return found

    def to_json(self) -> dict[str, Any]:
        """The document again: what equals its default is left out, null where null is a value."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by its state: the class itself is made at run time, and no module holds it."""
        return _empty_spec, (), self.__getstate__()


def _empty_spec() -> Spec:
    """A spec without fields, of the class that `spec_model` makes in this process; unpickling fills it."""
    model = spec_model()
    return model.__new__(model)


def spec_model() -> type[Spec]:
    """The model of an arch document whose nodes are the declared types."""
    return _spec_model(tuple(node_models().values()))


@cache
def _spec_model(nodes: tuple[type[Node], ...]) -> type[Spec]:
    several: Any = tuple[union(list(nodes)), ...]  # type: ignore[misc]  # made at run time
    field: Any = (Annotated[several, Field(min_length=3, max_length=256)], ...)
    return create_model("Spec", __base__=Spec, __doc__=Spec.__doc__, nodes=field)
