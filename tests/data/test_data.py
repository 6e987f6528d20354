"""Data to rank with: what every set has in common, and what is refused."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archdsl.data.labelled import balanced
from archdsl.data.loading import load, require_data
from archdsl.errors import SearchError
from tests.support.loaded import counts, same

# What every set has in common


@pytest.mark.parametrize("name", [None, "shapetex", "digits"])
def test_a_built_in_set_is_reproduced_by_its_seed(name: str | None) -> None:
    first, again, other = (load(name, 16, seed, train=200, validation=100) for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)


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


def test_training_keeps_the_images_asked_for_up_to_half_of_all() -> None:
    for asked, trained in ((40, 40), (800, 800), (899, 898), (5000, 1284)):
        data = load("digits", 8, seed=0, train=asked)
        assert len(data.train_labels) == trained
        assert len(data.train_labels) + len(data.val_labels) + len(data.held_labels) <= 1797


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
    sets = "from archdsl.data import folder, hugging_face, labelled, loading, npz, shapetex"
    code = f"import sys; {sets}; from archdsl.training import recipe, running_loss; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Refusals


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shapetx", "no data set 'shapetx'; did you mean 'shapetex'? known: digits, shapetex, a folder"),
        ("imagenet", "no data set 'imagenet'; known: digits, shapetex, a folder with one folder per class, a .npz"),
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
    with pytest.raises(SearchError, match=r"data\.csv: data of this kind is not read; give one of: digits"):
        load(str(path), 16, 0)


@pytest.mark.parametrize("files", [[], ["notes.txt"], ["a/1.png", "b/notes.txt"], ["1.png"]], ids=str)
def test_a_folder_without_images_of_a_class_is_refused_before_anything_is_begun(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in files:
        (Path("photos") / name).parent.mkdir(exist_ok=True)
        (Path("photos") / name).touch()
    with pytest.raises(SearchError, match=r"^photos: "):
        require_data("photos")


def test_a_file_of_another_kind_is_refused_before_anything_is_begun(tmp_path: Path) -> None:
    (tmp_path / "make.py").write_text("")
    np.savez(tmp_path / "photos.npz")
    with pytest.raises(SearchError, match=r"make\.py: data of this kind is not read; give one of: digits"):
        require_data(str(tmp_path / "make.py"))
    for title in ("a", "b"):
        (tmp_path / "pictures" / title).mkdir(parents=True)
        (tmp_path / "pictures" / title / "1.png").touch()
    for name in ("digits", "hf:mnist", str(tmp_path / "pictures"), str(tmp_path / "photos.npz")):
        require_data(name)


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
