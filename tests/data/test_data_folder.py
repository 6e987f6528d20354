"""A folder of images as data: one class a folder, split or not, and what in it is skipped or refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from archdsl.data.loading import load
from archdsl.errors import SearchError
from tests.support.loaded import counts, same


def picture(path: Path, colour: int, size: tuple[int, int] = (20, 12), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fill = (colour, 0, 0) if mode == "RGB" else colour
    Image.new(mode, size, fill).save(path)


def folder(root: Path, each: int = 6, names: tuple[str, ...] = ("cat", "dog")) -> Path:
    for number, name in enumerate(names):
        for index in range(each):
            picture(root / name / f"{index}.png", 40 * number + index)
    return root


def test_a_folder_has_one_class_a_folder(tmp_path: Path) -> None:
    data = load(str(folder(tmp_path / "pets")), 16, 0)
    assert data.class_names == ("cat", "dog")
    assert data.describe().startswith(
        "pets: 6 images to train, 3 to validate, 3 held out, 3x16x16, 2 classes (chance 66.7%)"
    )
    assert (counts(data.train_labels), sum(counts(data.held_labels))) == ([3, 3], 3)
    assert torch.equal(data.train_images[:, 0, 0, 0] >= 40, data.train_labels == 1)
    assert same(data, load(str(tmp_path / "pets"), 16, 0))
    assert not data.flips


def test_a_folder_may_come_split(tmp_path: Path) -> None:
    folder(tmp_path / "train")
    folder(tmp_path / "val", each=2)
    data = load(str(tmp_path), 16, 0)
    assert (counts(data.train_labels), counts(data.val_labels), counts(data.held_labels)) == ([6, 6], [1, 1], [1, 1])
    folder(tmp_path / "test", each=4)
    data = load(str(tmp_path), 16, 0)
    assert (counts(data.train_labels), counts(data.val_labels), counts(data.held_labels)) == ([6, 6], [2, 2], [4, 4])


def test_a_folder_that_comes_with_a_test_set_alone_validates_on_images_of_its_training_set(tmp_path: Path) -> None:
    folder(tmp_path / "train")
    folder(tmp_path / "test", each=2)
    data = load(str(tmp_path), 16, 0, train=8, validation=4)
    assert (counts(data.train_labels), counts(data.val_labels), counts(data.held_labels)) == ([4, 4], [2, 2], [2, 2])


def test_a_class_that_only_validation_has_is_refused(tmp_path: Path) -> None:
    folder(tmp_path / "train")
    folder(tmp_path / "val", names=("cat", "cow"))
    with pytest.raises(
        SearchError, match="validation set has a class that the training set lacks: 'cow'; known: cat, dog"
    ):
        load(str(tmp_path), 16, 0)


def test_only_the_images_drawn_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, each=30)
    opened: list[Any] = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path) or real(path))  # type: ignore[func-returns-value]
    data = load(str(tmp_path), 16, 0, train=8, validation=4)
    assert len(opened) == 16
    assert (len(data.train_labels), len(data.val_labels), len(data.held_labels)) == (8, 4, 4)


def test_unreadable_files_are_skipped_and_counted(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "cat" / "broken.png").write_bytes(b"no image")
    whole = (tmp_path / "dog" / "0.png").read_bytes()
    (tmp_path / "dog" / "cut.png").write_bytes(whole[:40])
    (tmp_path / "dog" / "notes.txt").write_text("no image and not taken for one")
    data = load(str(tmp_path), 16, 0)
    assert data.skipped == 2
    assert len(data.train_labels) + len(data.val_labels) + len(data.held_labels) == 12
    assert "; 1 file does not count as an image (1 .txt)" in data.describe()
    assert data.describe().endswith("; 2 unreadable files skipped")
    (text,) = data.warnings
    assert re.fullmatch(r"2 unreadable files skipped, the first (cat/broken|dog/cut)\.png: .+", text)
    (tmp_path / "dog" / "cut.png").unlink()
    data = load(str(tmp_path), 16, 0)
    assert data.describe().endswith("; 1 unreadable file skipped")
    assert data.warnings[0].startswith("1 unreadable file skipped, cat/broken.png: cannot identify image file")
    assert data.to("meta").warnings == data.warnings


def test_a_decompression_bomb_is_skipped_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path)
    picture(tmp_path / "cat" / "bomb.png", 0, size=(9000, 8000), mode="L")
    monkeypatch.setattr(Image.Image, "load", _refuse_large(Image.Image.load))
    assert load(str(tmp_path), 16, 0).skipped == 1


def _refuse_large(real: Callable[..., Any]) -> Callable[..., Any]:
    def load_small(self: Image.Image) -> Any:
        assert self.width * self.height < 1e6, "the bomb was unpacked"
        return real(self)

    return load_small


def test_greys_of_16_bits_keep_their_steps(tmp_path: Path) -> None:
    for name, level in (("dark", 10_000), ("light", 50_000)):
        for index in range(3):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(np.full((8, 8), level, np.uint16)).save(tmp_path / name / f"{index}.png")
    data = load(str(tmp_path), 8, 0)
    assert data.skipped == 0
    assert sorted(set(data.train_images.flatten().tolist())) == [10_000 // 257, 50_000 // 257]


@pytest.mark.parametrize(("count", "lie"), [(1, "1 image lies"), (6, "6 images lie")])
def test_images_that_lie_in_no_class_are_told(tmp_path: Path, count: int, lie: str) -> None:
    for number in range(count):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    with pytest.raises(SearchError, match=f"{lie} directly in it; put the images of each class into a folder"):
        load(str(tmp_path), 8, 0)


@pytest.mark.parametrize(
    ("names", "each", "message"),
    [
        ((), 0, "no images found; expected one folder per class"),
        (("cat",), 6, r"data must have at least 2 classes; got 1 \(cat\)"),
        (("cat", "dog"), 1, "each class needs at least 2 images, one to train and one to validate; class 'cat' has 1"),
    ],
)
def test_a_folder_without_enough_is_refused(tmp_path: Path, names: tuple[str, ...], each: int, message: str) -> None:
    with pytest.raises(SearchError, match=message):
        load(str(folder(tmp_path, each, names)), 16, 0)


@pytest.mark.parametrize(
    ("files", "got"),
    [
        ((), "got no file"),
        ((".hidden.png", ".DS_Store"), "got no file"),
        (("notes.txt",), "got 1 other file: 1 .txt"),
        (("0.heic", "1.HEIC", "a"), "got 3 other files: 2 .heic, 1 no ending"),
    ],
)
@pytest.mark.parametrize("place", ["", "train/"])
def test_a_class_without_an_image_is_refused_with_its_name(
    tmp_path: Path, files: tuple[str, ...], got: str, place: str
) -> None:
    (folder(tmp_path / place) / "pig" / "inner").mkdir(parents=True)
    for name in files:
        (tmp_path / place / "pig" / "inner" / name).write_bytes(b"no image")
    with pytest.raises(SearchError, match=f"class 'pig' has no image file; {got}; readable formats: .avif"):
        load(str(tmp_path), 16, 0)


@pytest.mark.parametrize(
    "ending", ["JPG", "jpeg", "jpe", "jfif", "PNG", "bmp", "gif", "tif", "TIFF", "webp", "ppm", "pgm", "pnm", "jp2"]
)
def test_images_of_any_usual_ending_are_read_also_a_level_deeper(tmp_path: Path, ending: str) -> None:
    kinds = {"jpe": "JPEG", "jfif": "JPEG", "pgm": "PPM", "pnm": "PPM", "jp2": "JPEG2000"}
    for name, colour in (("cat", 40), ("dog", 80)):
        (tmp_path / name / "more").mkdir(parents=True)
        for index in range(3):
            path = tmp_path / name / "more" / f"{index}.{ending}"
            Image.new("RGB", (8, 8), (colour, 0, 0)).save(path, kinds.get(ending))
    data = load(str(tmp_path), 8, 0)
    assert (data.class_names, data.skipped) == (("cat", "dog"), 0)
    assert len(data.train_labels) + len(data.val_labels) + len(data.held_labels) == 6


def test_files_that_do_not_count_as_images_are_said(tmp_path: Path) -> None:
    folder(tmp_path)
    for name in ("1.heic", "2.heic", "3.txt"):
        (tmp_path / "cat" / name).write_bytes(b"no image")
    assert "; 3 files do not count as images (2 .heic, 1 .txt)" in load(str(tmp_path), 16, 0).describe()


def test_a_class_of_broken_files_is_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    for path in (tmp_path / "dog").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(
        SearchError, match=r"too few readable images; class 'dog' has no readable training image \(6 unreadable"
    ):
        load(str(tmp_path), 16, 0)
