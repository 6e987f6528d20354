"""The steps of a plan with the maps that a dense-prediction build hands out, and the graph that is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.language.arguments import check_spec
from archdsl.language.document import Spec
from archdsl.language.plan import Step, feature_nodes

if TYPE_CHECKING:
    import networkx as nx


def plan(spec: Spec, features_only: bool = False) -> tuple[Step, ...]:
    """The steps of a network in the order in which they run, as `Spec.plan` gives them."""
    return spec.plan(features_only)


def map_steps(spec: Spec, steps: tuple[Step, ...]) -> list[Step]:
    """The steps of a plan whose maps a dense-prediction build hands out, as far as the plan has them computed."""
    outputs = {step.node.id: step.outputs for step in steps}
    indices = feature_nodes(spec, spec.nodes, [outputs.get(node.id, {}) for node in spec.nodes])
    names = {spec.nodes[index].id for index in indices}
    return [step for step in steps if step.node.id in names and _has_map(step)]


def _has_map(step: Step) -> bool:
    """Whether a step gives its own map: beside semantics one that nobody reads is passed on as it came."""
    return "pixels" in step.outputs and ("pixels" in step.read or "semantics" not in step.outputs)


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
