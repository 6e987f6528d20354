"""The file of a trained network: its weights have exactly the accuracy that it states, fed as it says."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from archdsl import load_model
from archdsl.data.loading import Data, load
from archdsl.load.specs import spec_of
from archdsl.search.loaded_data import DataRequest
from archdsl.search.policy.propose import DrawingPolicy
from archdsl.search.propose.proposals import first_candidate
from archdsl.search.worker.process import Worker
from archdsl.search.worker.training_messages import LoadRequest, TrainingOutcome, TrainReply, TrainRequest
from archdsl.spaces.space import Space
from archdsl.training import saving
from archdsl.training.accuracy import evaluate, packed, unpacked
from archdsl.weights import ModelFacts, read_facts
from archdsl.weights.facts import Crop
from tests.support.in_process import InProcessWorker
from tests.support.searching import SPACE, settings

Facts = dict[str, Any]


@pytest.fixture(scope="module")
def worker() -> Worker:
    """Trains for all tests, in this process."""
    return InProcessWorker()


def outcome_of(reply: TrainReply) -> TrainingOutcome:
    """Of a training that took place."""
    assert reply.outcome is not None
    return reply.outcome


def request(data: str, keep: Path | None, **changes: Any) -> TrainRequest:
    """A training of a small network on this data, as the search asks for it."""
    loaded = load(data, 32, 0, 200)
    space = Space.model_validate({**SPACE, "classes": loaded.classes, "channels": loaded.channels})
    found = first_candidate(space, settings(), DrawingPolicy())
    asked: Facts = {"data": DataRequest(data, 32, 0, 200), "epochs": 2.0, "images": 200, "batch": 16, "seed": 3}
    asked |= {"device": "cpu", "threads": 1, "keep": None if keep is None else str(keep)}
    return TrainRequest(found.spec.to_json(), **{**asked, **changes})


def array(path: Path, scale: float, shift: float = 0.0, dtype: Any = np.float32, channels: int = 3) -> str:
    """120 images of three classes, each with a brightness of its own, as a `.npz`."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = (rng.random((120, channels, 32, 32)) * 0.6 + 0.2 * labels[:, None, None, None]) * scale + shift
    np.savez(path, images=images.astype(dtype), labels=np.array(["ant", "bee", "cat"])[labels])
    return str(path)


def normalised(images: Tensor, facts: ModelFacts) -> Tensor:
    """As the file says, by someone who knows nothing of this package's data."""
    preprocessing = facts.preprocessing
    assert preprocessing is not None
    pixels = images.float() / 255 if images.dtype == torch.uint8 else images
    mean, std = (torch.tensor(value)[:, None, None] for value in (preprocessing.mean, preprocessing.std))
    return (pixels - mean) / std


@pytest.fixture(
    params=[pytest.param("shapetex", marks=pytest.mark.slow), "bytes", "grey", "unit floats", "wide floats"]
)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    kinds: dict[str, dict[str, Any]] = {
        "bytes": {"scale": 255, "dtype": np.uint8},
        "grey": {"scale": 255, "dtype": np.uint8, "channels": 1},
        "unit floats": {"scale": 1.0},
        "wide floats": {"scale": 4.0, "shift": -2.0},
    }
    kind = request.param
    return kind if kind == "shapetex" else array(tmp_path / "data.npz", **kinds[kind])


def test_a_kept_network_has_exactly_the_accuracy_that_its_file_states(
    worker: Worker, data: str, tmp_path: Path
) -> None:
    batch = 1000 if data == "shapetex" else 7  # another one than that of the training
    reply = worker.ask(request(data, tmp_path / "weights" / "a.safetensors"), 120.0)
    loaded: Data = load(data, 32, 0, 200)
    model, facts = load_model(str(reply.kept)), read_facts(str(reply.kept))
    assert facts.accuracy is not None
    sets = {"val": facts.accuracy.validation, "held": facts.accuracy.held_out}
    for name, measured in sets.items():
        assert measured is not None
        images, labels = getattr(loaded, f"{name}_images"), getattr(loaded, f"{name}_labels")
        with torch.no_grad():
            logits = torch.cat([model(normalised(part, facts)) for part in images.split(batch)])
        right = logits.argmax(1) == labels
        assert measured.images == len(labels)
        assert measured.accuracy == int(right.sum()) / len(labels)
        assert unpacked(measured.answers or "", measured.images) == tuple(right.tolist())
        share = measured.accuracy  # by Laplace's rule where all or none are right
        share = (measured.accuracy * len(labels) + 1) / (len(labels) + 2) if share in (0, 1) else share
        assert measured.standard_error == pytest.approx(math.sqrt(share * (1 - share) / len(labels)))
        assert facts.classes == loaded.class_names
        for number, class_name in enumerate(facts.classes or ()):
            rows = labels == number
            expected = (int(right[rows].sum()), int(rows.sum()))
            assert measured.per_class.get(class_name, (0, 0)) == expected
    assert outcome_of(reply).accuracy == facts.accuracy.validation.accuracy
    assert outcome_of(reply).held_out == sets["held"].accuracy  # type: ignore[union-attr]


def test_the_header_says_how_the_weights_came_about_in_plain_json(worker: Worker, tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    data = array(tmp_path / "data.npz", 255, dtype=np.uint8)
    asked = request(data, file)
    worker.ask(asked, 120.0)
    with safe_open(file, "pt") as opened:
        header = opened.metadata()
    assert json.loads(header["spec"]) == spec_of(asked.spec).to_json()
    assert json.loads(header["classes"]) == ["ant", "bee", "cat"]
    preprocessing = json.loads(header["preprocessing"])
    assert (preprocessing["size"], preprocessing["channels"], preprocessing["range"], preprocessing["layout"]) == (
        [32, 32],
        "RGB",
        [0, 1],
        "NCHW",
    )
    assert (preprocessing["resize"], preprocessing["crop"]) == ({"filter": "bilinear", "antialias": True}, None)
    assert all(0.2 < value < 0.8 for value in preprocessing["mean"])
    provenance = json.loads(header["provenance"])
    loaded = load(data, 32, 0, 200)
    images = len(loaded.train_labels)
    expected: Facts = {"parent": None, "recipe": 2, "epochs": 2.0, "images": images, "batch": 16, "seed": 3}
    expected |= {"steps": round(2 * images / 16), "device": "cpu", "threads": 1, "torch": torch.__version__}
    assert {name: provenance[name] for name in expected} == expected
    accuracy = json.loads(header["accuracy"])
    assert accuracy["data"] == {"name": "data.npz", "fingerprint": loaded.fingerprint()}
    assert accuracy["held_out"]["images"] == len(loaded.held_labels)


def test_the_same_request_without_keep_gives_the_same_accuracy_and_no_file(worker: Worker, tmp_path: Path) -> None:
    data = array(tmp_path / "data.npz", 255, dtype=np.uint8)
    kept = worker.ask(request(data, tmp_path / "a.safetensors"), 120.0)
    again = worker.ask(request(data, None), 120.0)
    for reply in (kept, again):
        assert outcome_of(reply).seconds > 0
    assert replace(outcome_of(again), seconds=0.0) == replace(outcome_of(kept), seconds=0.0)
    assert (again.kept, again.not_kept) == (None, None)
    validation = outcome_of(kept).validation
    assert validation is not None
    assert validation.images == len(load(data, 32, 0, 200).val_labels)


def test_a_file_that_cannot_be_written_costs_no_training(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    data = array(tmp_path / "data.npz", 255, dtype=np.uint8)
    reply = worker.ask(request(data, tmp_path / "file" / "a.safetensors"), 120.0)
    assert outcome_of(reply).finished
    assert reply.kept is None
    assert reply.not_kept in ("Not a directory", "File exists")


def test_a_training_that_did_not_finish_leaves_no_file(worker: Worker, tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    data = array(tmp_path / "data.npz", 255, dtype=np.uint8)
    reply = worker.ask(request(data, file, seconds=-1.0), 120.0)
    assert not outcome_of(reply).finished
    assert not file.exists()
    reply = worker.ask(request(data, file, limits=[[4, 0.1]]), 120.0)
    assert outcome_of(reply).halted == 4
    assert not file.exists()


def test_floats_beyond_one_are_told_with_their_range(tmp_path: Path) -> None:
    plain, wide = (load(array(tmp_path / f"{n}.npz", n, -1.0 * (n > 1)), 32, 0, 100) for n in (1, 4))
    written = saving.preprocessing_of(plain)
    assert written.range == (0.0, 1.0)
    written = saving.preprocessing_of(wide)
    assert written.range == (float(wide.train_images.min()), float(wide.train_images.max()))
    assert written.mean == pytest.approx(wide.mean.flatten().tolist())


def test_a_folder_of_pictures_is_cut_and_scaled_as_pillow_does_it(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(6):
            picture = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
            image.fromarray(picture).save(tmp_path / name / f"{number}.png")
    loaded = load(str(tmp_path), 32, 0)
    written = saving.preprocessing_of(loaded)
    assert (written.resize.filter, written.resize.antialias, written.crop) == ("bicubic", True, Crop(centre=1.0))
    assert saving.preprocessing_of(loaded.to("cpu:0")).crop is not None


def test_answers_are_packed_four_a_digit() -> None:
    assert packed([True, False, False, True, True]) == "98"
    assert unpacked("98", 5) == (True, False, False, True, True)
    assert packed([]) == ""
    assert unpacked("", 0) == ()
    for wrong in ("9", "980", "9x"):
        with pytest.raises(ValueError, match=r"digits are not the answers of 5 images|invalid literal"):
            unpacked(wrong, 5)


def test_classes_without_an_image_are_left_out() -> None:
    model = torch.nn.Linear(1, 3)
    torch.nn.init.zeros_(model.weight)
    with torch.no_grad():
        model.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
    labels = torch.tensor([0, 1, 1, 0, 1])
    found = evaluate(model, lambda images: images, torch.zeros(5, 1), labels, ("a", "b", "c"), 2)
    assert found is not None
    assert (found.right, found.accuracy) == (3, 0.6)
    assert found.per_class == {"a": (0, 2), "b": (3, 3)}
    assert unpacked(found.answers, 5) == (False, True, True, False, True)


def test_the_chance_that_is_told_is_of_the_images_that_accuracy_is_told_on(worker: Worker, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 3, 16, 16), dtype=np.uint8)
    uneven: dict[str, Any] = {
        "labels": np.arange(40) % 2,
        "val_labels": np.arange(40) % 4 % 2,
        "test_labels": (np.arange(40) > 29) * 1,
    }
    uneven |= {f"{prefix}images": images for prefix in ("", "val_", "test_")}
    np.savez(tmp_path / "data.npz", **uneven)
    loaded_data = worker.ask(LoadRequest(DataRequest(str(tmp_path / "data.npz"), 16, 0, 100)), 120.0)
    assert loaded_data.chance == 0.75
    without = load(str(tmp_path / "data.npz"), 16, 0, 100, held_out=0)
    assert (without.chance, len(without.held_labels)) == (0.5, 0)
