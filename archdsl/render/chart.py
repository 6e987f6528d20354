"""A backbone as boxes and arrows: what Mermaid and Graphviz text have in common."""

from __future__ import annotations

from typing import Any, NamedTuple

from archdsl.graphs import graph
from archdsl.render.headline import image_text
from archdsl.schema.document import Spec


class Box(NamedTuple):
    """A node with the lines that stand in it; `id` None for the image."""

    id: str | None
    kind: str
    lines: tuple[str, ...]


class Arrow(NamedTuple):
    """Who is read by whom, and what flows: a shape a line, ports other than pixels by name."""

    source: str | None
    target: str
    lines: tuple[str, ...]


def chart(spec: Spec) -> tuple[list[Box], list[Arrow]]:
    """The image, every node in document order, and every edge."""
    drawn = graph(spec)
    boxes = [Box(None, "image", ("image",))]
    boxes += [Box(node, kind, _lines(drawn.nodes[node]["node"], spec)) for node, kind in drawn.nodes(data="kind")]
    arrows = [Arrow(None, node, (image_text(spec),)) for node, kind in drawn.nodes(data="kind") if kind == "stem"]
    arrows += [
        Arrow(source, target, tuple(_flow(port, str(shape)) for port, shape in ports.items()))
        for source, target, ports in drawn.edges(data="ports")
    ]
    return boxes, arrows


def _lines(node: Any, spec: Spec) -> tuple[str, ...]:
    """The id; how often what; what differs from its defaults."""
    depth, label = getattr(node, "depth", None), node.label()
    name = f"{depth} x {node.type}" if depth else node.type
    classes = f"{spec.classes} classes" if node.kind == "head" else ""
    return tuple(line for line in (node.id, name, label, classes) if line)


def _flow(port: str, shape: str) -> str:
    return shape if port == "pixels" else f"{port} {shape}"
