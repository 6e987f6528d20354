"""One panel of `archdsl look` as a picture: numbers, points or arrows over the image that the network reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from archdsl.inspecting.looking import Look
from archdsl.inspecting.panels import Floats, Panel
from archdsl.render.look_colours import colours

SIDE = 256
"""Pixels of the longer side of a picture."""
_OVER = 2
"""Pictures are drawn so many times larger and scaled down, which smooths lines and circles."""
_OVERLAY = 0.75
"""Opacity of colours over the image in grey."""
_DARKEST = 165
"""What black makes of white, as the shade of a colour."""
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def input_picture(look: Look) -> Image.Image:
    """The image as the network reads it, with the query's pixel."""
    scaled, scale = _scaled(look)
    y, x = ((at + 0.5) * scale for at in look.query)
    _ring(ImageDraw.Draw(scaled), y, x, 5 * _OVER)
    return _shrunk(scaled)


def panel_picture(look: Look, panel: Panel) -> Image.Image:
    """A panel without its texts."""
    scaled, scale = _scaled(look)
    if panel.kind == "points":
        picture = _with_points(_dimmed(scaled, 0.25), panel, scale)
    elif panel.kind == "offsets":
        picture = _with_arrows(_dimmed(scaled, 0.35), panel, scale)
    else:
        picture = _with_colours(scaled, panel, scale)
    if panel.marks_query:
        _mark(ImageDraw.Draw(picture), panel, scale)
    return _shrunk(picture)


def _scaled(look: Look) -> tuple[Image.Image, float]:
    """The image at the size that is drawn on, and by how much it is larger than the network's."""
    height, width = look.picture.shape[:2]
    scale = _OVER * SIDE / max(height, width)
    size = (max(round(width * scale), _OVER), max(round(height * scale), _OVER))
    return Image.fromarray(look.picture).resize(size, Image.Resampling.BICUBIC), scale


def _shrunk(picture: Image.Image) -> Image.Image:
    size = (max(picture.width // _OVER, 1), max(picture.height // _OVER, 1))
    return picture.resize(size, Image.Resampling.BOX)


def _dimmed(picture: Image.Image, grey: float) -> Image.Image:
    """The image darker, with so much of its colour gone."""
    faded = Image.blend(picture, picture.convert("L").convert("RGB"), grey)
    return Image.blend(faded, Image.new("RGB", picture.size, _BLACK), 0.35)


def _with_colours(picture: Image.Image, panel: Panel, scale: float) -> Image.Image:
    """Each number as a square over its pixels: squares that go beyond the image are cut, what no map reads is grey."""
    cell, (rows, columns) = panel.cell * scale, panel.values.shape
    y, x = _cells(picture.height, cell, rows), _cells(picture.width, cell, columns)
    grey = picture.convert("L").convert("RGB")
    drawn = Image.fromarray(colours(panel, panel.values)[y[:, None], x])
    shades = picture.convert("L").point(lambda light: round(_DARKEST + (255 - _DARKEST) * light / 255))
    mixed = Image.blend(grey, ImageChops.multiply(drawn, shades.convert("RGB")), _OVERLAY)
    read = (round(min(columns * cell, picture.width)), round(min(rows * cell, picture.height)))
    grey.paste(mixed.crop((0, 0, *read)), (0, 0))
    return grey


def _cells(side: int, cell: float, count: int) -> NDArray[np.intp]:
    """Which row (or column) of the numbers each pixel shows."""
    return np.minimum(((np.arange(side) + 0.5) / cell).astype(np.intp), count - 1)


def _with_points(picture: Image.Image, panel: Panel, scale: float) -> Image.Image:
    """The heaviest on top, and largest."""
    draw = ImageDraw.Draw(picture)
    fills = colours(panel, panel.values)
    high = panel.high or 1.0
    for index in np.argsort(panel.values, kind="stable"):
        y, x = panel.places[index] * scale
        radius = _OVER * (1.8 + 2.2 * panel.values[index] / high)
        draw.ellipse(_box(y, x, radius), fill=tuple(fills[index].tolist()), outline=_BLACK, width=1)
    return picture


def _with_arrows(picture: Image.Image, panel: Panel, scale: float) -> Image.Image:
    """From where a tap would read to where it reads, of some taps, where there are many."""
    draw = ImageDraw.Draw(picture)
    fills = colours(panel, panel.values)
    for index in panel.shown_arrows():
        fill = tuple(fills[index].tolist())
        start, end = panel.starts[index] * scale, panel.places[index] * scale
        draw.line((start[1], start[0], end[1], end[0]), fill=fill, width=_OVER + 1)
        _tip(draw, start, end, fill)
    return picture


def _tip(draw: ImageDraw.ImageDraw, start: Floats, end: Floats, fill: tuple[int, ...]) -> None:
    """A head at the end of an arrow, or a dot where it is too short for one."""
    along = end - start
    length = float(np.hypot(*along))
    if length < 5 * _OVER:
        draw.ellipse(_box(end[0], end[1], 1.5 * _OVER), fill=fill)
        return
    along, across = along / length * 4 * _OVER, np.array([along[1], -along[0]]) / length * 2.4 * _OVER
    corners = (end, end - along + across, end - along - across)
    draw.polygon([(float(x), float(y)) for y, x in corners], fill=fill)


def _mark(draw: ImageDraw.ImageDraw, panel: Panel, scale: float) -> None:
    """A frame around the query's position."""
    top, left = (at * panel.grid.stride * scale for at in panel.grid.query)
    side = max(panel.grid.stride * scale, 5 * _OVER)
    middle = [each + panel.grid.stride * scale / 2 for each in (top, left)]
    y, x = (each - side / 2 for each in middle)
    for grown, colour in ((_OVER, _BLACK), (0, _WHITE)):
        box = (x - grown, y - grown, x + side + grown, y + side + grown)
        draw.rectangle(box, outline=colour, width=_OVER)


def _ring(draw: ImageDraw.ImageDraw, y: float, x: float, radius: float) -> None:
    for grown, colour in ((_OVER, _BLACK), (0, _WHITE)):
        draw.ellipse(_box(y, x, radius + grown), outline=colour, width=_OVER)


def _box(y: float, x: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius
