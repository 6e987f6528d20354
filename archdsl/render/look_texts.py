"""What stands beside the pictures of `archdsl look`: titles, ranges, and how the image was prepared."""

from __future__ import annotations

from archdsl.inspecting.looking import Look
from archdsl.inspecting.panels import Panel
from archdsl.numbers import plain_text
from archdsl.render.look_colours import bounds
from archdsl.render.texts import printable


def place_text(panel: Panel) -> str:
    """`stage3, block 6 of 6 (hilo)`"""
    place = panel.place
    block = "" if place.block is None else f", block {place.block} of {place.blocks}"
    return f"{place.node}{block} ({place.type})"


def drawn_text(panel: Panel) -> str:
    """`attention of the query, mean of 12 heads`"""
    what = panel.title + (f", {panel.place.inside}" if panel.place.inside else "")
    return what + _heads(panel)


def note_text(panel: Panel) -> str:
    """The map, what is beside it, and what lies outside."""
    size = "x".join(map(str, panel.grid.size))
    parts = [f"map of {size}"]
    if panel.kind == "points":
        parts += [f"{len(panel.places):,} points" + (f" in {panel.groups} groups" if panel.groups > 1 else "")]
    elif panel.values.shape != panel.grid.size and panel.kind != "offsets":
        side = plain_text(panel.cell / panel.grid.stride)
        parts += [f"in squares of {side}x{side} positions"]
    parts += [f"{100 * share:.1f} % on the {name}" for name, share in panel.beside]
    if panel.kind == "offsets":
        parts += [_offsets(panel)]
    if panel.outside:
        parts += [f"{panel.outside:,} read 0 outside the map"]
    return "; ".join(parts)


def end_texts(panel: Panel) -> tuple[str, str]:
    """What the ends of the colour scale stand for."""
    low, high = bounds(panel)
    factor, unit = (100, " %") if panel.kind in ("share", "points") else (1, "")
    digits = next((count for count in (2, 3) if len(_texts(factor * low, factor * high, count)) == 2), 4)
    left, right = (plain_text(factor * end, digits) for end in (low, high))
    return f"{left}{unit}", f"{right}{unit or _positions(panel, right)}"


def _positions(panel: Panel, number: str) -> str:
    if panel.kind != "offsets":
        return ""
    return " position" if number == "1" else " positions"


def _texts(low: float, high: float, digits: int) -> set[str]:
    return {plain_text(low, digits), plain_text(high, digits)}


def headline(look: Look) -> str:
    """`litv2_s on cat.jpg`"""
    return printable(f"{look.name} on {look.image}")


def about(look: Look) -> list[str]:
    """The weights, the image as the network reads it, and the query."""
    height, width = look.picture.shape[:2]
    how = look.preprocessing
    part = "whole" if how.crop is None else "middle of the"
    mean, std = (", ".join(f"{value:.3g}" for value in values) for values in (how.mean, how.std))
    said = "assumed, as no file says it" if look.is_assumed else "as the file of the weights says"
    lines = [f"query: row {look.query[0]}, column {look.query[1]} of {height}x{width} pixels"]
    lines += [f"{part} image, {how.resize.filter}, mean {mean}, std {std} ({said})"]
    return [*([f"weights: {printable(look.weights)}"] if look.weights else []), *lines]


def without_text(look: Look) -> str:
    """The nodes that have nothing to be drawn; empty if there are none."""
    if not look.without:
        return ""
    nodes = ", ".join(f"{node} ({kind})" for node, kind in look.without)
    return f"nothing to draw: {nodes}"


def _heads(panel: Panel) -> str:
    if panel.heads == 1:
        return ""
    return f", mean of {panel.heads} heads" if panel.head is None else f", head {panel.head} of {panel.heads}"


def _offsets(panel: Panel) -> str:
    if not panel.values.any():
        return "all offsets are zero"
    every = f", 1 of {panel.step**2} drawn" if panel.step > 1 else ""
    return f"{len(panel.places):,} taps{every}, mean offset {plain_text(float(panel.values.mean()), 2)} positions"
