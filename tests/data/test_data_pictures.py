"""Pictures of every mode come out as they look, or count as unreadable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from archdsl.data.loading import load
from archdsl.data.pictures import UnreadableImage, fitted, read_picture
from archdsl.errors import SearchError

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def shown(picture: Image.Image, path: Path | None = None) -> NDArray[np.uint8]:
    """(3, 16, 16), directly or by way of a file."""
    if path is None:
        return fitted(picture, 16)
    picture.save(path)
    return read_picture(path, 16)


def grey(values: NDArray[Any]) -> Image.Image:
    return Image.fromarray(values)


@pytest.mark.parametrize(
    ("values", "ending"),
    [
        (RAMP, ".png"),
        (RAMP.astype(np.float32) / 255, ".tif"),
        (RAMP.astype(np.float32), ".tif"),
        (RAMP.astype(np.int32), ".tif"),
        (RAMP.astype(np.int32) * 257, ".tif"),
        (RAMP.astype(np.uint16), ".tif"),
        (RAMP.astype(np.uint16) * 257, ".tif"),
        (RAMP.astype(np.uint16) * 257, ".png"),
        (RAMP.astype(np.uint16), ".png"),
        (RAMP.astype(np.int32) * 257, ".pgm"),
        (RAMP, ".pgm"),
        (RAMP, ".bmp"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.dtype} to {value.max():g}",
)
def test_greys_of_any_depth_come_out_as_they_look(tmp_path: Path, values: NDArray[Any], ending: str) -> None:
    assert (shown(grey(values), tmp_path / f"ramp{ending}") == RAMP).all()


def test_greys_of_16_bits_of_another_byte_order_and_of_a_plain_pgm_are_read(tmp_path: Path) -> None:
    big = RAMP.astype(">u2") * 257
    (tmp_path / "big.pgm").write_bytes(b"P5 16 16 65535\n" + big.tobytes())
    (tmp_path / "plain.pgm").write_text("P2 16 16 65535\n" + " ".join(str(value) for value in big.flatten()))
    tiff = Image.frombytes("I;16B", (16, 16), big.tobytes())
    for found in (read_picture(tmp_path / "big.pgm", 16), read_picture(tmp_path / "plain.pgm", 16), shown(tiff)):
        assert (found == RAMP).all()


def test_a_picture_of_two_levels_is_black_and_white(tmp_path: Path) -> None:
    found = shown(grey(RAMP > 127), tmp_path / "bits.png")
    assert sorted(set(found.flatten().tolist())) == [0, 255]
    whole = shown(grey((RAMP > 127).astype(np.int32)), tmp_path / "whole.tif")
    assert sorted(set(whole.flatten().tolist())) == [0, 255]


@pytest.mark.parametrize(
    "values",
    [
        RAMP.astype(np.float32) - 128,
        RAMP.astype(np.float32) / 127.5 - 1,
        RAMP.astype(np.float32) * 257,
        np.where(RAMP > 250, np.nan, RAMP).astype(np.float32),
        np.where(RAMP > 250, np.inf, RAMP).astype(np.float32),
        RAMP.astype(np.int32) * 70_000,
        RAMP.astype(np.int32) - 128,
    ],
    ids=["negative", "-1 to 1", "to 65535", "NaN", "inf", "over 16 bits", "negative integers"],
)
def test_greys_on_no_usual_scale_count_as_unreadable(tmp_path: Path, values: NDArray[Any]) -> None:
    with pytest.raises(UnreadableImage, match=r"greyscale (floats|integers) must be from 0 to .*; got"):
        shown(grey(values), tmp_path / "odd.tif")


def test_transparency_shows_white(tmp_path: Path) -> None:
    alpha = np.where(RAMP > 127, 255, 0).astype(np.uint8)
    black = np.zeros((16, 16), np.uint8)
    glyph = np.where(alpha, 0, 255)
    drawn = [
        Image.fromarray(np.dstack([black, black, black, alpha])),
        Image.merge("LA", (grey(black), grey(alpha))),
    ]
    palette = grey(np.where(alpha, 1, 0).astype(np.uint8))
    palette.putpalette([255, 0, 0, 0, 0, 0])
    palette.info["transparency"] = 0
    for number, picture in enumerate([*drawn, palette]):
        assert (shown(picture, tmp_path / f"{number}.png") == glyph).all()
    half = Image.new("RGBA", (16, 16), (0, 0, 0, 128))
    assert abs(int(shown(half)[0, 0, 0]) - 127) <= 1


def test_what_cannot_be_seen_on_white_shows_on_black() -> None:
    alpha = grey(np.where(RAMP > 127, 255, 0).astype(np.uint8))
    white = Image.new("L", (16, 16), 255)
    found = shown(Image.merge("RGBA", (white, white, white, alpha)))
    assert (found == np.asarray(alpha)).all()
    assert (shown(Image.new("RGBA", (16, 16), (0, 0, 0, 0))) == 255).all()


def test_colours_of_other_models_and_palettes_keep_their_look(tmp_path: Path) -> None:
    colours = Image.fromarray(np.dstack([RAMP, 255 - RAMP, RAMP.T]))
    palette = colours.convert("P", palette=Image.Palette.ADAPTIVE)
    assert np.abs(shown(palette, tmp_path / "a.gif").astype(int) - shown(palette.convert("RGB"))).max() == 0
    for mode, ending in (("CMYK", ".tif"), ("YCbCr", ".jpg"), ("CMYK", ".jpg")):
        found = shown(colours.convert(mode), tmp_path / f"{mode}{ending}").astype(int)
        assert np.abs(found - shown(colours)).mean() < 25


def test_a_rotated_picture_is_upright(tmp_path: Path) -> None:
    left = Image.fromarray(np.where(np.arange(16) < 8, 255, 0).astype(np.uint8) + np.zeros((16, 1), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    left.save(tmp_path / "turned.png", exif=exif)
    assert read_picture(tmp_path / "turned.png", 16)[0, :, 0].tolist() == [255] * 8 + [0] * 8


def test_unreadable_greys_are_counted_and_a_class_of_them_is_refused_with_the_reason(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(6):
            grey(RAMP.astype(np.float32)).save(tmp_path / name / f"{number}.tif")
    grey(-RAMP.astype(np.float32)).save(tmp_path / "a" / "negative.tif")
    assert load(str(tmp_path), 16, 0).skipped == 1
    for number in range(6):
        grey(-RAMP.astype(np.float32)).save(tmp_path / "b" / f"{number}.tif")
    with pytest.raises(
        SearchError, match=r"class 'b' has no readable .* unreadable, the first .*tif: greyscale floats must be"
    ):
        load(str(tmp_path), 16, 0)


def test_images_that_come_out_nearly_black_are_said_to(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(6):
            grey(RAMP.astype(np.uint16) * 16).save(tmp_path / name / f"{number}.png")
    assert (
        "the training images are nearly black: their largest value is 15 of 255"
        in load(str(tmp_path), 16, 0).describe()
    )


def greys(root: Path, kind: type[np.uint16 | np.float32], levels: dict[str, list[float]]) -> Path:
    """A folder of classes of flat pictures, one for each level."""
    for name, values in levels.items():
        (root / name).mkdir(parents=True)
        for number, level in enumerate(values):
            grey(np.full((16, 16), level, kind)).save(root / name / f"{number}.tif")
    return root


def level_of_each(root: Path) -> list[int]:
    """The brightness of every picture that is loaded, in rising order."""
    data = load(str(root), 16, 0)
    sets = (data.train_images, data.val_images, data.held_images)
    return sorted(int(image[0, 0, 0]) for images in sets for image in images)


@pytest.mark.parametrize(
    ("kind", "dark", "bright", "said"),
    [
        (np.uint16, 200, 51400, "greyscale images of integers share one scale, with 65,535 as white"),
        (np.float32, 0.5, 204, "greyscale images of floats share one scale, with 255 as white"),
    ],
)
def test_a_dark_frame_among_bright_ones_stays_dark_and_that_is_said(
    tmp_path: Path, kind: type[np.uint16 | np.float32], dark: float, bright: float, said: str
) -> None:
    mixed = greys(tmp_path / "mixed", kind, {"a": [dark, bright, bright, bright], "b": [bright] * 4})
    shown_as = 200 if kind is np.uint16 else 204
    assert level_of_each(mixed) == [0, *[shown_as] * 7]
    assert f"{said}; 1 of 8 images would fit a smaller range and stays dark" in load(str(mixed), 16, 0).describe()


def test_greys_that_agree_in_their_scale_keep_it(tmp_path: Path) -> None:
    plain = greys(tmp_path / "plain", np.uint16, {"a": [200] * 4, "b": [100] * 4})
    assert level_of_each(plain) == [100] * 4 + [200] * 4
    described = load(str(plain), 16, 0).describe()
    assert "greyscale images of integers share one scale, with 255 as white" in described
    assert "narrower" not in described


def test_the_scale_is_that_of_all_sets_of_a_folder(tmp_path: Path) -> None:
    greys(tmp_path / "data" / "train", np.uint16, {"a": [200] * 4, "b": [100] * 4})
    greys(tmp_path / "data" / "val", np.uint16, {"a": [51400] * 2, "b": [51400] * 2})
    assert level_of_each(tmp_path / "data")[:8] == [0] * 8
