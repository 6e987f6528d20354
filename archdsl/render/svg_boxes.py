"""The boxes of an SVG picture: their lines, and in a stage its blocks one below the other."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from archdsl.cost import Count
from archdsl.numbers import params_text, share_text
from archdsl.render.chart import Box
from archdsl.render.texts import counted, printable

CHARACTER, LINE, PAD = 7.9, 17, 9
"""Pixels: a character and a line of the font, and the room around the text of a box."""
_LONGEST = 36
"""Characters of a line in a box."""
_GAP = 4
"""Pixels between two blocks, and above and below the text of one."""

PARTS_STYLE = (
    ".archdsl-graph{--new:#ffd8a8}@media (prefers-color-scheme:dark){.archdsl-graph{--new:#7a4a0c}}\n"
    ".archdsl-graph .part{text-anchor:start}.archdsl-graph .own{fill:var(--paper);stroke:var(--dim)}"
    ".archdsl-graph .new{fill:var(--new);stroke:var(--ink);stroke-width:1.5}\n"
)


class Part(NamedTuple):
    """A block inside a stage. lines: what it is, of which the first words are shown, then details, which stay whole.
    is_new: whether it is marked.
    """

    lines: tuple[str, ...]
    is_new: bool


Parts = Mapping[str, Sequence[Part]]
"""The blocks of some stages, by the id of the node."""


class Drawn(NamedTuple):
    """A box with its lines as they are drawn, and its size in pixels."""

    box: Box
    lines: tuple[tuple[str, str], ...]
    """(class, text) of each line."""
    parts: tuple[Part, ...]
    width: float
    height: float


def drawn_box(box: Box, counts: Count, parts: Sequence[Part] = ()) -> Drawn:
    """The lines of a box: its id, what it is, the first words of what differs from the defaults, what it costs.

    Where the blocks are drawn, they say what it is.
    """
    name, *rest = box.lines
    if parts:
        rest = [counted(len(parts), "block")]
    lines = [("id", name), *(("", _short(line)) for line in rest)]
    cost = next((node for node in counts.nodes if node.id == box.id), None)
    if cost is not None:
        share = share_text(cost.macs, counts.macs)
        lines.append(("cost", f"{params_text(cost.params)} params, {share} of MACs"))
    kept = tuple(part._replace(lines=(_short(part.lines[0]), *part.lines[1:])) for part in parts)
    inside = max((text_width(line) + PAD for part in kept for line in part.lines), default=0)
    width = max([*(text_width(text) for _, text in lines), inside]) + 2 * PAD
    return Drawn(box, tuple(lines), kept, width, LINE * len(lines) + PAD * 1.5 + sum(map(_height, kept)))


def box_svg(item: Drawn, x: float, top: float) -> str:
    """A box around `x`, with its texts, and with its blocks below them."""
    left = x - item.width / 2
    first = top + PAD + LINE * 0.7
    texts = "".join(
        f'<text class="{kind}" x="{x:.1f}" y="{first + LINE * place:.1f}">{escape(printable(text))}</text>'
        for place, (kind, text) in enumerate(item.lines)
    )
    y, blocks = top + PAD + LINE * len(item.lines), ""
    for part in item.parts:
        blocks += _part(part, left + PAD, y, item.width - 2 * PAD)
        y += _height(part)
    whole = escape(printable(", ".join(item.box.lines)))
    radius = 4 if item.box.kind in ("stage", "merge", "join") else 14
    return (
        f'<g><title>{whole}</title><rect class="box {escape(item.box.kind)}" x="{left:.1f}" y="{top:.1f}" '
        f'width="{item.width:.1f}" height="{item.height:.1f}" rx="{radius}"/>{texts}{blocks}</g>'
    )


def text_width(text: str) -> float:
    """Pixels, about."""
    return len(text) * CHARACTER


def _part(part: Part, left: float, top: float, width: float) -> str:
    texts = "".join(
        f'<text class="part{" cost" * (place > 0)}" x="{left + PAD / 2:.1f}" '
        f'y="{top + _GAP + LINE * (place + 0.75):.1f}">{escape(printable(line))}</text>'
        for place, line in enumerate(part.lines)
    )
    kind, height = "new" if part.is_new else "own", _height(part) - _GAP
    rect = f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3"/>'
    return rect + texts


def _height(part: Part) -> float:
    """With the gap below it."""
    return LINE * len(part.lines) + 2 * _GAP + _GAP


def _short(line: str) -> str:
    return textwrap.shorten(line, _LONGEST, placeholder=" …")
