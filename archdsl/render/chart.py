"""A backbone as boxes and arrows: what Mermaid and Graphviz text have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from archdsl.graphs import graph
from archdsl.language.document import Spec
from archdsl.render.headline import image_text


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
    boxes = [Box(None, "image", ("image",)), *_boxes(spec)]
    arrows = [Arrow(None, node.id, (image_text(spec),)) for node in spec.nodes if node.kind == "stem"]
    arrows += [
        Arrow(source, target, tuple(_flow(port, str(shape)) for port, shape in data["ports"].items()))
        for source, target, data in graph(spec).edges(data=True)
    ]
    return boxes, arrows


def _boxes(spec: Spec) -> Iterator[Box]:
    """A box a node: its id; how often what; what differs from its defaults."""
    for node in spec.nodes:
        depth = getattr(node, "depth", None)
        part = f"{depth} x {node.type}" if depth else node.type
        classes = f"{spec.classes} classes" if node.kind == "head" else ""
        yield Box(node.id, node.kind, tuple(line for line in (node.id, part, node.label(), classes) if line))


def _flow(port: str, shape: str) -> str:
    return shape if port == "pixels" else f"{port} {shape}"
