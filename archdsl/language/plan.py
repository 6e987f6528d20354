"""A network in the order in which it runs: every node with all that is known of it statically."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from archdsl.errors import Problem, SpecError
from archdsl.families.common.base import Head
from archdsl.families.common.inputs import Inputs
from archdsl.families.common.stage import Stage
from archdsl.json_types import Json
from archdsl.language.checking.draft import Draft
from archdsl.language.checking.links import Link, Links, link
from archdsl.language.checking.shape_flow import flow, inputs_of
from archdsl.language.header import Header
from archdsl.language.nodes import Node
from archdsl.shape import Map, Shape


class LinkedGraph(NamedTuple):
    """Who reads whom, and what every node gives: by node, in document order."""

    links: tuple[Links, ...]
    outputs: tuple[dict[str, Shape], ...]


class Step(NamedTuple):
    """A node with everything that is known of it statically."""

    node: Node
    links: tuple[Link, ...]
    inputs: tuple[Shape, ...]
    outputs: dict[str, Shape]
    read: frozenset[str]
    """The ports that have a reader; what nobody reads is not built."""
    feature: bool
    """Whether a dense-prediction build hands its map out."""

    def part_inputs(self, spec: Header) -> Inputs:
        """What the node's `infer_cost` and `build_module` are called with, in the document that it is of."""
        return Inputs(self.inputs, spec.classes, self.read, self.feature)


def linked_graph(draft: Draft, problems: list[Problem]) -> LinkedGraph:
    """The links and shapes of a draft; problems are added to the list, and what they leave unknown is empty."""
    links = link(draft, problems)
    outputs = flow(draft, links, problems)
    return LinkedGraph(tuple(edges or () for edges in links), tuple(shapes or {} for shapes in outputs))


def graph_of_nodes(header: Header, nodes: Sequence[Node]) -> LinkedGraph:
    """The links and shapes of nodes that were put together in Python; a document's are known when it is checked.

    Raises:
        SpecError: the nodes do not hold together.
    """
    problems: list[Problem] = []
    written: list[Json] = [
        {"id": node.id, "from": [*node.sources] if node.sources is not None else None} for node in nodes
    ]
    graph = linked_graph(Draft({"nodes": written}, header, tuple(nodes), []), problems)
    if problems:
        raise SpecError(problems)
    return graph


def steps_of(header: Header, nodes: Sequence[Node], graph: LinkedGraph, features_only: bool) -> tuple[Step, ...]:
    """The steps in the order in which they run.

    With `features_only` the nodes that the handed-out maps do not need are left out, the head among them.

    Raises:
        SpecError: the document has no map to hand out.
    """
    features = frozenset(feature_nodes(header, nodes, graph.outputs)) if features_only else frozenset[int]()
    if features_only and not features:
        rule = "a dense-prediction build hands out the maps of stages; there is none"
        raise SpecError([Problem(("nodes",), rule, None, 'add a stage, or list nodes in "features"')])
    kept, read = _needed(nodes, graph.links, features, features_only)
    return tuple(
        Step(
            nodes[index],
            _renumbered(kept[index], kept),
            inputs_of(header, kept[index], graph.outputs) or (),
            graph.outputs[index],
            read[index],
            index in features,
        )
        for index in sorted(kept)
    )


def feature_nodes(header: Header, nodes: Sequence[Node], outputs: Sequence[dict[str, Shape]]) -> list[int]:
    """The nodes whose maps a dense-prediction build hands out: those listed, else the last stage of a resolution."""
    if header.features is not None:
        return [next(i for i, node in enumerate(nodes) if node.id == name) for name in header.features]
    last: dict[int, int] = {}
    for index, node in enumerate(nodes):
        pixels = outputs[index].get("pixels")
        if isinstance(node, Stage) and isinstance(pixels, Map):
            last[pixels.stride] = index
    return [last[stride] for stride in sorted(last)]


def _needed(
    nodes: Sequence[Node], links: Sequence[Links], features: frozenset[int], features_only: bool
) -> tuple[dict[int, Links], list[frozenset[str]]]:
    """The nodes that are built, each with the links that it uses, and the ports of every node that have a reader.

    Readers stand after what they read, so one pass from the end knows them all.
    """
    kept: dict[int, Links] = {}
    read: list[frozenset[str]] = [frozenset({"pixels"} if index in features else ()) for index in range(len(links))]
    for index in reversed(range(len(links))):
        node = nodes[index]
        if not read[index] and (features_only or not isinstance(node, Head)):
            continue
        kept[index] = links[index]
        if isinstance(node, Stage):
            ports = node.needs(read[index])
            kept[index] = tuple(edge for edge, port in zip(links[index], node.reads, strict=True) if port in ports)
        for source, port in kept[index]:
            read[source] |= {port}
    return kept, read


def _renumbered(links: Links, kept: Iterable[int]) -> Links:
    order = {index: place for place, index in enumerate(sorted(kept))}
    return tuple(Link(order[source], port) for source, port in links)
