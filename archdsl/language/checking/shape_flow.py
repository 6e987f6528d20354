"""The shapes that flow along the edges, from the image to the head."""

from __future__ import annotations

from typing import Any

from archdsl.errors import Problem, ShapeError
from archdsl.language.checking.draft import Draft
from archdsl.language.checking.links import Links
from archdsl.language.document import Header
from archdsl.shape import Map, Shape, Tokens


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
                given = _kept(node, inputs)
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
    if node.kind == "head":
        return {"logits": node.out(*inputs, header.classes)}
    out = node.out(*inputs)
    given = out if isinstance(out, tuple) and not isinstance(out, Shape) else (out,)
    return dict(zip(node.gives, given, strict=True))


def _kept(node: Any, inputs: tuple[Shape, ...]) -> dict[str, Shape] | None:
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
