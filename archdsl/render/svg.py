"""A backbone as an SVG picture, and as an HTML page around it: no script, nothing that is loaded, light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from types import MappingProxyType

import networkx as nx

from archdsl.cost import Count, count
from archdsl.language.document import Spec
from archdsl.numbers import macs_text, params_text, share_text
from archdsl.render.chart import Arrow, chart
from archdsl.render.headline import headline
from archdsl.render.layered import Layout, Place, layered
from archdsl.render.svg_boxes import PARTS_STYLE, Drawn, Parts, box_svg, drawn_box, text_width
from archdsl.render.texts import printable

_BETWEEN, _MARGIN, _PASSING = 42, 18, 8
"""Pixels: between two layers, around the picture, and for an arrow that passes a layer."""
_IMAGE = " image"
"""The id of the image in the layout; no node has one with a blank."""

_STYLE = """\
.archdsl-graph{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--dim:#57606a;--image:#eef0f2;--stem:#d7f0dc;
--stage:#d6e9f8;--merge:#fbeec2;--join:#f3dcf5;--head:#dcdffb;font:13px ui-monospace,Menlo,Consolas,monospace}
@media (prefers-color-scheme:dark){.archdsl-graph{--paper:#11161c;--ink:#e6edf3;--dim:#9aa5b1;--image:#252c35;
--stem:#1f4a2b;--stage:#1a4260;--merge:#554612;--join:#532f57;--head:#32366f}}
.archdsl-graph .paper{fill:var(--paper)}.archdsl-graph text{fill:var(--ink);text-anchor:middle}
.archdsl-graph .id{font-weight:700}.archdsl-graph .cost,.archdsl-graph .flow{fill:var(--dim);font-size:12px}
.archdsl-graph .flow{text-anchor:start;stroke:var(--paper);stroke-width:4px;paint-order:stroke}
.archdsl-graph .left{text-anchor:end}
.archdsl-graph .box{stroke:var(--dim)}.archdsl-graph .edge{fill:none;stroke:var(--dim);stroke-width:1.5}
.archdsl-graph .tip{fill:var(--dim)}
""" + "".join(
    f".archdsl-graph .{kind}{{fill:var(--{kind})}}" for kind in ("image", "stem", "stage", "merge", "join", "head")
)

_PAGE_STYLE = """\
:root{color-scheme:light dark}body{margin:1.5rem auto;max-width:70rem;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif;
background:#fff;color:#1b1f24}@media (prefers-color-scheme:dark){body{background:#11161c;color:#e6edf3}}
h1{font-size:1.4rem}.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;margin-top:1.5rem}
th,td{text-align:left;padding:.2rem .9rem .2rem 0;border-bottom:1px solid #8a939c}
.number{text-align:right;white-space:nowrap}
svg{max-width:100%;height:auto}
"""


def svg(spec: Spec, parts: Parts = MappingProxyType({})) -> str:
    """The graph from top to bottom: boxes with params and the share of the MACs, arrows with the shapes that flow.

    `parts` are the blocks that are drawn inside some stages.
    """
    boxes, arrows = chart(spec)
    counted = count(spec)
    boxed = {box.id or _IMAGE: drawn_box(box, counted, parts.get(box.id or "", ())) for box in boxes}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(boxed)
    graph.add_edges_from((arrow.source or _IMAGE, arrow.target) for arrow in arrows)
    layout = layered(graph, {name: item.width for name, item in boxed.items()}, _PASSING)
    tops, height = _tops(layout, boxed)
    width = layout.width + 2 * _MARGIN + max((text_width(_flow(arrow)) for arrow in arrows), default=0)
    body = [_edge(arrow, layout, boxed, tops) for arrow in arrows]
    body += [_label(arrow, graph, layout, boxed, tops) for arrow in arrows]
    body += [box_svg(item, layout.x[name] + _MARGIN, tops[name]) for name, item in boxed.items()]
    title = escape(printable(headline(spec)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="archdsl-graph" role="img" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">\n<title>{title}</title>\n'
        f'<style>{_STYLE}{PARTS_STYLE if parts else ""}</style>\n<rect class="paper" width="100%" height="100%"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def html(spec: Spec) -> str:
    """A page with the picture and a table of what the nodes cost."""
    counted = count(spec)
    title = escape(printable(headline(spec)))
    costs = f"{params_text(counted.params)} params, {macs_text(counted.macs)} MACs for one image"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{_PAGE_STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n<p>{escape(costs)}</p>\n"
        f'<div class="wide">\n{svg(spec)}</div>\n<div class="wide">\n{count_table(counted)}</div>\n</body>\n</html>\n'
    )


def count_table(counted: Count) -> str:
    """What a backbone's nodes cost, as an HTML table."""
    head = ("node", "type", "out", "params", "share", "MACs", "share")
    rows = [
        (
            node.id,
            node.type,
            node.shape,
            params_text(node.params),
            share_text(node.params, counted.params),
            macs_text(node.macs),
            share_text(node.macs, counted.macs),
        )
        for node in counted.nodes
    ]
    rows.append(("in all", "", "", params_text(counted.params), "", macs_text(counted.macs), ""))
    body = "".join(_row(row, "td") for row in rows)
    return f"<table>\n<thead>{_row(head, 'th')}</thead>\n<tbody>\n{body}</tbody>\n</table>\n"


def _row(cells: Sequence[str], tag: str) -> str:
    classes = ("", "", "", *[' class="number"'] * 4)
    items = (f"<{tag}{kind}>{escape(printable(cell))}</{tag}>" for cell, kind in zip(cells, classes, strict=True))
    return f"<tr>{''.join(items)}</tr>\n"


def _tops(layout: Layout, drawn: dict[str, Drawn]) -> tuple[dict[Place, float], float]:
    """The upper edge of every place, boxes of a layer on one line, and the height of the whole."""
    tops: dict[Place, float] = {}
    y: float = _MARGIN
    for layer in layout.layers:
        tallest = max(_height(place, drawn) for place in layer)
        tops |= {place: y + (tallest - _height(place, drawn)) / 2 for place in layer}
        y += tallest + _BETWEEN
    return tops, y - _BETWEEN + _MARGIN


def _height(place: Place, drawn: dict[str, Drawn]) -> float:
    return drawn[place].height if isinstance(place, str) else 0


def _edge(arrow: Arrow, layout: Layout, drawn: dict[str, Drawn], tops: dict[Place, float]) -> str:
    """A curve from box to box through the places that it passes, with a tip at its end."""
    points = _points(arrow, layout, drawn, tops)
    (x0, y0), (x, y) = points[0], points[-1]
    path = f'<path class="edge" d="M{x0:.1f} {y0:.1f}{"".join(_curves(points))}"/>'
    return f'{path}<path class="tip" d="M{x - 4:.1f} {y - 2:.1f}h8l-4 8z"/>'


def _label(
    arrow: Arrow, graph: nx.DiGraph[str], layout: Layout, drawn: dict[str, Drawn], tops: dict[Place, float]
) -> str:
    """What flows, beside the end of an arrow that no other shares: else labels would lie upon each other."""
    begin, *passed, end = _points(arrow, layout, drawn, tops)
    x, y = end[0], end[1] - 6
    leftwards = end[0] < begin[0] - 1
    if passed:
        x, y, leftwards = passed[0][0], passed[0][1] + 4, False
    elif graph.in_degree(arrow.target) > 1:
        x, y, leftwards = begin[0], begin[1] + 15, end[0] > begin[0] + 1
        if graph.out_degree(arrow.source or _IMAGE) > 1:
            x, y = (begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2
    x, kind = (x - 8, "flow left") if leftwards else (x + 8, "flow")
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(printable(_flow(arrow)))}</text>'


def _points(
    arrow: Arrow, layout: Layout, drawn: dict[str, Drawn], tops: dict[Place, float]
) -> list[tuple[float, float]]:
    """Where an arrow begins, what it passes, and where it ends, above the next box."""
    source, target = arrow.source or _IMAGE, arrow.target
    passed = [(layout.x[place] + _MARGIN, tops[place]) for place in layout.ways[source, target]]
    begin = (layout.x[source] + _MARGIN, tops[source] + drawn[source].height)
    return [begin, *passed, (layout.x[target] + _MARGIN, tops[target] - 6)]


def _curves(points: Sequence[tuple[float, float]]) -> Iterator[str]:
    for (x1, y1), (x2, y2) in pairwise(points):
        middle = (y1 + y2) / 2
        yield f"C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}"


def _flow(arrow: Arrow) -> str:
    return ", ".join(arrow.lines)
