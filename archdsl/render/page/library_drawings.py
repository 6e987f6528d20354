"""The drawings of a run's library: its front as a plot, and the winner's graph with what replaces what."""

from __future__ import annotations

import math

from archdsl.language.document import Spec
from archdsl.numbers import accuracy_text
from archdsl.render import library_texts as texts
from archdsl.render.page.plot import Axis, Drawing, Look, Point, axis, scatter
from archdsl.render.svg import svg
from archdsl.render.svg_boxes import Part
from archdsl.search.report.library import FrontLine, LibraryLines, WinnerBlock

_ROOM = 0.15
"""Powers of ten above and below the points."""


def library_plot(lines: LibraryLines, budget_ms: float | None) -> Drawing | None:
    """The front: predicted cost and summed KL, with the accuracies that were measured; None for fewer than two points.

    A KL of less than `LEAST_KL` is drawn there.
    """
    if len(lines.front) < 2:
        return None
    points = [_point(line, lines.metric) for line in lines.front]
    heights = [point.y for point in points]
    is_latency = lines.metric == "latency"
    cost = "predicted ms per batch" if is_latency else "MACs, millions"
    x = axis(f"{cost} (across), KL (up)", [p.x for p in points], True)
    y = Axis("", min(heights) - _ROOM, max(max(heights), min(heights) + 1) + _ROOM, True)
    return scatter("The front of the library: predicted cost and KL", x, y, points, budget_ms if is_latency else None)


def exchanges_svg(winner: Spec, lines: LibraryLines) -> str:
    """The winner's graph, with its blocks inside the stages that the library has alternatives for."""
    stages = dict.fromkeys(block.stage for block in lines.blocks)
    return svg(winner, {stage: [_part(block) for block in lines.blocks if block.stage == stage] for stage in stages})


def _part(block: WinnerBlock) -> Part:
    name = f"{texts.positions_text(block)}: {texts.block_text(block.block)}"
    return Part((name, texts.detail_text(block)) if block.is_exchanged else (name,), block.is_exchanged)


def _point(line: FrontLine, metric: str) -> Point:
    look: Look = "winner" if line.is_winner else "untrained" if line.accuracy is None else "front"
    cost = line.cost if metric == "latency" else line.cost / 1e6
    note = "" if line.accuracy is None else accuracy_text(line.accuracy)
    return Point(cost, math.log10(max(line.kl, texts.LEAST_KL)), _label(line, metric), look, note=note)


def _label(line: FrontLine, metric: str) -> str:
    """What a point says."""
    unit = "ms predicted" if metric == "latency" else "MACs"
    known = "its accuracy was not measured"
    if line.accuracy is not None:
        known = f"accuracy {accuracy_text(line.accuracy, line.error)}"
    parts = [line.name, f"{texts.cost_text(metric, line.cost)} {unit}, KL {texts.kl_text(line.kl)}", known]
    return "\n".join(part for part in parts if part)
