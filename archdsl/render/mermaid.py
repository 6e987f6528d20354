"""A backbone as Mermaid text, which GitHub draws in a fenced block named `mermaid`."""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.language.document import Spec
from archdsl.render.chart import chart

_FRAMES = {"stage": "[{}]", "merge": "[\\{}/]", "join": "{{{{{}}}}}"}
_ESCAPES = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;"}


def mermaid(spec: Spec) -> str:
    """A flowchart, top to bottom, with what flows written on the edges."""
    boxes, arrows = chart(spec)
    lines = ["flowchart TD"]
    lines += [f"    {_name(box.id)}{_FRAMES.get(box.kind, '([{}])').format(_label(box.lines))}" for box in boxes]
    lines += [f"    {_name(arrow.source)} -->|{_label(arrow.lines)}| {_name(arrow.target)}" for arrow in arrows]
    return "\n".join(lines) + "\n"


def _name(node: str | None) -> str:
    """Every id gets a prefix, so that none is a keyword (`end`, `class`) or reads as part of an arrow (`o`, `x`)."""
    return "image" if node is None else f"n_{node}"


def _label(lines: Iterable[str]) -> str:
    escaped = "<br/>".join("".join(_ESCAPES.get(char, char) for char in line) for line in lines)
    return f'"{escaped}"'
