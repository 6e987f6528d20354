"""Where the boxes and arrows of a drawing stand: layers from top to bottom, in which no arrow crosses a box.

A node's layer is the longest way to it. An arrow over several layers passes each of them at a place of its own, beside
the boxes; the order within the layers keeps neighbours close to each other.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import networkx as nx

GAP = 28.0
"""Pixels between two boxes of a layer, and between a box and an arrow that passes it."""
_SWEEPS = 12

Place = Hashable


class Layout(NamedTuple):
    """Centres of nodes, horizontally; the layers from the top; and by arrow the places that it passes on its way."""

    x: dict[Place, float]
    layers: list[list[Place]]
    ways: dict[tuple[str, str], list[Place]]
    width: float


def layered(drawn: nx.DiGraph[str], widths: Mapping[str, float], passing: float) -> Layout:
    """Lay out an acyclic graph whose nodes stand in an order in which each follows all that it reads.

    widths: of the boxes, in pixels. passing: room for an arrow that passes a layer.
    """
    layers, ways, steps = _layers(drawn)
    sizes = {place: widths.get(str(place), passing) if not isinstance(place, tuple) else passing for place in steps}
    for sweep in range(4):
        for layer in layers[1:] if sweep % 2 == 0 else layers[-2::-1]:
            sides = steps.predecessors if sweep % 2 == 0 else steps.successors
            ranks = {place: rank for other in layers for rank, place in enumerate(other)}
            means = {p: _mean([float(ranks[q]) for q in sides(p)], float(ranks[p])) for p in layer}
            layer.sort(key=means.__getitem__)
    x = {place: position for layer in layers for place, position in _packed(layer, sizes, {}).items()}
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wished = {p: _mean([x[q] for q in nx.all_neighbors(steps, p)], x[p]) for p in layer}
            x |= _packed(layer, sizes, wished)
    left = min(x[place] - sizes[place] / 2 for place in x)
    right = max(x[place] + sizes[place] / 2 for place in x)
    return Layout({place: x[place] - left for place in x}, layers, ways, right - left)


def _layers(
    drawn: nx.DiGraph[str],
) -> tuple[list[list[Place]], dict[tuple[str, str], list[Place]], nx.DiGraph[Place]]:
    """The layers, the places that each arrow passes, and the graph of the steps from one layer to the next."""
    depth: dict[str, int] = {}
    for node in drawn:
        depth[node] = 1 + max((depth[source] for source in drawn.predecessors(node)), default=-1)
    layers: list[list[Place]] = [[] for _ in range(max(depth.values()) + 1)]
    for node in drawn:
        layers[depth[node]].append(node)
    steps: nx.DiGraph[Place] = nx.DiGraph()
    steps.add_nodes_from(drawn)
    ways: dict[tuple[str, str], list[Place]] = {}
    for source, target in drawn.edges:
        passed: list[Place] = [(source, target, level) for level in range(depth[source] + 1, depth[target])]
        for level, place in enumerate(passed, depth[source] + 1):
            layers[level].append(place)
        ways[source, target] = passed
        nx.add_path(steps, [source, *passed, target])
    return layers, ways, steps


def _packed(layer: Sequence[Place], sizes: Mapping[Place, float], wished: Mapping[Place, float]) -> dict[Place, float]:
    """Positions in this order that do not overlap, as near to those that are wished for as the order lets them."""
    from_left: list[float] = []
    for place, least in zip(layer, _offsets(layer, sizes), strict=True):
        wish = wished.get(place, least)
        from_left.append(wish if not from_left else max(wish, from_left[-1] + _apart(layer, len(from_left), sizes)))
    from_right = [0.0] * len(layer)
    for index in reversed(range(len(layer))):
        wish = wished.get(layer[index], from_left[index])
        later = from_right[index + 1] - _apart(layer, index + 1, sizes) if index + 1 < len(layer) else wish
        from_right[index] = min(wish, later)
    middle = [(a + b) / 2 for a, b in zip(from_left, from_right, strict=True)]
    return dict(zip(layer, middle, strict=True))


def _offsets(layer: Sequence[Place], sizes: Mapping[Place, float]) -> list[float]:
    """The positions of a layer that is packed around 0."""
    total = sum(sizes[place] for place in layer) + GAP * (len(layer) - 1)
    offsets, start = [], -total / 2
    for place in layer:
        offsets.append(start + sizes[place] / 2)
        start += sizes[place] + GAP
    return offsets


def _apart(layer: Sequence[Place], index: int, sizes: Mapping[Place, float]) -> float:
    """The least distance of a place from the one before it."""
    return (sizes[layer[index - 1]] + sizes[layer[index]]) / 2 + GAP


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
