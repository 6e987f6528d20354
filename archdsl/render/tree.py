"""`archdsl show`: a backbone as a list of its nodes, with rails for who reads whom and what each node costs."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from archdsl.cost import Count
from archdsl.graphs import graph
from archdsl.language.document import Spec
from archdsl.numbers import bytes_text, macs_text, params_text, share_text
from archdsl.render.columns import LUXURY, Column, fit, whole, wrapped
from archdsl.render.headline import headline
from archdsl.render.lanes import lanes
from archdsl.shape import Shape

if TYPE_CHECKING:
    import networkx as nx

STYLES = {"stem": "green", "merge": "yellow", "stage": "cyan", "join": "magenta", "head": "bright_blue"}
BAR = 8

Row = tuple[str | None, Text]


def show(spec: Spec, count: Count) -> RenderableType:
    """A row a node: its rail, id, depth, type and what differs from the defaults, shape, params and MACs.

    Fits the width at which it is printed: where it is narrow, shares and their bars go first, then words of labels,
    then shapes, MACs, params, types. Rails become lists of sources where there are too many lanes. Print it with
    `soft_wrap`, or an id that is wider than the terminal is cut.
    """
    return _Tree(spec, count)


def show_text(spec: Spec, count: Count, width: int = 100) -> str:
    """The same as plain text, `width` columns wide."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(show(spec, count), soft_wrap=True)
    return captured.get().rstrip()


class _Tree:
    def __init__(self, spec: Spec, count: Count) -> None:
        self.spec, self.count, self.graph = spec, count, graph(spec)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield from _title(self.spec, self.count, width)
        yield Text()
        rows = rails(self.graph, width)
        beside = [rail for node, rail in rows if node is not None]
        lines = iter(fit(_columns(self.graph, self.count, beside), width))
        yield next(lines)
        yield from (between if node is None else next(lines) for node, between in rows)


def _title(spec: Spec, count: Count, width: int) -> Iterable[Text]:
    """What it is and what it costs in all; facts stay together where they can."""
    facts = [headline(spec), f"{params_text(count.params)} params"]
    weights, activations = bytes_text(count.weight_bytes()), bytes_text(count.activation_bytes())
    memory = [f"weights {weights}", f"peak activations {activations} (float32, batch 1)"]
    for style, parts in (("bold", [*facts, f"{macs_text(count.macs)} MACs"]), ("", memory)):
        line = ""
        for place, part in enumerate(parts):
            comma = place + 1 < len(parts)
            if line and len(line) + len(", ") + len(part) + comma > width:
                yield from (whole(text, style) for text in wrapped(f"{line},", width, "  "))
                line = f"  {part}"
            else:
                line = f"{line}, {part}" if line else part
        yield from (whole(text, style) for text in wrapped(line, width, "  "))


def rails(drawn: nx.DiGraph[str], width: int) -> list[Row]:
    """A row a node, and rows between them that have none; lists of sources where the rails would be too wide."""
    return _rails(drawn, width) or _reads(drawn, width)


def _rails(drawn: nx.DiGraph[str], width: int) -> list[Row] | None:
    """Rails, without the blanks between lanes where they would take much of the width; None where even that does."""
    aside = {node for node, shapes in drawn.nodes(data="shapes") if "semantics" in shapes and "pixels" not in shapes}
    rows = lanes(drawn, aside)
    widest = max(len(rail) for _, rail in rows)
    if widest > width // 4:
        rows, widest = [(node, rail[::2]) for node, rail in rows], (widest + 1) // 2
    return [(node, _coloured(rail, drawn, node)) for node, rail in rows] if widest <= width // 3 else None


def _coloured(rail: str, drawn: nx.DiGraph[str], node: str | None) -> Text:
    text = Text(rail, style="dim", no_wrap=True)
    if node is not None:
        text.highlight_words("●", f"not dim {STYLES[drawn.nodes[node]['kind']]}")
    return text


def _reads(drawn: nx.DiGraph[str], width: int) -> list[Row]:
    """The nodes without rails; below one that reads another than the node before, its sources by name."""
    rows: list[Row] = []
    before: list[str] = []
    for node in drawn:
        rows.append((node, _coloured("●", drawn, node)))
        sources = list(drawn.predecessors(node))
        if sources != before:
            listed = f"reads {', '.join(sources) or 'the image'}"
            rows += [(None, whole(line, "dim")) for line in wrapped(f"  {listed}", width, "    ")]
        before = [node]
    return rows


def _columns(drawn: nx.DiGraph[str], count: Count, rails: list[Text]) -> list[Column]:
    nodes = [data for _, data in drawn.nodes(data=True)]
    styles = [STYLES[data["kind"]] for data in nodes]
    costs = count.nodes
    depths = [getattr(data["node"], "depth", None) for data in nodes]
    labels = [f"{data['type']} {data['node'].label()}".strip() for data in nodes]
    widest = max(rail.cell_len for rail in rails)
    ids = [
        Text.assemble(rail, " " * (widest + 1 - rail.cell_len), (cost.id, style))
        for rail, cost, style in zip(rails, costs, styles, strict=True)
    ]
    return [
        Column(f"{'':{widest + 1}}node", ids),
        Column("", _cells(f"{depth}x" if depth else "" for depth in depths), right=True, drop=1),
        Column("type", _cells(labels), least=22, drop=2, gap=1),
        Column("out", _cells(cost.shape for cost in costs), drop=5),
        _second_ports([data["shapes"] for data in nodes]),
        Column("params", _cells(params_text(cost.params) for cost in costs), right=True, drop=3),
        *_shares([cost.params for cost in costs], count.params, styles, drop=LUXURY),
        Column("MACs", _cells(macs_text(cost.macs) for cost in costs), right=True, drop=4),
        *_shares([cost.macs for cost in costs], count.macs, styles, drop=7),
    ]


def _second_ports(outputs: Iterable[Mapping[str, Shape]]) -> Column:
    """What nodes give beside their first port: semantics, or a class token."""
    others = [dict(list(shapes.items())[1:]) for shapes in outputs]
    names = sorted({name for ports in others for name in ports})
    return Column(", ".join(names), _cells(" ".join(map(str, ports.values())) for ports in others), drop=9)


def _shares(parts: list[int], whole: int, styles: list[str], drop: int) -> tuple[Column, Column]:
    """Percent of the whole, and bars of them, which are the sooner left out."""
    shares = Column("share", _cells(share_text(part, whole) for part in parts), right=True, drop=drop, gap=1)
    bars = _cells((_bar(part / whole if whole else 0) for part in parts), styles)
    return shares, Column("", bars, drop=drop + 1, gap=1)


def _bar(share: float) -> str:
    """A bar of up to `BAR` characters in steps of an eighth of one; what is not nothing is seen."""
    eighths = max(round(share * BAR * 8), share > 0)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _cells(texts: Iterable[str], styles: Iterable[str] | None = None) -> list[Text]:
    if styles is None:
        return [Text(text) for text in texts]
    return [Text(text, style=style) for text, style in zip(texts, styles, strict=True)]
