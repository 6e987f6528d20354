"""A data set is known again on another processor, which rounds computed images differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archdsl.data import loading, shapetex
from archdsl.data.loading import load
from archdsl.weights.facts import read_facts
from archdsl.zoo import shipped_parent


def test_shapetex_is_known_again_where_pixels_are_rounded_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    here, drawn = load("shapetex", 32, 0, train=80, validation=40), shapetex.images

    def elsewhere(*asked: Any) -> tuple[Any, Any]:
        pictures, labels = drawn(*asked)
        return np.clip(pictures + np.float32(1 / 255), 0, 1), labels

    monkeypatch.setattr(shapetex, "images", elsewhere)
    there = load("shapetex", 32, 0, train=80, validation=40)
    assert not there.train_images.equal(here.train_images)
    assert there.fingerprint() == here.fingerprint()


@pytest.mark.parametrize("other", [{"seed": 1}, {"image": 40}, {"train": 120}, {"validation": 80}, {"held_out": 20}])
def test_another_draw_of_shapetex_is_other_data(other: dict[str, int]) -> None:
    asked: dict[str, Any] = {"image": 32, "seed": 0, "train": 80, "validation": 40}
    assert load("shapetex", **asked).fingerprint() != load("shapetex", **(asked | other)).fingerprint()


def test_resized_images_are_known_by_what_they_were_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = np.random.default_rng(0)
    pictures = source.integers(0, 256, (60, 3, 10, 10), np.uint8)
    labels = np.arange(60) % 3
    for name, shift in (("a", 0), ("b", 1)):
        np.savez(tmp_path / f"{name}.npz", images=pictures ^ shift, labels=labels)
    here, changed = (load(str(tmp_path / f"{name}.npz"), 16, 0) for name in "ab")
    resized = loading._resized
    monkeypatch.setattr(loading, "_resized", lambda images, image: resized(images, image) ^ 1)
    there = load(str(tmp_path / "a.npz"), 16, 0)
    assert not there.train_images.equal(here.train_images)
    assert there.fingerprint() == here.fingerprint() != changed.fingerprint()
    assert load(str(tmp_path / "a.npz"), 20, 0).fingerprint() != here.fingerprint()


def test_the_parent_that_ships_knows_the_images_of_a_default_search() -> None:
    file = shipped_parent("lit-dat-64")
    assert file is not None
    stated = read_facts(file).accuracy
    assert stated is not None
    assert stated.data.fingerprint == load("shapetex", 64, 0, train=2000).fingerprint()
