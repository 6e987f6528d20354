"""A Hugging Face dataset as data: a real one where the package is installed, else one that stands in for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archdsl.data.loading import load
from archdsl.errors import SearchError

NAMES = ["cow", "ant"]


class Feature:
    """Of a column; real ones are known by the names of their types."""

    def __init__(self, names: list[str] | None = None) -> None:
        if names is not None:
            self.names = names


class ClassLabel(Feature):
    pass


class Value(Feature):
    pass


IMAGE = type("Image", (Feature,), {})


class Dataset:
    """As much of a dataset as is read: features, one column, one row; it counts the images that are decoded."""

    def __init__(self, features: dict[str, Feature], **columns: list[Any]) -> None:
        self.features, self.columns, self.decoded = features, columns, 0

    def select_columns(self, names: list[str]) -> Dataset:
        return Dataset({name: self.features[name] for name in names}, **{name: self.columns[name] for name in names})

    def __getitem__(self, which: Any) -> dict[str, Any]:
        if isinstance(which, slice):
            return self.columns
        self.decoded += 1
        row = {name: values[which] for name, values in self.columns.items()}
        if row.get("picture") == "broken":
            raise OSError("cannot identify image file")
        return row


def picture(level: int) -> Image.Image:
    return Image.new("L", (20, 12), level)


def dataset(count: int = 12, labels: list[Any] | None = None) -> Dataset:
    """Alternately of both classes, each picture of a level of its own; cows are darker."""
    numbers = [row % 2 for row in range(count)]
    pictures = [picture(100 * number + row) for row, number in enumerate(numbers)]
    features = {"name": Value(), "picture": IMAGE(), "label": ClassLabel(NAMES)}
    return Dataset(features, name=[""] * count, picture=pictures, label=numbers if labels is None else labels)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Puts datasets on the hub; what was asked for, in order."""

    def put(found: Any) -> list[Any]:
        module, asked = ModuleType("datasets"), list[Any]()

        def fetch(*arguments: Any) -> Any:
            asked.append(arguments)
            if isinstance(found, Exception):
                raise found
            return found

        module.load_dataset = module.load_from_disk = fetch  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "datasets", module)
        return asked

    return put


def counts(labels: Any) -> list[int]:
    return labels.bincount().tolist()  # type: ignore[no-any-return]


def test_a_dataset_saved_by_the_package_itself_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
    features = datasets.Features({"picture": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    columns = dataset(12).columns
    rows = {"picture": columns["picture"], "label": columns["label"]}
    datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows, features=features)}).save_to_disk(tmp_path / "farm")
    data = load(str(tmp_path / "farm"), 16, 0)
    assert data.class_names == ("ant", "cow")
    assert (counts(data.train_labels), len(data.val_labels), len(data.held_labels)) == ([3, 3], 3, 3)


def test_a_name_of_the_hub_is_fetched_with_its_configuration(hub: Any) -> None:
    asked = hub({"train": dataset()})
    load("hf:farm", 16, 0)
    load("hf:someone/farm:small", 16, 0)
    assert asked == [("farm", None), ("someone/farm", "small")]


def test_a_folder_that_was_saved_is_known_by_its_files(hub: Any, tmp_path: Path) -> None:
    asked = hub(dataset())
    (tmp_path / "dataset_info.json").write_text("{}")
    data = load(str(tmp_path), 16, 0)
    assert asked == [(str(tmp_path),)]
    assert data.name == tmp_path.name


def test_classes_have_their_names_and_pictures_their_labels(hub: Any) -> None:
    hub({"train": dataset()})
    data = load("hf:farm", 16, 0)
    assert (data.class_names, data.channels, data.image) == (("ant", "cow"), 3, 16)
    assert (counts(data.train_labels), len(data.val_labels), len(data.held_labels)) == ([3, 3], 3, 3)
    assert ((data.train_images[:, 0, 0, 0] < 100) == (data.train_labels == 1)).all()


def test_splits_of_a_dataset_are_kept(hub: Any) -> None:
    hub({"train": dataset(12), "validation": dataset(6), "test": dataset(4)})
    data = load("hf:farm", 16, 0)
    assert (len(data.train_labels), len(data.val_labels), len(data.held_labels)) == (12, 6, 4)
    hub({"train": dataset(12), "test": dataset(4)})
    data = load("hf:farm", 16, 0, train=8, validation=4)
    assert (len(data.train_labels), len(data.val_labels), len(data.held_labels)) == (8, 4, 4)
    hub({"everything": dataset(12)})
    assert len(load("hf:farm", 16, 0).train_labels) == 6


def test_a_test_set_whose_labels_are_kept_back_is_left_out(hub: Any) -> None:
    hub({"train": dataset(12), "test": dataset(4, labels=[-1] * 4)})
    data = load("hf:farm", 16, 0)
    assert (len(data.train_labels), len(data.val_labels), len(data.held_labels)) == (6, 3, 3)
    assert "; the split 'test' is not read: 4 of its labels are kept back;" in data.describe()


def test_splits_of_other_spellings_are_kept_and_the_rest_is_said(hub: Any) -> None:
    hub({"Training": dataset(12), "valid": dataset(6), "TEST": dataset(4), "unsupervised": dataset(8)})
    data = load("hf:farm", 16, 0)
    assert (len(data.train_labels), len(data.val_labels), len(data.held_labels)) == (12, 6, 4)
    assert data.describe().endswith("; splits ignored: unsupervised")
    hub({"train": dataset(12), "dev": dataset(6), "validation": dataset(4)})
    data = load("hf:farm", 16, 0)
    assert len(data.val_labels) + len(data.held_labels) == 4  # the usual name goes before others


def test_a_class_that_no_training_image_has_is_said(hub: Any) -> None:
    farm = dataset(12)
    farm.features["label"] = ClassLabel([*NAMES, "hen"])
    hub(farm)
    data = load("hf:farm", 16, 0)
    assert data.class_names == ("ant", "cow")
    assert (
        "; no training image of hen: these are not counted as classes; validation and held-out images are drawn"
        in data.describe()
    )


def test_labels_may_be_strings_or_minus_one_and_one(hub: Any) -> None:
    farm = dataset(12, labels=["b", "a"] * 6)
    farm.features["label"] = Value()
    hub(farm)
    assert load("hf:farm", 16, 0).class_names == ("a", "b")
    both = {name: dataset(count, labels=[-1, 1] * (count // 2)) for name, count in (("train", 12), ("test", 4))}
    for part in both.values():
        part.features["label"] = Value()
    hub(both)
    data = load("hf:farm", 16, 0)
    assert (data.class_names, len(data.held_labels)) == (("-1", "1"), 4)


def test_only_the_images_drawn_are_decoded_and_broken_ones_are_counted(hub: Any) -> None:
    large = dataset(200)
    large.columns["picture"][:] = [picture(row) for row in range(200)]
    hub(large)
    load("hf:farm", 16, 0, train=8, validation=4)
    assert large.decoded == 16
    small = dataset(12)
    small.columns["picture"][3] = "broken"
    hub(small)
    read = load("hf:farm", 16, 0)
    assert read.skipped == 1
    assert "; 1 unreadable file skipped" in read.describe()
    assert read.warnings[0].startswith("1 unreadable file skipped, ")


def test_labels_may_be_numbers_without_names(hub: Any) -> None:
    plain = dataset(12)
    plain.features["label"] = Value()
    hub(plain)
    assert load("hf:farm", 16, 0).class_names == ("0", "1")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"a": dataset(), "b": dataset()}, "hf:farm: a dataset must have a split 'train'; got a, b"),
        (Dataset({"text": Value()}, text=["x"]), r"a column of images and one of class labels; got text \(Value\)"),
        (ConnectionError("no\nroute"), "hf:farm: the dataset cannot be loaded; ConnectionError: no route"),
        (dataset(12, labels=[1] * 12), r"hf:farm: data must have at least 2 classes; got 1 \(ant\)"),
        (dataset(12, labels=[0, 1, -1] * 4), "hf:farm: every training image must have a label; 4 of 12 have none"),
        (dataset(12, labels=[0, 1, None] * 4), "hf:farm: every training image must have a label; 4 of 12 have none"),
        (dataset(12, labels=[0, 1, 2] * 4), "labels in 'label' must be below 2, the number of its names; got 2"),
        (dataset(12, labels=[0, 1, 0.5] * 4), "labels in 'label' must be integers or strings, .*; got float, int"),
        (dataset(12, labels=[[0, 1]] * 12), "labels in 'label' must be integers or strings, .*; got list"),
        (
            {"train": dataset(12), "test": Dataset({"picture": IMAGE()}, picture=[picture(0)])},
            "each split must have the columns 'picture' and 'label'; one split lacks 'label'",
        ),
        (
            {"train": dataset(12), "dev": dataset(6), "eval": dataset(4)},
            "two splits are named like the set 'val': dev, eval; keep",
        ),
    ],
    ids=[
        *("no train", "no images", "no network", "one class", "kept back", "none", "out of range", "floats", "lists"),
        *("no labels", "two to validate with"),
    ],
)
def test_a_dataset_of_anything_else_is_refused(hub: Any, found: Any, message: str) -> None:
    hub(found)
    with pytest.raises(SearchError, match=message):
        load("hf:farm", 16, 0)


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        SearchError, match=r"hf:farm: a Hugging Face dataset needs a package; pip install 'archdsl\[hf\]'"
    ):
        load("hf:farm", 16, 0)


def test_pictures_of_any_mode_become_rgb(hub: Any) -> None:
    found = dataset(12)
    found.columns["picture"][:] = [Image.fromarray(np.full((8, 8), 257 * row, np.uint16)) for row in range(12)]
    hub(found)
    data = load("hf:farm", 8, 0)
    assert data.channels == 3
    assert int(data.train_images.max()) <= 11
