"""A backbone as Graphviz text, for `dot -Tsvg`."""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.language.document import Spec
from archdsl.render.chart import chart

_FRAMES = {"stage": "box", "merge": "invtrapezium", "join": "hexagon"}


def dot(spec: Spec) -> str:
    """A digraph, top to bottom, with what flows written on the edges."""
    boxes, arrows = chart(spec)
    lines = [f"digraph {_quoted([spec.name])} {{", '    node [fontname="Helvetica"]', '    edge [fontname="Helvetica"]']
    lines += [
        f"    {_name(box.id)} [shape={_FRAMES.get(box.kind, 'oval')}, label={_quoted(box.lines)}]" for box in boxes
    ]
    lines += [f"    {_name(arrow.source)} -> {_name(arrow.target)} [label={_quoted(arrow.lines)}]" for arrow in arrows]
    return "\n".join([*lines, "}"]) + "\n"


def _name(node: str | None) -> str:
    return _quoted(["the image" if node is None else node])  # no id has a blank in it


def _quoted(lines: Iterable[str]) -> str:
    escaped = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return f'"{escaped}"'
