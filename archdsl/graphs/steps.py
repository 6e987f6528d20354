"""A network in the order in which it runs: every node with all that is known of it statically."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.errors import Problem, SpecError
from archdsl.families.common.base import Head
from archdsl.families.common.stage import Stage
from archdsl.language.arguments import check_spec
from archdsl.language.checking.draft import Draft
from archdsl.language.checking.links import Link, Links, link
from archdsl.language.checking.shape_flow import flow, inputs_of
from archdsl.language.document import Header, Spec
from archdsl.shape import Map, Shape

if TYPE_CHECKING:
    import networkx as nx


class Step(NamedTuple):
    """A node with everything that is known of it statically."""

    node: Any
    links: tuple[Link, ...]
    inputs: tuple[Shape, ...]
    outputs: dict[str, Shape]
    read: frozenset[str]
    """The ports that have a reader; what nobody reads is not built."""
    feature: bool
    """Whether a dense-prediction build hands its map out."""

    def arguments(self, spec: Header) -> tuple[Any, ...]:
        """What the part's `cost` and `build` are called with."""
        if isinstance(self.node, Head):
            return (*self.inputs, spec.classes)
        if isinstance(self.node, Stage):
            x, semantics = (*self.inputs, None)[:2]
            return (x, semantics, self.read, self.feature)
        return self.inputs


@lru_cache(maxsize=4096)
def plan(spec: Spec, features_only: bool = False) -> tuple[Step, ...]:
    """The steps of a network in the order in which they run.

    With `features_only` the nodes that the handed-out maps do not need are left out, the head among them.

    Raises:
        SpecError: for a document that does not hold together (one made in Python; a loaded one does), or that has no
            map to hand out.
    """
    problems: list[Problem] = []
    draft = Draft({"nodes": [{"id": node.id, "from": node.from_} for node in spec.nodes]}, spec, spec.nodes, [])
    links = link(draft, problems)
    outputs = flow(draft, links, problems)
    if problems:
        raise SpecError(problems)
    features = frozenset(feature_nodes(spec, outputs)) if features_only else frozenset[int]()
    if features_only and not features:
        rule = "a dense-prediction build hands out the maps of stages; there is none"
        raise SpecError([Problem(("nodes",), rule, None, 'add a stage, or list nodes in "features"')])
    kept, read = _needed(spec, links, features, features_only)
    return tuple(
        Step(
            spec.nodes[index],
            _renumbered(kept[index], kept),
            inputs_of(spec, kept[index], outputs) or (),
            outputs[index] or {},
            read[index],
            index in features,
        )
        for index in sorted(kept)
    )


def feature_nodes(spec: Spec, outputs: list[dict[str, Shape] | None]) -> list[int]:
    """The nodes whose maps a dense-prediction build hands out: those listed, else the last stage of a resolution."""
    if spec.features is not None:
        return [next(i for i, node in enumerate(spec.nodes) if node.id == name) for name in spec.features]
    last: dict[int, int] = {}
    for index, node in enumerate(spec.nodes):
        pixels = (outputs[index] or {}).get("pixels")
        if isinstance(node, Stage) and isinstance(pixels, Map):
            last[pixels.stride] = index
    return [last[stride] for stride in sorted(last)]


def map_steps(spec: Spec, steps: tuple[Step, ...]) -> list[Step]:
    """The steps of a plan whose maps a dense-prediction build hands out, as far as the plan has them computed."""
    outputs = {step.node.id: step.outputs for step in steps}
    named = feature_nodes(spec, [outputs.get(node.id) for node in spec.nodes])
    names = {spec.nodes[index].id for index in named}
    return [step for step in steps if step.node.id in names and _has_map(step)]


def _has_map(step: Step) -> bool:
    """Whether a step gives its own map: beside semantics one that nobody reads is passed on as it came."""
    return "pixels" in step.outputs and ("pixels" in step.read or "semantics" not in step.outputs)


def _needed(
    spec: Spec, links: list[Links | None], features: frozenset[int], features_only: bool
) -> tuple[dict[int, Links], list[frozenset[str]]]:
    """The nodes that are built, each with the links that it uses, and the ports of every node that have a reader.

    Readers stand after what they read, so one pass from the end knows them all.
    """
    kept: dict[int, Links] = {}
    read: list[frozenset[str]] = [frozenset({"pixels"} if index in features else ()) for index in range(len(links))]
    for index in reversed(range(len(links))):
        node = spec.nodes[index]
        if not read[index] and (features_only or not isinstance(node, Head)):
            continue
        kept[index] = links[index] or ()
        if isinstance(node, Stage):
            ports = node.needs(read[index])
            kept[index] = tuple(one for one, port in zip(kept[index], node.reads, strict=True) if port in ports)
        for source, port in kept[index]:
            read[source] |= {port}
    return kept, read


def _renumbered(links: Links, kept: Iterable[int]) -> Links:
    order = {index: place for place, index in enumerate(sorted(kept))}
    return tuple(Link(order[source], port) for source, port in links)


def graph(spec: Spec) -> nx.DiGraph[str]:
    """The document as a networkx graph.

    Nodes are named by their ids, with `type`, `kind`, `node` (the declaration), `shape` (the first port's; the head's
    is its logits) and `shapes` by port; edges carry `shape` and `port`, and `ports` with a shape each where one source
    serves several.
    """
    import networkx as nx

    check_spec("graph", spec)
    drawn: nx.DiGraph[str] = nx.DiGraph(name=spec.name)
    steps = plan(spec)
    for step in steps:
        shape = next(iter(step.outputs.values()))
        node = step.node
        drawn.add_node(node.id, type=node.type, kind=node.kind, node=node, shape=shape, shapes=step.outputs)
    for step in steps:
        for (source, port), shape in zip(step.links, step.inputs, strict=False):
            edge = (steps[source].node.id, step.node.id)
            ports = {**drawn.edges[edge]["ports"], port: shape} if drawn.has_edge(*edge) else {port: shape}
            drawn.add_edge(*edge, port=next(iter(ports)), shape=next(iter(ports.values())), ports=ports)
    return drawn
