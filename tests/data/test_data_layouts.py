"""What the folders in a folder of images are: classes, or sets to train, validate and test with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archdsl.data.loading import Data, load
from archdsl.data.set_names import set_of, sets_of
from archdsl.errors import SearchError


def folders(root: Path, places: str, each: int = 6) -> Path:
    """A folder with images in each of some places; one that ends in a slash stays empty."""
    for place in places.split():
        (root / place).mkdir(parents=True, exist_ok=True)
        for number in range(0 if place.endswith("/") else each):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(root / place / f"{number}.png")
    return root


def loaded(root: Path, places: str) -> Data:
    return load(str(folders(root, places)), 8, 0)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *((name, "train") for name in ("train", "Train", "TRAIN", "training", "Training_Set", "trainset", "trn")),
        *((name, "train") for name in ("train2017", "train-images", "images_train", "TrainData", "trainval")),
        *((name, "val") for name in ("val", "valid", "Validation", "dev", "eval", "val_split", "VALIDATION SET")),
        *((name, "test") for name in ("test", "Testing", "tst", "test_images", "held-out", "holdout")),
        *((name, None) for name in ("validated", "tester", "trains", "retrain", "cat", "data", "set", "", "été", "12")),
    ],
)
def test_a_set_is_known_by_any_usual_spelling(name: str, meant: str | None) -> None:
    assert set_of(name) == meant


def test_what_all_names_share_says_nothing_of_the_set() -> None:
    assert sets_of(["seg_train", "seg_test", "seg_pred"]) == {
        "seg_train": "train",
        "seg_test": "test",
        "seg_pred": None,
    }
    assert sets_of(["train_cat", "train_dog"]) == {"train_cat": None, "train_dog": None}


@pytest.mark.parametrize(
    "places",
    [
        "Train/cat Train/dog Test/cat Test/dog",
        "Training/cat Training/dog Testing/cat Testing/dog",
        "TRAIN/cat TRAIN/dog TEST/cat TEST/dog",
        "training_set/training_set/cat training_set/training_set/dog test_set/test_set/cat test_set/test_set/dog",
        "pets/train/cat pets/train/dog pets/test/cat pets/test/dog",
        "images/train/cat images/train/dog images/test/cat images/test/dog labels/",
        "a/b/train/cat a/b/train/dog a/b/tst/cat a/b/tst/dog",
        "pets_train/cat pets_train/dog pets_test/cat pets_test/dog",
        "training_data/train/cat training_data/train/dog training_data/test/cat training_data/test/dog",
    ],
)
def test_sets_of_any_spelling_are_never_classes(tmp_path: Path, places: str) -> None:
    data = loaded(tmp_path, places)
    assert data.class_names == ("cat", "dog")
    assert (len(data.train_labels), len(data.val_labels), len(data.held_labels)) == (8, 4, 12)
    assert "validation images are drawn from the training set" in data.describe()


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "dev", "Eval"])
def test_a_set_to_validate_with_is_not_drawn_from_training(tmp_path: Path, name: str) -> None:
    data = loaded(tmp_path, f"train/cat train/dog {name}/cat {name}/dog test/cat test/dog")
    assert (len(data.train_labels), len(data.val_labels), len(data.held_labels)) == (12, 12, 12)
    assert "drawn" not in data.describe()


@pytest.mark.parametrize(
    ("places", "classes"),
    [
        ("train bus test", ("bus", "test", "train")),
        ("training running", ("running", "training")),
        ("training validated", ("training", "validated")),
        ("test cat", ("cat", "test")),
        ("test_tube train_station", ("test_tube", "train_station")),
        ("train_cat train_dog", ("train_cat", "train_dog")),
        ("train/steam train bus", ("bus", "train")),
        ("test/a test/b cat/c dog/d", ("cat", "dog", "test")),
        ("pets/cat pets/dog", ("cat", "dog")),
        ("cat/persian cat/siamese dog/pug dog/beagle", ("cat", "dog")),
        ("n01/images n02/images", ("n01", "n02")),
        ("train/train train/test", ("test", "train")),
    ],
)
def test_classes_may_be_called_like_sets_where_they_hold_images(
    tmp_path: Path, places: str, classes: tuple[str, ...]
) -> None:
    assert loaded(tmp_path, places).class_names == classes


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (
            "A/cat A/dog B/cat B/dog",
            "'A' and 'B' hold the same folders: cat, dog; they look like sets, .* name the sets train",
        ),
        ("one/cat one/dog two/cat two/owl", "'one' and 'two' hold the same folders: cat"),
        ("cat/train cat/test dog/train dog/test", "'cat' and 'dog' hold the same folders: test, train"),
        ("cat dog more/cat more/dog", "'more' holds the same folders as .*: cat, dog"),
        ("train test", r"test, train are named like sets, but have no class folders inside; .*/train/"),
        ("train_cat train_dog test_cat test_dog", "test_cat, test_dog, train_cat, train_dog are named like sets"),
        ("trainA trainB testA testB", "are named like sets, but have no class folders inside"),
        ("val/cat val/dog test/cat test/dog", "there is no training set; got test, val; names of sets: train"),
        ("Test/cat Test/dog", "there is no training set; got Test"),
        (
            "train/a train/b val/a val/b dev/a dev/b",
            "two folders are named like the set 'val': dev and val; keep one of them",
        ),
        ("train/a train/b Train_2/a Train_2/b", "two folders are named like the set 'train'"),
        (
            "train/a train/b rest/a rest/b",
            "'rest' holds the same classes as 'train', but is not named like a set; rename",
        ),
        ("train/steam train/diesel bus", "'train' has class folders inside but 'bus' beside it holds images"),
        (
            "train/cat train/dog test/cat test/cow",
            "held-out set has a class that the training set lacks: 'cow'; known: cat",
        ),
        ("train/cat train/dog test/Cat", "held-out set has a class that the training set lacks: 'Cat'"),
    ],
)
def test_folders_that_may_be_either_are_refused(tmp_path: Path, places: str, message: str) -> None:
    with pytest.raises(SearchError, match=message) as caught:
        loaded(tmp_path, places)
    assert str(tmp_path) in str(caught.value)


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(folders(tmp_path, "train/cat train/dog Test notes/") / "train" / "cover.png")
    described = load(str(tmp_path), 8, 0).describe()
    assert "; folders ignored: notes; the set 'Test' is ignored: it has no class folders with images;" in described
    assert "1 image beside the class folders of 'train' ignored" in described


def test_classes_that_a_set_has_no_image_of_are_said(tmp_path: Path) -> None:
    described = loaded(tmp_path, "train/cat train/dog val/cat val/dog/ test/cat").describe()
    assert "; no validation image of dog; no held-out image of dog" in described


def test_folders_of_systems_are_no_classes(tmp_path: Path) -> None:
    assert loaded(tmp_path, "cat dog __MACOSX/cat .git @eaDir/").class_names == ("cat", "dog")


def test_images_are_loaded_from_the_set_that_they_are_in(tmp_path: Path) -> None:
    for number, place in enumerate(("Training/a", "Training/b", "Testing/a", "Testing/b")):
        (tmp_path / place).mkdir(parents=True)
        for index in range(4):
            Image.fromarray(np.full((8, 8, 3), 60 * number, np.uint8)).save(tmp_path / place / f"{index}.png")
    data = load(str(tmp_path), 8, 0)
    assert sorted(set(data.train_images.flatten().tolist())) == [0, 60]
    assert sorted(set(data.held_images.flatten().tolist())) == [120, 180]
