"""The page of `archdsl look` as one picture: a headline, panels in rows with their titles and scales, and a foot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from archdsl.files import replacing
from archdsl.inspecting.looking import Look
from archdsl.inspecting.panels import Panel
from archdsl.render.look_colours import scale
from archdsl.render.look_drawing import SIDE, input_picture, panel_picture
from archdsl.render.look_html import look_page
from archdsl.render.look_texts import about, drawn_text, end_texts, headline, note_text, place_text, without_text

_MARGIN, _GAP, _COLUMNS, _LEAST_COLUMNS = 28, 24, 4, 3
_BAR = 10
_INK, _DIM, _PAPER = (27, 31, 36), (87, 96, 106), (255, 255, 255)
_TITLE, _TEXT, _SMALL = 22, 14, 12
"""Sizes of the font in pixels."""
_LEADING = 1.3


@dataclass(frozen=True)
class _Tile:
    """A picture with lines above it, and a scale below it."""

    lines: tuple[tuple[str, int, tuple[int, int, int]], ...]
    picture: Image.Image
    panel: Panel | None

    @property
    def height_above(self) -> int:
        return sum(_line_height(size) for _, size, _ in self.lines) + 4

    @property
    def height(self) -> int:
        """Without what is above."""
        return self.picture.height + (_BAR + 8 + _line_height(_SMALL) if self.panel is not None else 0)


def write_look(look: Look, path: Path) -> None:
    """Write the page as a picture or as HTML, by the ending of the file; it is replaced in one step.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path) as partial:
        if path.suffix.lower() == ".html":
            partial.write_text(look_page(look), encoding="utf-8")
        else:
            look_picture(look).save(partial, format="PNG", optimize=True)


def look_picture(look: Look) -> Image.Image:
    """The page."""
    rows = _rows(look)
    columns = max(_LEAST_COLUMNS, *map(len, rows))
    width = 2 * _MARGIN + columns * SIDE + (columns - 1) * _GAP
    head = [(text, _TITLE, _INK) for text in _wrapped(headline(look), _TITLE, width - 2 * _MARGIN)]
    head += [(text, _TEXT, _DIM) for line in about(look) for text in _wrapped(line, _TEXT, width - 2 * _MARGIN)]
    foot = [(text, _TEXT, _DIM) for text in _wrapped(without_text(look), _TEXT, width - 2 * _MARGIN)]
    above = [max(tile.height_above for tile in row) for row in rows]
    below = [max(tile.height for tile in row) for row in rows]
    height = 2 * _MARGIN + _block_height(head) + sum(above) + sum(below) + len(rows) * _GAP + _block_height(foot)
    page = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(page)
    y = _MARGIN + _written(draw, _MARGIN, _MARGIN, head) + _GAP
    for row, over, under in zip(rows, above, below, strict=True):
        for column, tile in enumerate(row):
            _put(page, draw, tile, _MARGIN + column * (SIDE + _GAP), y, y + over)
        y += over + under + _GAP
    _written(draw, _MARGIN, y, foot)
    return page


def _rows(look: Look) -> list[list[_Tile]]:
    """The image first; the panels of a node stand together where a row has room for them."""
    first = _Tile(_lines("the image as the network reads it", "the ring is the query", ""), input_picture(look), None)
    rows: list[list[_Tile]] = [[first]]
    for _, panels in groupby(look.panels, key=lambda panel: panel.place):
        tiles = [_tile(look, panel) for panel in panels]
        if len(rows[-1]) + len(tiles) > _COLUMNS:
            rows.append([])
        for tile in tiles:
            if len(rows[-1]) == _COLUMNS:
                rows.append([])
            rows[-1].append(tile)
    return rows


def _tile(look: Look, panel: Panel) -> _Tile:
    lines = _lines(place_text(panel), drawn_text(panel), note_text(panel))
    return _Tile(lines, panel_picture(look, panel), panel)


def _lines(title: str, drawn: str, note: str) -> tuple[tuple[str, int, tuple[int, int, int]], ...]:
    styled = ((title, _TEXT, _INK), (drawn, _SMALL, _INK), (note, _SMALL, _DIM))
    return tuple((line, size, ink) for text, size, ink in styled for line in _wrapped(text, size, SIDE))


def _put(page: Image.Image, draw: ImageDraw.ImageDraw, tile: _Tile, x: int, top: int, y: int) -> None:
    """Its lines begin at `top` and its picture at `y`, in line with the others of its row."""
    _written(draw, x, top, tile.lines)
    page.paste(tile.picture, (x, y))
    if tile.panel is None:
        return
    y += tile.picture.height + 6
    bar = np.repeat(scale(tile.panel, SIDE)[None], _BAR, axis=0)
    page.paste(Image.fromarray(bar), (x, y))
    low, high = end_texts(tile.panel)
    draw.text((x, y + _BAR + 2), low, font=_font(_SMALL), fill=_DIM)
    draw.text((x + SIDE, y + _BAR + 2), high, font=_font(_SMALL), fill=_DIM, anchor="ra")


def _written(draw: ImageDraw.ImageDraw, x: int, y: int, lines: Sequence[tuple[str, int, tuple[int, int, int]]]) -> int:
    """Lines of text; their height."""
    start = y
    for text, size, ink in lines:
        draw.text((x, y), text, font=_font(size), fill=ink)
        y += _line_height(size)
    return y - start


def _wrapped(text: str, size: int, width: int) -> list[str]:
    """Lines no wider than `width`; a word that is wider by itself is cut."""
    font, lines = _font(size), list[str]()
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        lines.append(word)
        while font.getlength(lines[-1]) > width:
            lines[-1] = lines[-1].removesuffix("...")[:-1] + "..."
    return lines


def _block_height(lines: Sequence[tuple[str, int, tuple[int, int, int]]]) -> int:
    return sum(_line_height(size) for _, size, _ in lines)


def _line_height(size: int) -> int:
    return round(size * _LEADING)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
