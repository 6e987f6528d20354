"""`archdsl show`: a backbone as a list of its nodes, with rails for who reads whom and what each node costs."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from archdsl.cost import Count
from archdsl.graphs import graph
from archdsl.render.columns import LUXURY, Column, fit
from archdsl.render.headline import headline
from archdsl.render.lanes import lanes
from archdsl.render.numbers import bytes_text, macs_text, params_text, share_text
from archdsl.schema.document import Spec

if TYPE_CHECKING:
    import networkx as nx

STYLES = {"stem": "green", "merge": "yellow", "stage": "cyan", "join": "magenta", "head": "bright_blue"}
BAR = 8
NO_BREAK = "\N{NO-BREAK SPACE}"

Row = tuple[str | None, Text]


def show(spec: Spec, count: Count) -> RenderableType:
    """A row a node: its rail, id, depth, type and what differs from the defaults, shape, params and MACs.

    Fits the width at which it is printed: shares and their bars go first where it is narrow, rails become lists of
    sources where there are too many lanes.
    """
    return _Tree(spec, count)


def show_text(spec: Spec, count: Count, width: int = 100) -> str:
    """The same as plain text, `width` columns wide."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(show(spec, count))
    return captured.get().rstrip()


class _Tree:
    def __init__(self, spec: Spec, count: Count) -> None:
        self.spec, self.count, self.graph = spec, count, graph(spec)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield from _title(self.spec, self.count, width)
        yield Text()
        rows = _rails(self.graph, width) or _reads(self.graph, width)
        rails = [rail for node, rail in rows if node is not None]
        lines = iter(fit(_columns(self.graph, self.count, rails), width))
        yield next(lines)
        yield from (between if node is None else next(lines) for node, between in rows)


def _title(spec: Spec, count: Count, width: int) -> Iterable[Text]:
    """What it is and what it costs in all; a number and its unit stay together."""
    facts = [headline(spec), f"{params_text(count.params)} params"]
    weights, activations = bytes_text(count.weight_bytes()), bytes_text(count.activation_bytes())
    memory = [f"weights {weights}", f"peak activations {activations} (float32, batch 1)"]
    for style, parts in (("bold", [*facts, f"{macs_text(count.macs)} MACs"]), ("", memory)):
        text = ", ".join(part.replace(" ", NO_BREAK) for part in parts)
        for line in textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False):
            yield Text(line.replace(NO_BREAK, " "), style=style)


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
            lines = textwrap.wrap(listed, width, initial_indent="  ", subsequent_indent="    ")
            rows += [(None, Text(line, style="dim")) for line in lines]
        before = [node]
    return rows


def _columns(drawn: nx.DiGraph[str], count: Count, rails: list[Text]) -> list[Column]:
    nodes = [data for _, data in drawn.nodes(data=True)]
    styles = [STYLES[data["kind"]] for data in nodes]
    costs = count.nodes
    depths = [getattr(data["node"], "depth", None) for data in nodes]
    return [
        Column("", rails),
        Column("node", _cells((cost.id for cost in costs), styles), least=16, gap=1),
        Column("", _cells(f"{depth}x" if depth else "" for depth in depths), right=True),
        Column("type", _cells(f"{data['type']} {data['node'].label()}".strip() for data in nodes), least=22, gap=1),
        Column("out", _cells(cost.shape for cost in costs)),
        _second_ports(nodes),
        Column("params", _cells(params_text(cost.params) for cost in costs), right=True),
        *_shares([cost.params for cost in costs], count.params, styles, drop=LUXURY),
        Column("MACs", _cells(macs_text(cost.macs) for cost in costs), right=True),
        *_shares([cost.macs for cost in costs], count.macs, styles, drop=1),
    ]


def _second_ports(nodes: list[dict[str, Any]]) -> Column:
    """What nodes give beside their first port: semantics, or a class token."""
    others = [dict(list(data["shapes"].items())[1:]) for data in nodes]
    names = sorted({name for ports in others for name in ports})
    return Column(", ".join(names), _cells(" ".join(map(str, ports.values())) for ports in others), drop=3)


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
