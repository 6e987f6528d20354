"""Node models, derived from the declarations: a declaration's fields plus what every node has.

A block type becomes a stage type: the stage's fields and the block's in one object. Nothing here knows a type by name
but `sequence`, whose blocks may be any declared ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, Field, Tag

from archdsl.families import registry
from archdsl.families.common.base import Part
from archdsl.families.common.block import Block
from archdsl.families.common.fields import one_or_several, type_name
from archdsl.families.common.sequence import Sequence
from archdsl.families.common.stage import Stage
from archdsl.language.patterns import ID, SOURCE
from archdsl.language.type_forms import FieldDefinition, annotated, make_model, tuple_of, union

MOST_BLOCKS = 64
"""Written in a sequence: as many as a stage may have."""

Source = Annotated[str, Field(pattern=SOURCE, max_length=80)]


class Node(Part):
    """What every node has: its name, and whom it reads where that is not the node before."""

    if TYPE_CHECKING:
        type: str  # each node model's own Literal

    id: Annotated[str, Field(pattern=ID, max_length=64)]
    from_: Annotated[
        Annotated[
            Annotated[Source, Tag("=one")]
            | Annotated[tuple[Source, ...], Field(min_length=1, max_length=16), Tag("=several")],
            Discriminator(one_or_several),
        ]
        | None,
        Field(alias="from", description="sources in the order of the ports; absent, the node before"),
    ] = None

    @property
    def sources(self) -> tuple[str, ...] | None:
        """The written sources, or None for the node before."""
        return (self.from_,) if isinstance(self.from_, str) else self.from_

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by its declaration, which a module holds, and its state: the node's class is made at run time."""
        return _empty_node, (type(self).__bases__[-1],), self.__getstate__()


def _empty_node(part: type[Part]) -> Node:
    """A node without fields, of the class that a declaration has in this process; unpickling fills it."""
    model = node_models()[type_name(part)]
    return model.__new__(model)


class BlockStage(Stage):
    """A stage of one block type: the block's fields stand beside the stage's."""

    def parts(self) -> tuple[tuple[tuple[str | int, ...], Block], ...]:
        """The one block, whose fields are the node's own."""
        return (((), self.block),)

    def blocks_in_order(self) -> Iterator[Block]:
        """The same block, `depth` times."""
        return (self.block for _ in range(self.depth))

    @cached_property
    def block(self) -> Block:
        """The block that the node's fields describe."""
        declared = next(base for base in type(self).__mro__ if issubclass(base, Block) and not issubclass(base, Stage))
        return declared.model_construct(**{name: getattr(self, name) for name in declared.model_fields})


def declared() -> tuple[tuple[str, type[Part]], ...]:
    """Every declared part with its type name, in order of declaration."""
    registry.load()
    return tuple((name, part) for kind in Part.kinds.values() for name, part in kind.items())


def node_models() -> dict[str, type[Node]]:
    """The node model of every type that a document can name."""
    return _node_models(declared())


@cache
def _node_models(parts: tuple[tuple[str, type[Part]], ...]) -> dict[str, type[Node]]:
    return {name: _node_model(part, parts) for name, part in parts}


def _node_model(part: type[Part], parts: tuple[tuple[str, type[Part]], ...]) -> type[Node]:
    bases: tuple[type[Part], ...] = (Node, part)
    fields: dict[str, FieldDefinition] = {}
    if issubclass(part, Block):
        bases = (Node, BlockStage, part) if part.stage is Stage else (Node, BlockStage, part.stage, part)
    elif issubclass(part, Sequence):
        members = [block for _, block in parts if issubclass(block, Block)]
        lengths = Field(min_length=1, max_length=MOST_BLOCKS, description="blocks in turn, each a type with its fields")
        fields["blocks"] = (annotated(tuple_of(union(members)), [lengths]), ...)
    model = make_model(f"{part.__name__}Node", bases, fields, part.__doc__, node=True)
    assert issubclass(model, Node)
    return model
