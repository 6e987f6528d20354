"""A .npz as data: any usual layout, split or not, and what is refused."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archdsl.data.loading import load
from archdsl.errors import SearchError
from tests.support.loaded import counts

RNG = np.random.default_rng(0)
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
    ("first", "second", "third"),
    [
        (("x_train", "y_train"), ("x_val", "y_val"), ("x_test", "y_test")),
        (("train_images", "train_labels"), ("val_images", "val_labels"), ("test_images", "test_labels")),
        (("X", "y"), ("X_valid", "y_valid"), ("X_test", "y_test")),
        (("data", "targets"), ("dev_data", "dev_targets"), ("test_data", "test_targets")),
        (("trainX", "trainY"), ("valX", "valY"), ("testX", "testY")),
        (("images", "labels"), ("validation_images", "validation_labels"), ("imgs_test", "label_test")),
    ],
)
def test_arrays_by_other_usual_names_are_read(
    tmp_path: Path, first: tuple[str, str], second: tuple[str, str], third: tuple[str, str]
) -> None:
    arrays: dict[str, Any] = {}
    for (images, labels), count in ((first, 30), (second, 12), (third, 21)):
        arrays |= {images: GREY[:count], labels: NUMBERS[:count, None]}
    data = load(npz(tmp_path, **arrays), 8, 0)
    assert (len(data.train_labels), len(data.val_labels), len(data.held_labels)) == (30, 12, 21)


def test_arrays_that_are_not_read_are_said(tmp_path: Path) -> None:
    path = npz(tmp_path, images=GREY, labels=NUMBERS, ids=NUMBERS, x=GREY)
    described = load(path, 8, 0).describe()
    assert "; arrays ignored: ids, x;" in described
    assert described.endswith("; validation and held-out images are drawn from the training set")


def test_classes_may_have_names_and_none_is_lost_in_silence(tmp_path: Path) -> None:
    data = load(npz(tmp_path, images=GREY, labels=NUMBERS % 3, class_names=np.array(["c", "b", "a", "d"])), 8, 0)
    assert data.class_names == ("b", "c")  # 3, 7 and 9 leave 0, 1 and 0
    assert "; no training image of class a, d: these are not counted as classes" in data.describe()
    data = load(npz(tmp_path, images=GREY, labels=NUMBERS), 8, 0)
    assert "; no training image of class 4, 5, 6, 8: these are not counted as classes" in data.describe()
    objects = np.array(["a", "b", "c"], dtype=object)
    data = load(npz(tmp_path, images=GREY, labels=NUMBERS // 4, class_names=objects), 8, 0)
    assert (data.class_names, "arrays ignored: class_names" in data.describe()) == (("0", "1", "2"), True)


BYTES = RNG.integers(0, 256, (30, 8, 10), dtype=np.uint8)
UNIT = (BYTES / 255).astype(np.float32)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (BYTES, UNIT, "got uint8 from 0 to 255 and float32 from 0 to 1"),
        (UNIT, BYTES, "got float32 from 0 to 1 and uint8 from 0 to 255"),
        (UNIT, UNIT * 255, "got float32 from 0 to 1 and float32 from 0 to 255"),
        (UNIT, 2 * UNIT - 1, "got float32 from 0 to 1 and float32 from -1 to 1"),
        (2 * UNIT - 1, UNIT, "got float32 from -1 to 1 and float32 from 0 to 1"),
        ((UNIT - 0.5) / 0.2, UNIT, "got float32 from -2.5 to 2.5 and float32 from 0 to 1"),
        (BYTES, BYTES.astype(np.uint16) * 257, "got uint8 from 0 to 255 and uint16 from 0 to 65535"),
        (BYTES.astype(np.uint16) * 257, BYTES.astype(np.uint16), "got uint16 from 0 to 65535 and uint16 from 0 to 255"),
        (BYTES, BYTES > 127, "got uint8 from 0 to 255 and bool from 0 to 1"),
        (BYTES, (BYTES > 127).astype(np.uint8), "got uint8 from 0 to 255 and uint8 from 0 to 1"),
        (UNIT, UNIT / 255, "got float32 from 0 to 1 and float32 from 0 to 0.00392157"),
    ],
)
@pytest.mark.parametrize("name", ["val", "test"])
def test_sets_on_two_scales_are_refused(tmp_path: Path, first: Any, second: Any, message: str, name: str) -> None:
    more = {f"{name}_images": second, f"{name}_labels": NUMBERS}
    with pytest.raises(
        SearchError, match=f"images and {name}_images must use one scale of values, .*; {message}; multiply or"
    ):
        load(npz(tmp_path, images=first, labels=NUMBERS, **more), 8, 0)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (BYTES, BYTES.astype(np.float32)),
        (BYTES.astype(np.int64), BYTES // 2),
        (UNIT.astype(np.float64), UNIT.astype(np.float16)),
        (UNIT, UNIT * 0.9),
        (UNIT, UNIT * 1.2 - 0.1),
        ((UNIT - 0.5) / 0.2, (UNIT - 0.5) / 0.3),
        (BYTES > 127, BYTES > 100),
        (BYTES.astype(np.uint16) * 200, BYTES.astype(np.uint16) * 60),
        (BYTES, BYTES * 0),
    ],
)
def test_sets_on_one_scale_are_normalised_alike(tmp_path: Path, first: Any, second: Any) -> None:
    data = load(npz(tmp_path, images=first, labels=NUMBERS, val_images=second, val_labels=NUMBERS), 8, 0)
    spread = data.normalise(data.val_images).std().item()
    assert spread > 0.25 or not second.any()


def test_sets_may_differ_in_layout_and_size(tmp_path: Path) -> None:
    colours = RNG.integers(0, 256, (30, 12, 12, 3), dtype=np.uint8)
    larger = np.repeat(np.repeat(colours.transpose(0, 3, 1, 2), 2, 2), 2, 3)
    labels = NUMBERS.astype(np.uint8)
    data = load(npz(tmp_path, images=colours, labels=NUMBERS, val_images=larger, val_labels=labels), 12, 0)
    assert data.train_images.shape == (30, 3, 12, 12)
    assert data.val_images.shape == (15, 3, 12, 12)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": GREY}, "array 'labels' is missing; got images"),
        (
            {"x": GREY},
            "array 'labels' is missing; got x; name the arrays .* also recognised: x_train and y_train",
        ),
        (
            {"arr_0": GREY, "arr_1": NUMBERS},
            "array 'images' is missing; got arr_0, arr_1; name the arrays images and labels",
        ),
        (
            {"val_images": GREY, "val_labels": NUMBERS},
            "array 'images' is missing; got val_images, val_labels; name the arrays",
        ),
        ({}, "array 'images' is missing; got no array; name the arrays"),
        (
            {"x_train": GREY, "images": GREY, "labels": NUMBERS},
            "two arrays hold the images of one set: x_train and images",
        ),
        ({"images": GREY, "labels": np.eye(30)}, r"got \(30, 30\) float64; for one-hot labels save labels.argmax\(1\)"),
        (
            {"images": GREY, "labels": NUMBERS, "val_images": GREY, "val_labels": NUMBERS.astype(str)},
            "val_images and val_labels must match images and labels; got 1 channels and int64 labels and 1",
        ),
        (
            {
                "images": GREY,
                "labels": NUMBERS,
                "test_images": np.where(GREY > 250, np.inf, GREY),
                "test_labels": NUMBERS,
            },
            "test_images must be finite; got NaN or infinite values in .* of 30, first",
        ),
        (
            {"images": GREY, "labels": NUMBERS, "class_names": np.array(["a", "b"])},
            r"each label must be one of the 2 classes that the file names \(a, b\); got 3",
        ),
        (
            {"images": GREY, "labels": NUMBERS % 3, "class_names": np.array(["a", "b", "b"])},
            "class names must differ; got a, b, b",
        ),
        ({"images": GREY, "labels": NUMBERS[:-1]}, "must have the same length, at least 1; got 30 and 29"),
        ({"images": GREY[:0], "labels": NUMBERS[:0]}, "must have the same length, at least 1; got 0 and 0"),
        ({"images": GREY, "labels": NUMBERS / 2}, r"labels must be \(N,\) integers or strings; got \(30,\) float64$"),
        ({"images": GREY, "labels": NUMBERS * 1.0}, r"got \(30,\) float64; save labels.astype\(int\)$"),
        ({"images": GREY[0], "labels": NUMBERS[:8]}, r"images must be numbers, .*; got \(8, 10\) uint8"),
        (
            {"images": RNG.random((30, 40, 8, 8)), "labels": NUMBERS},
            r"images must be numbers, .*; got \(30, 40, 8, 8\)",
        ),
        ({"images": GREY.astype(str), "labels": NUMBERS}, r"images must be numbers, .*; got \(30, 8, 10\) <U"),
        ({"images": np.where(GREY > 250, np.nan, GREY), "labels": NUMBERS}, "images must be finite"),
        (
            {"images": GREY.astype(object), "labels": NUMBERS},
            "not a readable .npz of plain arrays; Object arrays cannot",
        ),
        ({"images": GREY, "labels": NUMBERS * 0}, r"data must have at least 2 classes; got 1 \(0\)"),
        ({"images": GREY, "labels": NUMBERS, "val_images": GREY}, "array 'val_labels' is missing"),
        (
            {"images": GREY, "labels": NUMBERS, "val_images": GREY, "val_labels": NUMBERS + 1},
            "validation set has a class that the training set lacks: '4'; known: 3, 7, 9",
        ),
        (
            {"images": GREY, "labels": NUMBERS, "val_images": RNG.random((30, 3, 8, 8)), "val_labels": NUMBERS},
            "must match images and labels; got 1 channels and int64 labels and 3 channels",
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
        with pytest.raises(SearchError, match=r"broken\.npz: not a readable \.npz of plain arrays"):
            load(str(path), 8, 0)


def test_what_is_no_npz_says_what_it_is_and_how_one_is_written(tmp_path: Path) -> None:
    bare = io.BytesIO()
    np.save(bare, GREY)
    pickled = pickle.dumps({"images": [1]})
    whole = Path(npz(tmp_path, images=GREY, labels=NUMBERS)).read_bytes()
    middle = len(whole) // 3
    damaged = whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 9]) + whole[middle + 9 :]
    junk = io.BytesIO()
    with zipfile.ZipFile(junk, "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': (((((\n")
        archive.writestr("labels.npy", b"junk")
    for content, message in (
        (b"", "the file is empty"),
        (bare.getvalue(), r"it holds a single array without a name, like a \.npy file: \(30, 8, 10\) uint8"),
        (pickled, "it is not a zip archive, but perhaps a pickle, which is never loaded"),
        (damaged, "Bad CRC-32"),
        (junk.getvalue(), ""),
    ):
        for name in ("a.npz", "a.npy", "A.NPZ"):
            path = tmp_path / name
            path.write_bytes(content)
            with pytest.raises(
                SearchError, match=rf"not a readable \.npz of plain arrays; {message}.*; np\.savez\("
            ) as caught:
                load(str(path), 8, 0)
            assert str(caught.value).startswith(str(path))


def test_pickled_labels_are_never_loaded(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="pickled objects are never loaded: save arrays of numbers or strings"):
        load(npz(tmp_path, images=GREY, labels=NUMBERS.astype(object)), 8, 0)


def test_an_array_that_claims_more_than_memory_is_refused(tmp_path: Path) -> None:
    head = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 64, 64)}
    np.lib.format.write_array_header_1_0(head, shape)
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as file:
        file.writestr("images.npy", head.getvalue())
        file.writestr("labels.npy", head.getvalue())
    with pytest.raises(SearchError, match=r"not a readable \.npz of plain arrays"):
        load(str(tmp_path / "huge.npz"), 8, 0)
