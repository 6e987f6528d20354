"""`archdsl.train` and `archdsl train`: what is written, what continues, and what is refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.cli import main
from archdsl.data.loading import load
from archdsl.language.document import Spec
from archdsl.load.specs import override
from archdsl.weights import read_facts
from tests.support.commands import Ended, Run
from tests.support.narrow_networks import small
from tests.support.small_trainings import one_thread

single = pytest.fixture(autouse=True)(one_thread)


def spec(**changes: str) -> Spec:
    """A network that trains in milliseconds."""
    widths = ["stem.width=16", "merge1.width=16", "merge2.width=16", "merge3.width=16"]
    small_one = override(small("fcvit_tiny"), ["image=32", *widths, "drop_path=0.1"])
    return override(small_one, [f"{name}={value}" for name, value in changes.items()])


def pictures(path: Path, names: str = "ant bee cat", count: int = 90, channels: int = 3) -> str:
    """Images of classes that differ in brightness, as a `.npz`."""
    rng, classes = np.random.default_rng(0), names.split()
    labels = np.arange(count) % len(classes)
    images = (rng.random((count, channels, 32, 32)) * 0.5 + 0.2 * labels[:, None, None, None]) * 200
    np.savez(path, images=images.astype(np.uint8), labels=np.array(classes)[labels])
    return str(path)


@pytest.fixture
def data(tmp_path: Path) -> str:
    return pictures(tmp_path / "data.npz")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of the command line in this process, in a folder with the spec `small.json`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.json").write_text(json.dumps(spec().to_json()))
    return lambda *arguments: Ended(main([str(argument) for argument in arguments]), *capsys.readouterr())


def weights(file: Path) -> dict[str, Tensor]:
    return archdsl.load_model(file).state_dict()


def test_the_file_states_the_accuracy_that_its_weights_have(data: str, tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    trained = archdsl.train(spec(), data, out, epochs=6, lr=4e-3)
    facts, loaded = read_facts(out), load(data, 32, 0, None)
    assert facts.classes == ("ant", "bee", "cat")
    assert facts.preprocessing is not None
    mean, std = (torch.tensor(some)[:, None, None] for some in (facts.preprocessing.mean, facts.preprocessing.std))
    with torch.no_grad():
        logits = archdsl.load_model(out)((loaded.held_images / 255 - mean) / std)
    right = int((logits.argmax(1) == loaded.held_labels).sum())
    assert facts.accuracy is not None
    assert facts.accuracy.held_out is not None
    assert facts.accuracy.held_out.accuracy == right / len(loaded.held_labels) == trained.held_out.accuracy  # type: ignore[union-attr]
    assert facts.accuracy.data.fingerprint == loaded.fingerprint()
    assert trained.validation.accuracy > 0.6
    assert facts.provenance is not None
    assert (facts.provenance.recipe, facts.provenance.steps) == ("fast", trained.steps)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "a.safetensors", "data.npz"]
    entries = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert entries[-1]["loss"] < entries[0]["loss"]


def test_the_command_prints_on_which_images_the_accuracy_was_measured(run: Run, data: str) -> None:
    ended = run("train", "small.json", "--data", data, "--epochs", "1", "-o", "a.safetensors")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith("a.safetensors: fcvit_tiny, recipe fast, 1 epochs, 4 steps of 16 images")
    assert "validation and held-out images are drawn from the training set" in lines[1]
    assert lines[2].startswith("validation accuracy: ")
    assert lines[2].endswith(" on 9 images, which were not trained with")
    assert " ± " in lines[3]
    assert "augmentation: shifts" in ended.err


ALL_PARTS: dict[str, float | str | bool] = {
    "epochs": 4,
    "batch": 16,
    "ema": 0.9,
    "mixup": 0.5,
    "cutmix": 1.0,
    "grad_checkpointing": True,
}
SCRIPT = """
import json, os, signal, sys
import archdsl, torch
torch.set_num_threads(1)
arguments, kill_at = json.loads(sys.argv[1]), int(sys.argv[2])
def watcher(moment, line):
    if line is None and moment.step == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
archdsl.train(**arguments, watcher=watcher)
"""


def test_a_training_that_was_killed_continues_to_the_same_bits(data: str, tmp_path: Path) -> None:
    """In the midst of its third epoch, with every part that keeps a state or draws random numbers."""
    (tmp_path / "small.json").write_text(json.dumps(spec().to_json()))
    whole, out = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    archdsl.train(str(tmp_path / "small.json"), data, whole, **ALL_PARTS)  # type: ignore[arg-type]
    arguments = {"spec": str(tmp_path / "small.json"), "data": data, "out": str(out), **ALL_PARTS}
    killed = subprocess.run([sys.executable, "-c", SCRIPT, json.dumps(arguments), "10"], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    lines: list[str | None] = []
    archdsl.train(**arguments, resume=True, watcher=lambda moment, line: lines.append(line))  # type: ignore[arg-type]
    assert "resumed after step 8" in lines
    assert out.read_bytes() == whole.read_bytes()
    logs = [(tmp_path / name).read_text().splitlines() for name in ("whole.jsonl", "killed.jsonl")]
    losses = [[json.loads(line)["loss"] for line in log] for log in logs]
    assert losses[0] == losses[1]
    assert not list(tmp_path.glob("*.unfinished"))
