"""What a training keeps of an earlier one, on how many threads it runs, and when it warns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.cli import main
from archdsl.training.accuracy import Evaluation
from archdsl.weights import read_facts
from tests.support.commands import Ended, Run
from tests.support.small_trainings import one_thread
from tests.support.training_data import pictures, spec

single = pytest.fixture(autouse=True)(one_thread)


@pytest.fixture
def data(tmp_path: Path) -> str:
    return pictures(tmp_path / "data.npz")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of the command line in this process, in a folder with the spec `small.json`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.json").write_text(json.dumps(spec().to_json()))
    return lambda *arguments: Ended(main([str(argument) for argument in arguments]), *capsys.readouterr())


def test_the_images_of_an_earlier_training_stay_apart_whatever_number_is_asked_for(data: str, tmp_path: Path) -> None:
    old, new, few = (tmp_path / f"{name}.safetensors" for name in ("old", "new", "few"))
    archdsl.train(spec(), data, old, epochs=1, images=30, seed=3)
    lines: list[str | None] = []
    trained = archdsl.train(str(old), data, new, epochs=1, watcher=lambda moment, line: lines.append(line))
    assert f"the validation and held-out images are those of {old} (seed 3)" in lines
    assert trained.held_out is not None
    assert trained.validation.images + trained.held_out.images == 60
    assert archdsl.train(str(new), data, few, epochs=1, images=20).validation.images == trained.validation.images
    for file in (new, few):
        provenance = read_facts(file).provenance
        assert provenance is not None
        assert (provenance.split_seed, provenance.split_images) == (3, 30)


def test_the_file_of_a_search_keeps_its_images_apart_too(data: str, tmp_path: Path) -> None:
    """It states no seed of the split beside the training's, and an older one no number that was asked for."""
    old, found, new = (tmp_path / f"{name}.safetensors" for name in ("old", "found", "new"))
    archdsl.train(spec(), data, old, epochs=1, images=30, seed=3)
    facts = read_facts(old)
    assert facts.provenance is not None
    provenance = facts.provenance.model_copy(update={"split_seed": None, "split_images": None})
    model = archdsl.load_model(old)
    archdsl.save_model(model, found, facts=facts.model_copy(update={"provenance": provenance}))
    trained = archdsl.train(str(found), data, new, epochs=1)
    assert trained.validation.images == 30


def test_the_threads_are_those_asked_for_and_torch_is_set_back(data: str, tmp_path: Path) -> None:
    lines: list[str | None] = []
    out = tmp_path / "a.safetensors"
    archdsl.train(spec(), data, out, epochs=0.5, threads=2, watcher=lambda moment, line: lines.append(line))
    assert any(line is not None and line.startswith("2 threads of the CPU") for line in lines)
    provenance = read_facts(out).provenance
    assert provenance is not None
    assert (provenance.threads, torch.get_num_threads()) == (2, 1)


def test_a_useless_training_is_warned_of(run: Run, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Evaluation, "accuracy", 0.4)
    ended = run("train", "small.json", "--data", data, "--epochs", "0.5", "--threads", "1", "-o", "a.safetensors")
    assert ended.code == 0
    assert "warning: 2 of the 4 steps of one epoch were trained, so that some images were never seen" in ended.err
    assert "is not above chance, which is 33.3%, by two standard errors" in ended.err
