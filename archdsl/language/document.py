"""The arch document: one backbone, frozen once read."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import Field

from archdsl import late
from archdsl.language.header import Header
from archdsl.language.nodes import Node, node_models
from archdsl.language.plan import LinkedGraph, Step, graph_of_nodes, steps_of
from archdsl.language.type_forms import annotated, make_model, tuple_of, union

T = TypeVar("T")


class Spec(Header):
    """A backbone: its header and its nodes, in an order in which every node stands after all that it reads."""

    # What is worked out of the document stands in slots, beside pydantic's fields: it is no part of what is compared,
    # hashed, copied or pickled, so that a copy with another image or other classes works it out anew.
    __slots__ = ("_graph", "_known", "_steps")

    nodes: Annotated[tuple[Any, ...], Field(min_length=3, max_length=256)]  # `spec_model` narrows this

    def __repr__(self) -> str:
        """`Spec('litv2_s', image 224x224, 9 nodes)`; the document itself is `to_json()`."""
        height, width = self.image_size
        return f"Spec({self.name!r}, image {height}x{width}, {len(self.nodes)} nodes)"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """What a notebook shows: the nodes with shapes and costs, and the picture."""
        html: str = late.call("spec_html", self)
        return html

    def node(self, name: str) -> Node:
        """The node with that id."""
        nodes: tuple[Node, ...] = self.nodes
        return next(node for node in nodes if node.id == name)

    def plan(self, features_only: bool = False) -> tuple[Step, ...]:
        """The steps of the network in the order in which they run, worked out once.

        With `features_only` the nodes that the handed-out maps do not need are left out, the head among them.

        Raises:
            SpecError: the nodes do not hold together (of a document made in Python; a loaded one does), or there is no
                map to hand out.
        """
        steps: dict[bool, tuple[Step, ...]] = getattr(self, "_steps", {})
        if features_only not in steps:
            graph = getattr(self, "_graph", None) or graph_of_nodes(self, self.nodes)
            steps = {**steps, features_only: steps_of(self, self.nodes, graph, features_only)}
            self.keep(graph)
            object.__setattr__(self, "_steps", steps)
        return steps[features_only]

    def keep(self, graph: LinkedGraph) -> None:
        """Keep the links and shapes that the check of this document's nodes found."""
        object.__setattr__(self, "_graph", graph)

    def once(self, what: Hashable, work: Callable[[], T]) -> T:
        """What `work` makes of this document: worked out the first time that `what` is asked for, and kept."""
        known: dict[Hashable, Any] = getattr(self, "_known", {})
        if what not in known:
            known = {**known, what: work()}
            object.__setattr__(self, "_known", known)
        made: T = known[what]
        return made

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
    several = annotated(tuple_of(union(nodes)), [Field(min_length=3, max_length=256)])
    return make_model("Spec", Spec, {"nodes": (several, ...)}, Spec.__doc__)
