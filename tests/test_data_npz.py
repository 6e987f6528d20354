"""A .npz as data: any usual layout, split or not, and what is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loaded import counts

from archdsl.errors import SearchError
from archdsl.search.data.loading import load

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
