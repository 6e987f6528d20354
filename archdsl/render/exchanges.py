"""The winner's graph in the terminal, with what replaces which block of the parent below each stage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from archdsl.graphs import graph
from archdsl.language.document import Spec
from archdsl.numbers import accuracy_text
from archdsl.render import library_texts as texts
from archdsl.render.columns import Column, Sheet, fit
from archdsl.render.prose import Prose
from archdsl.render.texts import printable
from archdsl.render.tree import STYLES, rails

if TYPE_CHECKING:
    from archdsl.search.report.library import LibraryLines

_Cells: TypeAlias = tuple[Text, Text, Text, Text, Text]
_INDENT = " "


def exchanges(spec: Spec, lines: LibraryLines) -> Iterator[RenderableType]:
    """What was replaced in sum, the graph, and what KL means."""
    yield Prose(texts.replaced_sum(lines))
    yield Text()
    yield _Graph(spec, lines)
    yield Text()
    yield Prose(f"{texts.OWN_ROWS} {texts.KL_MEANING}", "dim")


class _Graph:
    """A row a node, with its rail; below a stage a row a block: positions of the parent, block, what stood there."""

    def __init__(self, spec: Spec, lines: LibraryLines) -> None:
        self.lines, self.drawn = lines, graph(spec)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        drawn_rows = rails(self.drawn, options.max_width)
        widest = max(rail.cell_len for node, rail in drawn_rows if node is not None)
        rows: list[_Cells] = []
        order: list[Text | None] = []
        for node, rail in drawn_rows:
            if node is None:
                order.append(rail)
                continue
            of_node = [*self._rows(node, rail, widest)]
            rows += of_node
            order += [None] * len(of_node)
        heads = (f"{'':{widest + 1}}node", "block", "instead of", "KL", texts.saved_head(self.lines))
        columns = [_column(place, head, [row[place] for row in rows]) for place, head in enumerate(heads)]
        fitted = iter(fit(columns, options.max_width))
        yield next(fitted)
        for between in order:
            row = next(fitted) if between is None else between
            row.rstrip()  # where it is narrow, a row has a second line, which may be empty
            yield row

    def _rows(self, node: str, rail: Text, widest: int) -> Iterator[_Cells]:
        """Of a node, and of each of its blocks."""
        data = self.drawn.nodes[node]
        blocks = [block for block in self.lines.blocks if block.stage == node]
        name = Text.assemble(rail, " " * (widest + 1 - rail.cell_len), (node, STYLES[data["kind"]]))
        yield name, Text(), Text(), Text(), Text()
        below = rail.plain.replace("●", "│" if self.drawn.out_degree(node) else " ")
        for block in blocks:
            style = "bold" if block.is_exchanged else "dim"
            instead = texts.replaced_text(block) if block.is_exchanged else ""
            kl = texts.kl_text(block.kl) if block.is_exchanged else ""
            where = Text.assemble((f"{below:{widest + 1}}", "dim"), _INDENT, (texts.positions_text(block), style))
            cells = (texts.block_text(block.block), instead, kl, texts.saved_text(block))
            first, second, third, fourth = (Text(printable(cell), style=style) for cell in cells)
            yield where, first, second, third, fourth


def _column(place: int, head: str, cells: list[Text]) -> Column:
    """Words of blocks are left out first; what stood there is left out where it is narrow."""
    is_number = place > 2
    least, drop = {1: 12, 2: 10}.get(place), {2: 1}.get(place, 0)
    return Column(head, cells, right=is_number, least=least, drop=drop, gap=1 if is_number else 2)


def front_sheet(lines: LibraryLines, title: str = "") -> RenderableType:
    """A budget a row, from the parent to the cheapest network."""
    front = lines.front
    costs = [texts.cost_text(lines.metric, line.cost) for line in front]
    latencies = ["" if line.latency is None else f"{line.latency:.2f}" for line in front]
    has_trained = texts.has_trained(front)
    columns = [
        Column("", _cells(texts.mark(line) if has_trained else "" for line in front)),
        Column("budget", _cells(texts.budget_text(line.limit, lines.parent_cost) for line in front), right=True),
        Column(texts.cost_head(lines.metric), _cells(costs), right=True),
        Column("KL", _cells(texts.kl_text(line.kl) for line in front), right=True),
        Column("replaced", _cells(str(line.exchanged) for line in front), right=True, drop=3),
        Column("accuracy", _cells(_percent(line.accuracy) for line in front), right=True),
        Column("±", _cells(_percent(line.error) for line in front), right=True, drop=1),
        Column("measured ms", _cells(latencies), right=True, drop=2),
    ]
    return Sheet(columns, texts.front_notes(lines), title)


def _percent(share: float | None) -> str:
    return "" if share is None else accuracy_text(share)


def _cells(cells: Iterable[str]) -> list[Text]:
    return [Text(cell) for cell in cells]
