"""Data to rank with: what is built in, what a user brings, and what is refused."""

from __future__ import annotations

import builtins
import io
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from archdsl.errors import SearchError
from archdsl.search.data import shapetex
from archdsl.search.data.labelled import balanced
from archdsl.search.data.loading import Data, load

RNG = np.random.default_rng(0)


def same(one: Data, other: Data) -> bool:
    return one.fingerprint() == other.fingerprint()


def counts(labels: torch.Tensor) -> list[int]:
    return labels.bincount().tolist()


# shapetex


def test_shapetex_depends_on_its_arguments_alone() -> None:
    pictures, labels = shapetex.images(100, 32, seed=3)
    again, labels_again = shapetex.images(100, 32, seed=3)
    other, _ = shapetex.images(100, 32, seed=4)
    assert np.array_equal(pictures, again)
    assert np.array_equal(labels, labels_again)
    assert not np.array_equal(pictures, other)


def test_a_longer_shapetex_begins_with_the_shorter_one() -> None:
    short, short_labels = shapetex.images(50, 16, seed=0)
    longer, longer_labels = shapetex.images(130, 16, seed=0)
    assert np.array_equal(short, longer[:50])
    assert np.array_equal(short_labels, longer_labels[:50])


@pytest.mark.parametrize("size", [16, 33, 64])
def test_shapetex_spans_0_to_1_with_every_class_alike(size: int) -> None:
    pictures, labels = shapetex.images(200, size, seed=0)
    assert pictures.shape == (200, 3, size, size)
    assert pictures.dtype == np.float32
    assert labels.dtype == np.int64
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert pictures.std() > 0.1
    assert np.bincount(labels).tolist() == [10] * 20


def test_a_picture_shows_the_same_at_any_resolution() -> None:
    plain = shapetex.Nuisance(noise=0, clutter=0)
    (large, labels), (small, labels_small) = (shapetex.images(40, size, 0, plain) for size in (128, 64))
    assert np.array_equal(labels, labels_small)
    halved = large.reshape(40, 3, 64, 2, 64, 2).mean((3, 5))
    regular = labels % 4 != shapetex.TEXTURES.index("blobs")  # blobs are drawn by the pixel
    assert np.abs(halved - small)[regular].mean() < 0.02


def test_two_thousand_images_take_seconds() -> None:
    start = time.perf_counter()
    shapetex.images(2000, 64, 0)
    assert time.perf_counter() - start < 15  # 0.7 s on two quiet cores


# What every set has in common


@pytest.mark.parametrize("name", [None, "shapetex", "digits"])
def test_a_built_in_set_is_reproduced_by_its_seed(name: str | None) -> None:
    one, again, other = (load(name, 16, seed, train=200, validation=100) for seed in (0, 0, 1))
    assert same(one, again)
    assert not same(one, other)


@pytest.mark.parametrize(("name", "channels", "classes"), [("shapetex", 3, 20), ("digits", 1, 10)])
def test_a_built_in_set_has_the_size_asked_for(name: str, channels: int, classes: int) -> None:
    data = load(name, 24, seed=0, train=200, validation=100)
    assert (data.channels, data.image, data.classes) == (channels, 24, classes)
    assert data.train_images.shape == (200, channels, 24, 24)
    assert data.val_images.shape == (100, channels, 24, 24)
    assert len(counts(data.train_labels)) == len(counts(data.val_labels)) == classes
    assert max(counts(data.train_labels)) - min(counts(data.train_labels)) <= 3


def test_every_beginning_of_a_balanced_order_holds_the_classes_in_their_proportions() -> None:
    numbers = np.repeat([0, 1, 2], [60, 30, 10])
    order = balanced(numbers, seed=0)
    assert sorted(order) == list(range(100))
    for length in (3, 20, 50):
        found = np.bincount(numbers[order[:length]], minlength=3)
        assert np.abs(found - np.array([0.6, 0.3, 0.1]) * length).max() <= 1


def test_normalised_images_have_mean_0_and_deviation_1() -> None:
    data = load("shapetex", 16, seed=0, train=400, validation=20)
    images = data.normalise(data.train_images)
    assert images.dtype == torch.float32
    assert images.mean((0, 2, 3)).abs().max() < 0.02
    assert (images.std((0, 2, 3)) - 1).abs().max() < 0.02


def test_data_describes_itself() -> None:
    assert load("shapetex", 16, 0, train=2000, validation=1000).describe() == (
        "shapetex: 2,000 images to train, 1,000 to validate, 1,000 held out, 3x16x16, 20 classes (chance 5.0%)"
    )


def test_a_set_smaller_than_asked_for_is_shared_out_in_proportion() -> None:
    data = load("digits", 8, seed=0, train=2000, validation=1000)
    assert (len(data.train_labels), len(data.val_labels), len(data.held_labels)) == (899, 449, 449)
    every = torch.cat((data.train_images, data.val_images, data.held_images)).flatten(1)
    assert len(every) == 1797
    assert torch.unique(every, dim=0).shape[0] > 1790  # no image is in two sets; a few digits are drawn alike


def test_what_is_held_out_is_as_large_as_validation_and_has_every_class() -> None:
    data = load("shapetex", 16, seed=0, train=40, validation=80)
    assert counts(data.held_labels) == counts(data.val_labels) == [4] * 20
    longer = load("shapetex", 16, seed=0, train=40, validation=80, held_out=120)
    assert torch.equal(data.val_images, longer.val_images)
    assert torch.equal(data.held_images, longer.held_images[:80])


def test_naming_the_device_it_is_on_gives_the_data_itself() -> None:
    data = load("shapetex", 16, 0, train=40, validation=20)
    assert data.to("cpu") is data
    assert data.to("meta") is data.to("meta")


def test_importing_the_data_does_not_import_torch() -> None:
    sets = "from archdsl.search.data import folder, hugging_face, labelled, loading, npz, shapetex"
    code = f"import sys; {sets}; from archdsl.search.training import recipe, running; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Refusals


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shapetx", "no data set 'shapetx'; did you mean 'shapetex'? known: digits, shapetex, a folder"),
        ("imagenet", "no data set 'imagenet'; known: digits, shapetex, a folder with one folder a class, a .npz"),
        ("here/photos", "here/photos: no such file or folder; known: digits"),
        ("photos.npz", "photos.npz: no such file or folder"),
    ],
)
def test_an_unknown_name_lists_the_known_ones(name: str, message: str) -> None:
    with pytest.raises(SearchError) as caught:
        load(name, 16, 0)
    assert str(caught.value).startswith(message)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("1,2")
    with pytest.raises(SearchError, match=r"data\.csv: data must be a folder or a \.npz file"):
        load(str(path), 16, 0)


def test_sizes_must_be_positive() -> None:
    with pytest.raises(SearchError, match="must be at least 1; got image 16, train 0, validation 1000"):
        load(None, 16, 0, train=0)


@pytest.mark.parametrize(("package", "extra"), [("sklearn.datasets", "digits"), ("PIL.Image", "images")])
def test_a_missing_package_is_named_with_its_remedy(
    package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == package:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SearchError, match=rf"pip install 'archdsl\[{extra}\]'"):
        load("digits" if extra == "digits" else str(tmp_path), 16, 0)


# A folder of images


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
    with pytest.raises(SearchError, match="validation has a class that training has not: 'cow'; known: cat, dog"):
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
    assert data.describe().endswith("; 2 unreadable files skipped")


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


@pytest.mark.parametrize(
    ("names", "each", "message"),
    [
        ((), 0, "no images found; data is one folder a class"),
        (("cat",), 6, r"data must have at least 2 classes; got 1 \(cat\)"),
        (("cat", "dog"), 1, "each class needs at least 2 images, one to train and one to validate; class 'cat' has 1"),
    ],
)
def test_a_folder_without_enough_is_refused(tmp_path: Path, names: tuple[str, ...], each: int, message: str) -> None:
    with pytest.raises(SearchError, match=message):
        load(str(folder(tmp_path, each, names)), 16, 0)


def test_a_class_of_broken_files_is_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    for path in (tmp_path / "dog").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(
        SearchError, match=r"too few readable images; class 'dog' has none to train with \(6 unreadable"
    ):
        load(str(tmp_path), 16, 0)


# A .npz

GREY = RNG.integers(0, 256, (30, 8, 10), dtype=np.uint8)
NUMBERS = np.repeat([3, 7, 9], 10)


def npz(path: Path, **arrays: Any) -> str:
    np.savez(path / "data.npz", **arrays)
    return str(path / "data.npz")


@pytest.mark.parametrize(
    ("images", "channels"),
    [
        (GREY, 1),
        (RNG.random((30, 12, 12, 3)), 3),
        (RNG.random((30, 3, 12, 12), np.float32), 3),
        (RNG.random((30, 5, 12, 12)), 5),
        (RNG.integers(0, 4096, (30, 12, 12, 1), dtype=np.int16), 1),
    ],
    ids=["NHW", "NHWC", "NCHW", "five channels", "integers"],
)
def test_an_npz_may_have_any_usual_layout(tmp_path: Path, images: Any, channels: int) -> None:
    data = load(npz(tmp_path, images=images, labels=NUMBERS), 12, 0)
    assert (data.channels, data.image, data.classes) == (channels, 12, 3)
    assert data.class_names == ("3", "7", "9")
    assert (len(data.train_labels), len(data.val_labels), len(data.held_labels)) == (15, 8, 7)
    assert data.normalise(data.train_images).std() == pytest.approx(1, abs=0.05)


def test_npz_labels_may_be_names(tmp_path: Path) -> None:
    for names in (np.array(["b", "a"] * 15), np.array([b"b", b"a"] * 15)):
        data = load(npz(tmp_path, images=GREY, labels=names), 8, 0)
        assert data.class_names == ("a", "b")


def test_an_npz_may_come_split(tmp_path: Path) -> None:
    path = npz(tmp_path, images=GREY, labels=NUMBERS, val_images=GREY[:12], val_labels=NUMBERS[:12])
    data = load(path, 8, 0)
    assert (len(data.train_labels), counts(data.val_labels), sum(counts(data.held_labels))) == (30, [5, 1], 6)
    path = npz(tmp_path, images=GREY, labels=NUMBERS, test_images=GREY[:12], test_labels=NUMBERS[:12])
    data = load(path, 8, 0, train=20, validation=10)
    assert (len(data.train_labels), len(data.val_labels), counts(data.held_labels)) == (20, 10, [8, 2])


def test_a_constant_channel_normalises_to_0(tmp_path: Path) -> None:
    data = load(npz(tmp_path, images=np.full((30, 8, 8), 7.0), labels=NUMBERS), 8, 0)
    assert data.normalise(data.train_images).abs().max() == 0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": GREY}, "array 'labels' is missing; got images"),
        ({"x": GREY}, "array 'images' is missing; got none that is known"),
        ({"images": GREY, "labels": NUMBERS[:-1]}, "must be equally many, and at least one; got 30 and 29"),
        ({"images": GREY[:0], "labels": NUMBERS[:0]}, "must be equally many, and at least one; got 0 and 0"),
        ({"images": GREY, "labels": NUMBERS / 2}, r"labels must be \(N,\) integers or strings; got \(30,\) float64"),
        ({"images": GREY[0], "labels": NUMBERS[:8]}, r"images must be numbers, .*; got \(8, 10\) uint8"),
        (
            {"images": RNG.random((30, 40, 8, 8)), "labels": NUMBERS},
            r"images must be numbers, .*; got \(30, 40, 8, 8\)",
        ),
        ({"images": GREY.astype(str), "labels": NUMBERS}, r"images must be numbers, .*; got \(30, 8, 10\) <U"),
        ({"images": np.where(GREY > 250, np.nan, GREY), "labels": NUMBERS}, "images must be finite"),
        ({"images": GREY.astype(object), "labels": NUMBERS}, "no readable .npz of plain arrays; Object arrays cannot"),
        ({"images": GREY, "labels": NUMBERS * 0}, r"data must have at least 2 classes; got 1 \(0\)"),
        ({"images": GREY, "labels": NUMBERS, "val_images": GREY}, "array 'val_labels' is missing"),
        (
            {"images": GREY, "labels": NUMBERS, "val_images": GREY, "val_labels": NUMBERS + 1},
            "validation has a class that training has not: '4'; known: 3, 7, 9",
        ),
        (
            {"images": GREY, "labels": NUMBERS, "val_images": RNG.random((30, 3, 8, 8)), "val_labels": NUMBERS},
            "must be of the kind of images and labels; got 1 channels and int64 labels and 3 channels",
        ),
    ],
)
def test_an_npz_of_anything_else_is_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(SearchError, match=message):
        load(npz(tmp_path, **arrays), 8, 0)


def test_a_broken_npz_is_refused(tmp_path: Path) -> None:
    whole = Path(npz(tmp_path, images=GREY, labels=NUMBERS)).read_bytes()
    bare = io.BytesIO()
    np.save(bare, GREY)
    path = tmp_path / "broken.npz"
    for content in (b"", b"no archive", whole[: len(whole) // 2], bare.getvalue()):
        path.write_bytes(content)
        with pytest.raises(SearchError, match=r"broken\.npz: no readable \.npz of plain arrays"):
            load(str(path), 8, 0)


def test_an_array_that_claims_more_than_memory_is_refused(tmp_path: Path) -> None:
    head = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 64, 64)}
    np.lib.format.write_array_header_1_0(head, shape)
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as file:
        file.writestr("images.npy", head.getvalue())
        file.writestr("labels.npy", head.getvalue())
    with pytest.raises(SearchError, match=r"no readable \.npz of plain arrays"):
        load(str(tmp_path / "huge.npz"), 8, 0)
