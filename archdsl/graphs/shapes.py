"""The shapes that flow along the edges, from the image to the head."""

from __future__ import annotations

from typing import Any

from archdsl.blocks.base import Head
from archdsl.errors import Problem, ShapeError
from archdsl.graphs.links import Links
from archdsl.schema.document import Header
from archdsl.schema.draft import Draft
from archdsl.shape import Map, Shape


def flow(draft: Draft, links: list[Links | None], problems: list[Problem]) -> list[dict[str, Shape] | None]:
    """The shape of every node's ports, or None where it cannot be known."""
    outputs: list[dict[str, Shape] | None] = []
    for index, node in enumerate(draft.nodes):
        inputs = inputs_of(draft.header, links[index], outputs)
        given = None
        if node is not None and inputs is not None and draft.header is not None:
            try:
                given = _outputs(node, inputs, draft.header)
            except ShapeError as error:
                problems.append(_shape_problem(draft, index, links[index] or (), inputs, error))
        outputs.append(given)
    return outputs


def inputs_of(
    header: Header | None, links: Links | None, outputs: list[dict[str, Shape] | None]
) -> tuple[Shape, ...] | None:
    """The shapes that a node reads: the image's for a stem; None where one cannot be known."""
    if header is None or links is None:
        return None
    if not links:
        return (Map(header.channels, *header.image_size),)
    shapes = []
    for source, port in links:
        given = outputs[source]
        if given is None:
            return None
        shapes.append(given[port])
    return tuple(shapes)


def _outputs(node: Any, inputs: tuple[Shape, ...], header: Header) -> dict[str, Shape]:
    if isinstance(node, Head):
        return {"logits": node.out(*inputs, header.classes)}
    out = node.out(*inputs)
    given = out if isinstance(out, tuple) and not isinstance(out, Shape) else (out,)
    return dict(zip(node.gives, given, strict=True))


def _shape_problem(draft: Draft, index: int, links: Links, inputs: tuple[Shape, ...], error: ShapeError) -> Problem:
    """The rule with both ends of the edge: who reads what from whom."""
    sources = [str(draft.id_of(source)) for source, _ in links] or ["the image"]
    ends = " and ".join(f"{shape} from {source}" for shape, source in zip(inputs, sources, strict=True))
    rule = f"{error.rule} ({draft.id_of(index)} reads {ends})"
    return Problem(("nodes", index, *error.keys), rule, error.value, error.remedy)
