"""The shapes that flow along the edges, from the image to the head."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.errors import Problem, ShapeError
from archdsl.families.common.inputs import Inputs
from archdsl.language.checking.draft import Draft
from archdsl.language.checking.links import Links
from archdsl.language.header import Header
from archdsl.language.nodes import Node
from archdsl.shape import Map, Shape, Tokens


def flow(draft: Draft, links: list[Links | None], problems: list[Problem]) -> list[dict[str, Shape] | None]:
    """The shape of every node's ports, or None where it cannot be known; problems are added to the list."""
    outputs: list[dict[str, Shape] | None] = []
    for index, node in enumerate(draft.nodes):
        inputs = inputs_of(draft.header, links[index], outputs)
        shapes = None
        if node is not None and inputs is not None and draft.header is not None:
            try:
                shapes = node.infer_outputs(Inputs(inputs, draft.header.classes))
            except ShapeError as error:
                problems.append(_shape_problem(draft, index, links[index] or (), inputs, error))
                shapes = _kept(node, inputs)
        outputs.append(shapes)
    return outputs


def inputs_of(
    header: Header | None, links: Links | None, outputs: Sequence[dict[str, Shape] | None]
) -> tuple[Shape, ...] | None:
    """The shapes that a node reads: the image's for a stem; None where one cannot be known."""
    if header is None or links is None:
        return None
    if not links:
        return (Map(header.channels, *header.image_size),)
    shapes = []
    for source, port in links:
        ports = outputs[source]
        if ports is None:
            return None
        shapes.append(ports[port])
    return tuple(shapes)


def _kept(node: Node, inputs: tuple[Shape, ...]) -> dict[str, Shape] | None:
    """What a stage that does not fit would give, so that one mistake does not hide those behind it: what it reads."""
    if node.kind != "stage":
        return None
    read = dict(zip(node.reads, inputs, strict=True))
    return {port: read.get(port, Tokens(inputs[0].channels)) for port in node.gives}


def _shape_problem(draft: Draft, index: int, links: Links, inputs: tuple[Shape, ...], error: ShapeError) -> Problem:
    """The rule with both ends of the edge: who reads what from whom."""
    sources = [str(draft.id_of(source)) for source, _ in links] or ["the image"]
    ends = " and ".join(f"{shape} from {source}" for shape, source in zip(inputs, sources, strict=True))
    rule = f"{error.rule} ({draft.id_of(index)} reads {ends})"
    value = None if error.value == " and ".join(map(str, inputs)) else error.value  # the ends say it already
    return Problem(("nodes", index, *error.keys), rule, value, error.remedy)
