"""A graph as rails beside a list, the way `git log --graph` draws a history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx


def lanes(graph: nx.DiGraph[str], aside: Collection[str] = ()) -> list[tuple[str | None, str]]:
    """Rows of (node, rail), top to bottom; a row where lanes fork or join has no node.

    Nodes come in the graph's own order, in which each stands after all that it reads. Every edge has a lane to itself
    from below its source to above its reader, two characters wide; where a rail crosses one it is drawn `┼`. So paths
    downwards that pass no node are the edges, no more and no fewer. The first reader of a node keeps its lane; those in
    `aside`, the nodes of a second pathway, come after the others.

        ●     stem
        ├─╮
        ● │   left
        │ ●   right
        ├─╯
        ●     join
    """
    order = {node: place for place, node in enumerate(graph)}
    waiting: list[str | None] = []  # by lane: the reader that its edge runs to
    ended = -1  # the lane right above, if it ended in a node that nobody reads
    rows: list[tuple[str | None, str]] = []
    for node in graph:
        here, *others = [lane for lane, reader in enumerate(waiting) if reader == node] or [_free(waiting, 0, ended)]
        if others:
            rows.append((None, _rail(waiting, here, others, "┴╯")))
        for lane in (here, *others):
            waiting[lane] = node if lane == here else None
        rows.append((node, _rail(waiting, here)))
        readers = sorted(graph.successors(node), key=lambda reader: (reader in aside, order[reader]))
        ended, forks = -1 if readers else here, _leave(waiting, here, readers)
        if forks:
            rows.append((None, _rail(waiting, here, forks, "┬╮")))
    return rows


def _leave(waiting: list[str | None], here: int, readers: Sequence[str]) -> list[int]:
    """The first reader keeps the lane; the others get free ones to its right, which are returned."""
    waiting[here] = readers[0] if readers else None
    forks = []
    for reader in readers[1:]:
        lane = _free(waiting, here + 1)
        waiting[lane] = reader
        forks.append(lane)
    return forks


def _free(waiting: list[str | None], start: int, but: int = -1) -> int:
    """The first lane from `start` on that nobody uses, `but` excepted."""
    waiting.append(None)
    lane = next(lane for lane in range(start, len(waiting)) if waiting[lane] is None and lane != but)
    if lane < len(waiting) - 1:
        waiting.pop()
    return lane


def _rail(waiting: Sequence[str | None], here: int, ends: Sequence[int] = (), corners: str = "") -> str:
    """One row: the node's dot, or a rail from its lane to lanes on its right that begin or end there."""
    text = ""
    for lane, reader in enumerate(waiting):
        inside = bool(ends) and here <= lane < ends[-1]
        if lane == here:
            glyph = "├" if ends else "●"
        elif lane in ends:
            glyph = corners[lane == ends[-1]]
        elif inside:
            glyph = "─" if reader is None else "┼"
        else:
            glyph = " " if reader is None else "│"
        text += glyph + (" ─"[inside])
    return text.rstrip()
