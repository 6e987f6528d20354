"""`archdsl show --latency`: the measured share of each node beside what is computed of it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.text import Text

from archdsl.cost import Count
from archdsl.language.document import Spec
from archdsl.latency.nodes import NodeLatencies
from archdsl.numbers import macs_text, share_text
from archdsl.render.columns import Column, Sheet
from archdsl.render.headline import headline
from archdsl.render.texts import counted


def latency_table(spec: Spec, count: Count, measured: NodeLatencies) -> RenderableType:
    """A row a node: ms per batch, its share of the nodes' sum, MACs and their share; below, what was measured how."""
    ms = list(measured.nodes.values())
    columns = [
        Column("node", _cells(node.id for node in count.nodes)),
        Column("type", _cells(node.type for node in count.nodes), drop=2),
        Column(f"{measured.stat} ms", _cells(f"{value:.3f}" for value in ms), right=True),
        Column("share", _cells(_share(value, measured.sum_ms) for value in ms), right=True),
        Column("MACs", _cells(macs_text(node.macs) for node in count.nodes), right=True, drop=3),
        Column("share", _cells(share_text(node.macs, count.macs) for node in count.nodes), right=True, drop=1, gap=1),
    ]
    origin = measured.origin
    threads = origin.get("threads")
    used = f", {counted(threads, 'thread')}" if isinstance(threads, int) else ""
    setting = (
        f"batch {origin['batch']}, {origin['dtype']}, runtime {origin['runtime']}, device {origin['device']}{used}"
    )
    whole = f"The whole network: {measured.stat} {measured.whole_ms:.3f} ms per batch"
    if measured.way == "difference":
        notes = (
            f"{whole}, which the nodes add up to.",
            "A node's number is what the network takes up to it, less what it takes up to the node before, side by "
            f"side in {measured.rounds} rounds: {setting}. A node that takes less than the noise may be below 0.",
        )
        return Sheet(columns, notes, headline(spec))
    notes = (
        f"{whole}; its nodes one by one: {measured.sum_ms:.3f} ms. A share is that of the nodes' sum.",
        f"Each node ran by itself on what it reads, side by side in {measured.rounds} rounds: {setting}. Another "
        "runtime fuses operators, and its shares may differ.",
    )
    return Sheet(columns, notes, headline(spec))


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else ""


def _cells(texts: Iterable[str]) -> list[Text]:
    return [Text(text) for text in texts]
