"""A picture as it looks: upright, its middle square scaled, three channels of 8 bits, whatever its file holds."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from archdsl.errors import SearchError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 64_000_000
"""A file that claims more is skipped unread: a few kilobytes can unpack to all of memory."""
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_FAINT = 16
"""Contrast, of 255, below which a picture cannot be made out on its background."""
_SLACK = 1e-3
"""By how much rounding may have moved floats out of their range, as a share of it."""


class UnreadableImage(Exception):
    """A picture that cannot be shown as it looks; it is skipped and counted."""


def need_pillow() -> None:
    """Images need a decoder.

    Raises:
        SearchError: there is none.
    """
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise SearchError("a folder of images needs Pillow; pip install 'archdsl[images]'") from error


def read_picture(path: Path, image: int) -> NDArray[np.uint8]:
    """The picture in a file, (3, image, image).

    Raises:
        Exception: it cannot be read, whatever a broken file makes its decoder raise.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as opened:
            opened.draft("RGB", (2 * image, 2 * image))  # a JPEG is decoded no larger than needed
            return fitted(opened, image)


def fitted(opened: Image, image: int) -> NDArray[np.uint8]:
    """The middle square of an opened image, upright and scaled, (3, image, image).

    Raises:
        UnreadableImage: it is absurdly large, or its values are on no scale that is read.
    """
    from PIL import Image, ImageOps

    if opened.width * opened.height > MAX_PIXELS:
        raise UnreadableImage(f"{opened.width}x{opened.height} pixels are more than {MAX_PIXELS:,}")
    upright = ImageOps.exif_transpose(opened)
    scaled = ImageOps.fit(_rgb(upright), (image, image), Image.Resampling.BICUBIC)
    return np.asarray(scaled, np.uint8).transpose(2, 0, 1)


def _rgb(picture: Image) -> Image:
    """Three channels of 8 bits; Pillow's own conversion cuts wide greys off at 255, and forgets transparency."""
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _from_wide(picture)
    if picture.mode in _WITH_ALPHA or "transparency" in picture.info:
        return _on_a_background(picture.convert("LA") if picture.mode == "La" else picture)
    return picture.convert("RGB")


def _from_wide(picture: Image) -> Image:
    """Greys of more than 8 bits, by the range that their values are in.

    Integers to 255 are as they look; to 65,535 they are 16 bits. Floats go to 1 or to 255. Nothing else is guessed.
    """
    from PIL import Image

    greys = np.asarray(picture, np.float32)
    low, high = float(greys.min()), float(greys.max())
    scales = ((1, 1 / 255), (255, 1)) if picture.mode == "F" else ((1, 1 / 255), (255, 1), (65535, 257))
    step = next((step for most, step in scales if -_SLACK * most <= low and high <= most * (1 + _SLACK)), None)
    if step is None:
        kind, ends = ("floats", "1 or 255") if picture.mode == "F" else ("integers", "255 or 65,535")
        raise UnreadableImage(f"greys of {kind} must be from 0 to {ends}; got {low:g} to {high:g}")
    bytes_of = (greys / step + _SLACK).clip(0, 255).astype(np.uint8)  # a byte that rounding made smaller stays itself
    return Image.fromarray(bytes_of).convert("RGB")


def _on_a_background(picture: Image) -> Image:
    """What shows through is white, as most viewers have it; black where nothing could be seen on white."""
    from PIL import Image

    drawn = picture.convert("RGBA")
    shown = [_pasted(drawn, Image.new("RGBA", drawn.size, colour)) for colour in ("white", "black")]
    contrasts = [np.ptp(np.asarray(some), axis=(0, 1)).max() for some in shown]
    is_empty = not np.asarray(drawn.getchannel("A")).any()
    return shown[1] if contrasts[0] < _FAINT < contrasts[1] and not is_empty else shown[0]


def _pasted(drawn: Image, background: Image) -> Image:
    from PIL import Image

    return Image.alpha_composite(background, drawn).convert("RGB")
