"""A picture as it looks: upright, its middle scaled, three channels of 8 bits, whatever its file holds."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from archdsl.errors import SearchError

if TYPE_CHECKING:
    from PIL.Image import Image

GreyKind = Literal["floats", "integers"]
Result = TypeVar("Result")

MAX_PIXELS = 64_000_000
"""A file that claims more is skipped unread: a few kilobytes can unpack to all of memory."""
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_FAINT = 16
"""Contrast, of 255, below which a picture cannot be made out on its background."""
_SLACK = 1e-3
"""By how much rounding may have moved floats out of their range, as a share of it."""
_WHITES: dict[GreyKind, tuple[int, ...]] = {"floats": (1, 255), "integers": (1, 255, 65535)}
"""What may be white in greys of more than 8 bits: the scales that are read."""


class UnreadableImage(Exception):
    """A picture that cannot be shown as it looks; it is skipped and counted."""


class GreyScales:
    """What is white in the greys of more than 8 bits of a data set, by their kind.

    All its pictures share a scale: a dark one among others must not be brightened by a scale of its own.
    """

    def __init__(self) -> None:
        self._white: dict[GreyKind, int] = {}
        self._narrower, self._pictures = Counter[GreyKind](), Counter[GreyKind]()
        self.is_outdated = False
        """Whether a picture was read before one that has a wider scale, so that the set must be read again."""

    def again(self) -> None:
        """Begin to read the same set once more, with the scales that were found."""
        self._narrower, self._pictures, self.is_outdated = Counter(), Counter(), False

    def white(self, kind: GreyKind, low: float, high: float) -> int:
        """What is white in a picture whose greys are from `low` to `high`.

        Integers to 255 are as they look; to 65,535 they are 16 bits. Floats go to 1 or to 255. Nothing else is guessed.

        Raises:
            UnreadableImage: its values are on no scale that is read.
        """
        fits = (most for most in _WHITES[kind] if -_SLACK * most <= low and high <= most * (1 + _SLACK))
        scale = next(fits, None)
        if scale is None:
            ends = "1 or 255" if kind == "floats" else "255 or 65,535"
            raise UnreadableImage(f"greyscale {kind} must be from 0 to {ends}; got {low:g} to {high:g}")
        white = max(scale, self._white.get(kind, 0))
        self.is_outdated |= white > self._white.get(kind, white)
        self._white[kind] = white
        self._pictures[kind] += 1
        self._narrower[kind] += scale < white
        return white

    def notes(self) -> list[str]:
        """What is said of the scales."""
        notes = []
        for kind, white in sorted(self._white.items()):
            notes.append(f"greyscale images of {kind} share one scale, with {white:,} as white")
            if dark := self._narrower[kind]:
                count, stay = f"{dark:,} of {self._pictures[kind]:,} images", "stays" if dark == 1 else "stay"
                notes[-1] += f"; {count} would fit a smaller range and {stay} dark"
        return notes


def read_alike(read: Callable[[GreyScales], Result]) -> tuple[Result, list[str]]:
    """What `read` gives for a data set with scales that all its pictures share, and what is said of the scales.

    It reads twice where a picture has a wider scale than one before it.
    """
    scales = GreyScales()
    result = read(scales)
    if scales.is_outdated:
        scales.again()
        result = read(scales)
    return result, scales.notes()


def need_pillow() -> None:
    """Images need a decoder.

    Raises:
        SearchError: there is none.
    """
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise SearchError("a folder of images needs Pillow; pip install 'archdsl[images]'") from error


Sides: TypeAlias = "int | tuple[int, int]"
"""Of images in pixels: of a square, or height and width."""


def two_sides(image: Sides) -> tuple[int, int]:
    """Height and width."""
    return (image, image) if isinstance(image, int) else image


def read_picture(path: Path, image: Sides, scales: GreyScales | None = None) -> NDArray[np.uint8]:
    """The picture in a file, (3, H, W); `scales` are those of its data set, by default its own.

    Raises:
        Exception: it cannot be read, whatever a broken file makes its decoder raise.
    """
    with _opened(path, image) as opened:
        return fitted(opened, image, scales)


def read_whole_picture(path: Path, image: Sides, scales: GreyScales | None = None) -> NDArray[np.uint8]:
    """As `read_picture`, but nothing is cut off: (3, h, w), of a JPEG at least `image`, where it is as large.

    Raises:
        Exception: as `read_picture`.
    """
    with _opened(path, image) as opened:
        return whole(opened, scales)


def whole(opened: Image, scales: GreyScales | None = None) -> NDArray[np.uint8]:
    """An opened image, upright, with nothing cut off: (3, h, w); `scales` as in `read_picture`.

    Raises:
        UnreadableImage: as `fitted`.
    """
    return np.asarray(_upright(opened, scales), np.uint8).transpose(2, 0, 1)


@contextmanager
def _opened(path: Path, image: Sides) -> Iterator[Image]:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as opened:
            side = 2 * max(two_sides(image))
            opened.draft("RGB", (side, side))  # a JPEG is decoded no larger than needed
            yield opened


def fitted(opened: Image, image: Sides, scales: GreyScales | None = None) -> NDArray[np.uint8]:
    """The middle of an opened image, upright and scaled, (3, H, W); `scales` as in `read_picture`.

    Raises:
        UnreadableImage: it is absurdly large, or its values are on no scale that is read.
    """
    from PIL import Image, ImageOps

    height, width = two_sides(image)
    scaled = ImageOps.fit(_upright(opened, scales), (width, height), Image.Resampling.BICUBIC)
    return np.asarray(scaled, np.uint8).transpose(2, 0, 1)


def _upright(opened: Image, scales: GreyScales | None) -> Image:
    """Turned as its EXIF tag says, in RGB."""
    from PIL import ImageOps

    if opened.width * opened.height > MAX_PIXELS:
        raise UnreadableImage(f"{opened.width}x{opened.height} pixels are more than {MAX_PIXELS:,}")
    return _rgb(ImageOps.exif_transpose(opened), scales or GreyScales())


def _rgb(picture: Image, scales: GreyScales) -> Image:
    """Three channels of 8 bits; Pillow's own conversion cuts wide greys off at 255, and forgets transparency."""
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _from_wide(picture, scales)
    if picture.mode in _WITH_ALPHA or "transparency" in picture.info:
        return _on_a_background(picture.convert("LA") if picture.mode == "La" else picture)
    return picture.convert("RGB")


def _from_wide(picture: Image, scales: GreyScales) -> Image:
    """Greys of more than 8 bits, by the scale of their data set."""
    from PIL import Image

    greys = np.asarray(picture, np.float32)
    white = scales.white("floats" if picture.mode == "F" else "integers", float(greys.min()), float(greys.max()))
    bytes_of = (greys / (white / 255) + _SLACK).clip(0, 255).astype(np.uint8)  # rounding must not make a byte smaller
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
