"""Shapetex depends on its arguments alone, is balanced, and shows the same at any resolution."""

from __future__ import annotations

import time

import numpy as np
import pytest

from archdsl.data import shapetex


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
