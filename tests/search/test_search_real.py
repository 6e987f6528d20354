"""Searches of real networks in processes of their own: what is printed, what is kept, and what is handed over."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from archdsl.cli import main
from archdsl.files import sha256_of
from archdsl.load.specs import spec_of
from tests.support.bright_images import write_bright_images


class Searched(NamedTuple):
    """A run folder, and how the search in it ended."""

    folder: Path
    ended: subprocess.CompletedProcess[str]
    verdict: dict[str, Any]


IMPORTS = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
ALONE = """
import sys
class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("archdsl", "torch"):
            raise ImportError(name)
sys.meta_path.insert(0, Refusal())
"""
"""What a program begins with that must need neither archdsl nor torch."""
MEASURED = """
import json, time
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("winner.onnx")
(images,) = session.get_inputs()
x = np.zeros(images.shape, dtype="float32")
times = []
for _ in range(30):
    begun = time.perf_counter()
    session.run(None, {images.name: x})
    times.append(1e3 * (time.perf_counter() - begun))
print(json.dumps([sorted(times)[15], images.shape]))
"""


TINY: dict[str, Any] = {
    "kind": "space",
    "version": 1,
    "name": "tiny",
    "image": 32,
    "classes": 10,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": {"$one_of": [16, 32]}},
        {"id": "stage1", "type": "mlp", "depth": {"$int": [1, 2]}},
        {"id": "head", "type": "mean_head"},
    ],
}
SHORT = """
import sys
from functools import partial
from archdsl.cli import main
from archdsl.search import api
from archdsl.search.loop.session import run_search
from archdsl.search.policy import Policy
from archdsl.search.policy.evaluate import FinalistPolicy, FinalReadingPolicy, GatePolicy, MeasuringPolicy
policy = Policy(
    gate=GatePolicy(readings=1),
    measuring=MeasuringPolicy(readings=1),
    finalists=FinalistPolicy(seeds=1),
    final_reading=FinalReadingPolicy(least_s=0.2, turns=2, doublings=0),
)
api.run_search = partial(run_search, policy=policy)
sys.exit(main(sys.argv[1:]))
"""
"""The command, with what is read and trained again done once, but for the fresh processes of the winner."""


def search(place: Path, space: str, size: int, runtime: str, program: Sequence[str] = ("-c", SHORT)) -> Searched:
    """A search of one network, on grey images of three classes."""
    (place / "tiny.json").write_text(json.dumps(TINY))
    write_bright_images(place / "data.npz", classes=3, count=240, size=size, channels=1)
    asked = f"search {space} --device cpu --threads 1 --latency-budget 2s --trials 1 --epochs 6 --data data.npz"
    asked += f" --runtime {runtime}"
    environment = {**os.environ, "ARCHDSL_CACHE": str(place / "cache")}
    command = [sys.executable, "-W", "error", *program, *asked.split(), "--out", "run"]
    ended = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=500)
    assert ended.returncode in (0, 1), ended.stderr
    return Searched(place / "run", ended, json.loads((place / "run" / "verdict.json").read_text()))


FILE_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
RUNTIME = "onnxruntime" if all(importlib.util.find_spec(package) for package in FILE_PACKAGES) else "eager"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """A search in ONNX Runtime where it is installed."""
    return search(tmp_path_factory.mktemp("tiny"), "./tiny.json", 32, RUNTIME)


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """A search as users start it, with nothing shortened."""
    return search(tmp_path_factory.mktemp("eager"), "./tiny.json", 32, "eager", ("-m", "archdsl"))


def test_a_real_search_keeps_its_promise_from_the_command_line(tiny: Searched) -> None:
    """A network measured and trained for a moment, on data of one channel in which brightness tells the class."""
    hold(tiny, "tiny", RUNTIME)
    if RUNTIME == "onnxruntime":
        assert tiny.verdict["conditions"]["file"]["sha256"] == sha256_of(tiny.folder / "winner.onnx")
        assert "winner.onnx" in tiny.ended.stdout


@pytest.mark.slow
def test_a_real_search_in_eager_keeps_its_promise_too(eager: Searched, tmp_path: Path) -> None:
    hold(eager, "tiny", "eager")
    hold(search(tmp_path, "lit-dat-64", 64, "eager", ("-m", "archdsl")), "lit-dat-64", "eager")


def hold(found: Searched, space: str, runtime: str) -> None:
    """What is printed and kept of a search agrees."""
    verdict = found.verdict["verdict"]
    assert verdict in ("PASS", "UNSURE"), found.ended.stderr  # UNSURE where the machine is busy
    assert found.ended.returncode == (verdict != "PASS")
    first_line = found.ended.stderr.splitlines()[0]
    assert first_line.startswith(f"space {space}: p50 <= 2,000 ms (given), ")
    assert f"batch 1, float32, {runtime}, cpu" in first_line
    assert found.verdict["conditions"]["runtime"] == runtime
    assert f"{verdict}  {space}-" in found.ended.stdout
    winner = json.loads((found.folder / "winner.json").read_text())
    assert (spec_of(winner).channels, spec_of(winner).classes) == (1, 3)
    records = [json.loads(line) for line in (found.folder / "trials.jsonl").read_text().splitlines()]
    assert len({record["number"] for record in records}) == 1
    assert all(record["provenance"]["latency"]["provenance"]["torch"] for record in records)


@pytest.mark.parametrize(("name", "more"), [("tiny", ["--once"]), pytest.param("eager", [], marks=pytest.mark.slow)])
def test_what_is_handed_over_can_be_measured_without_the_search(
    name: str, more: list[str], request: pytest.FixtureRequest
) -> None:
    """`run_winner.py` prints the verdict's statistic; with `--once`, what one process reads."""
    folder = request.getfixturevalue(name).folder
    command = [sys.executable, "-W", "error", str(folder / "run_winner.py"), *more]
    ran = subprocess.run(command, cwd=folder.parent, env=IMPORTS, capture_output=True, text=True, timeout=300)
    assert ran.returncode in (0, 1), ran.stderr
    if not more:
        assert ran.stdout.startswith(("PASS  tiny-", "UNSURE  tiny-"))
        assert "threads 1" in ran.stdout
        assert "rounds were undisturbed" in ran.stdout


@pytest.mark.parametrize("name", ["tiny", pytest.param("eager", marks=pytest.mark.slow)])
def test_the_lines_of_the_readme_name_the_class_of_a_picture(name: str, request: pytest.FixtureRequest) -> None:
    """From `winner.onnx` without archdsl and torch, which it needs no more."""
    from PIL import Image

    folder = request.getfixturevalue(name).folder
    Image.fromarray(np.full((40, 50, 3), 200, dtype=np.uint8)).save(folder / "picture.jpg")
    is_alone = name == "tiny" and RUNTIME == "onnxruntime"
    code = ALONE * is_alone + code_in(folder)
    used = subprocess.run([sys.executable, "-c", code], cwd=folder, env=IMPORTS, capture_output=True, text=True)
    assert used.returncode == 0, used.stderr
    assert used.stdout.strip() == "2"


@pytest.mark.skipif(RUNTIME == "eager", reason="the extra archdsl[onnx] is not installed")
def test_the_file_that_was_measured_runs_by_onnxruntime_alone(tiny: Searched) -> None:
    used = subprocess.run([sys.executable, "-c", ALONE + MEASURED], cwd=tiny.folder, capture_output=True, text=True)
    assert used.returncode == 0, used.stderr
    ms, shape = json.loads(used.stdout)
    assert (ms > 0, shape) == (True, [1, 1, 32, 32])


def code_in(folder: Path) -> str:
    """The program that a run's README.txt shows."""
    lines = (folder / "README.txt").read_text().splitlines()
    return "\n".join(line[4:] for line in lines if line.startswith("    "))


@pytest.mark.skipif(RUNTIME == "eager", reason="the extra archdsl[onnx] is not installed")
def test_a_spec_ends_as_a_file_that_classifies_a_picture(tiny: Searched, tmp_path: Path) -> None:
    """The whole way in seconds: a space, a search, an export, and a picture in a folder that holds nothing else."""
    file = exported(tiny.folder, tmp_path)
    picture = np.full((40, 50, 3), 200, dtype=np.uint8)
    assert classified(file, picture, code_in(tiny.folder)) == "2"


@pytest.mark.slow
@pytest.mark.skipif(RUNTIME == "eager", reason="the extra archdsl[onnx] is not installed")
def test_two_minutes_of_search_end_as_a_file_that_classifies_a_picture(tmp_path: Path) -> None:
    """As a new user does it: the shipped space and data, and the class that the network itself names."""
    import torch

    from archdsl import load_model
    from archdsl.data import shapetex
    from archdsl.weights.facts import read_facts

    command = [sys.executable, "-m", "archdsl", "search", "--latency-budget", "20ms", "--time", "2m", "--out", "run"]
    environment = {**IMPORTS, "ARCHDSL_CACHE": str(tmp_path / "cache")}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400)
    assert ended.returncode in (0, 1), ended.stderr
    folder = tmp_path / "run"
    assert (folder / "winner.safetensors").exists(), ended.stdout + ended.stderr
    (tmp_path / "elsewhere").mkdir()
    file = exported(folder, tmp_path / "elsewhere")
    picture = (255 * shapetex.images(1, 64, seed=5)[0][0]).round().astype(np.uint8)
    facts = read_facts(folder / "winner.safetensors")
    assert facts.preprocessing is not None
    assert facts.classes is not None
    mean, std = (np.reshape(side, (3, 1, 1)) for side in (facts.preprocessing.mean, facts.preprocessing.std))
    images = torch.from_numpy(((picture / 255 - mean) / std).astype(np.float32))[None]
    expected = facts.classes[int(load_model(folder / "winner.safetensors")(images).argmax())]
    assert classified(file, picture.transpose(1, 2, 0), code_in(folder)) == expected


def exported(folder: Path, target: Path) -> Path:
    """What `archdsl export` makes of a run's trained winner, in a folder of its own."""
    file = target / "net.onnx"
    assert main(["export", str(folder / "winner.safetensors"), "-o", str(file)]) == 0
    assert [path.name for path in target.iterdir() if path.suffix] == ["net.onnx"]
    return file


def classified(file: Path, picture: np.ndarray[Any, Any], program: str) -> str:
    """The class that a file gives a picture (H, W, 3), without archdsl and torch."""
    from PIL import Image

    Image.fromarray(picture).save(file.parent / "picture.png")
    program = program.replace("winner.onnx", file.name).replace("picture.jpg", "picture.png")
    command = [sys.executable, "-c", ALONE + program]
    used = subprocess.run(command, cwd=file.parent, env=IMPORTS, capture_output=True, text=True)
    assert used.returncode == 0, used.stderr
    return used.stdout.strip()
