"""The table of `archdsl bench --layers`: layers with what is counted, what is printed and what was measured of them."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.text import Text

from archdsl.latency.layers import LayerBench
from archdsl.render.bench import caption, doubts, ratio_text
from archdsl.render.columns import Column, Sheet


def layers_table(bench: LayerBench) -> RenderableType:
    """A row a layer; below it doubts, what was measured on what, and where the printed numbers come from."""
    comparison, costs = bench.comparison, [layer.cost() for layer in bench.layers]
    latencies = comparison.latencies
    ratios = [ratio_text(ratio).split(maxsplit=1) for ratio in comparison.ratios.values()]
    columns = [
        Column("layer", _cells(layer.name for layer in bench.layers), least=10),
        _numbers("params", (f"{cost.params / 1e6:.2f} M" for cost in costs)),
        _numbers("MACs", (f"{cost.macs / 1e6:.2f} M" for cost in costs)),
        _numbers("10900X", (str(layer.printed.cpu) for layer in bench.layers)),
        _numbers("3090", (str(layer.printed.gpu) for layer in bench.layers)),
        _numbers("here", (_rate(bench.rate(name)) for name in latencies)),
        _numbers("spread", (f"{latency.spread:.1%}" for latency in latencies.values())),
        _numbers("ratio", (texts[0] for texts in ratios), drop=1),
        _numbers("[95 %]", (texts[-1] for texts in ratios), drop=2),
    ]
    return Sheet(columns, [*doubts(comparison), *caption(comparison, "images per second"), *_sources(bench)])


def _sources(bench: LayerBench) -> list[str]:
    """What the columns are, and where theirs differs from ours."""
    lines = [
        f"here: measured, by {bench.comparison.stat} of the latencies. Params and MACs (for one image) are computed.",
        "10900X, 3090: published by LITv2's authors for an i9-10900X and an RTX 3090 (2022, torch 1.8.1, batch 64, no "
        "warm-up). Other machines and another torch: compare rows within a column, not columns.",
    ]
    return lines + [f"{layer.name}: {layer.note}." for layer in bench.layers if layer.note]


def _rate(value: float) -> str:
    """Four digits, one decimal at most: 64.4, 505, 4403."""
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _numbers(title: str, texts: Iterable[str], drop: int = 0) -> Column:
    return Column(title, _cells(texts), right=True, drop=drop)


def _cells(texts: Iterable[str]) -> list[Text]:
    return [Text(text) for text in texts]
