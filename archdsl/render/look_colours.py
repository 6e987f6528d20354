"""Colours of numbers on a page of `archdsl look`: one scale for numbers from 0, one for numbers around 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archdsl.inspecting.panels import Floats, Panel

_FROM_ZERO = ((30, 18, 84), (108, 29, 128), (196, 52, 104), (246, 122, 54), (252, 238, 110))
"""Dark violet to light yellow, of rising lightness, so that it also reads in grey."""
_AROUND_ZERO = ((33, 78, 168), (125, 170, 222), (240, 240, 240), (236, 154, 112), (172, 34, 38))


def colours(panel: Panel, values: Floats) -> NDArray[np.uint8]:
    """Numbers of a panel, (...), as (..., RGB) between its ends; all the lowest colour where they do not differ."""
    low, high = bounds(panel)
    shares = np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)
    anchors = np.array(_AROUND_ZERO if panel.kind == "signed" else _FROM_ZERO, np.float64)
    places = np.linspace(0, 1, len(anchors))
    mixed = np.stack([np.interp(shares, places, anchors[:, channel]) for channel in range(3)], axis=-1)
    return mixed.round().astype(np.uint8)


def bounds(panel: Panel) -> tuple[float, float]:
    """The ends of a panel's scale: attention and lengths begin at 0."""
    return (panel.low if panel.kind in ("signed", "amount") else 0.0), panel.high


def scale(panel: Panel, width: int) -> NDArray[np.uint8]:
    """A panel's colours from its lowest to its highest number, (width, RGB)"""
    return colours(panel, np.linspace(*bounds(panel), width))
