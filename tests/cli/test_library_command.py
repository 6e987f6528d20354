"""`archdsl library`: the same command goes on after an interruption, and what is wrong is one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support.commands import Run, command_line
from tests.support.libraries import SPACED, saved_parent, space_around

run = pytest.fixture(command_line)
FEW = ("--steps", 1, "--fit-images", 64, "--score-images", 64, "--images", 128, "--device", "cpu")


def test_a_library_is_built_shown_and_not_fitted_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parent = saved_parent(tmp_path).name
    (tmp_path / "space.json").write_text(json.dumps(space_around()))
    command = ("library", "build", parent, "--space", "space.json", *FEW, "-o", "made")
    built = run(*command)
    assert built.code == 0
    assert built.out.startswith(f"made: {SPACED} replacements for blocks")
    assert f"{SPACED} of {SPACED} replacements" in built.err
    again = run(*command, "--json")
    facts = json.loads(again.out)
    assert (facts["usable"], facts["left_out"], facts["image"]) == (SPACED, [], [32, 32])
    assert json.loads(run("library", "show", "made", "--json").out) == facts
    front = json.loads(run("library", "show", "made", "--front", "--json").out)
    assert (front["folder"], front["metric"], front["points"][0]["exchanged"]) == ("made", "macs", [])
    assert front["points"][0]["cost"] == front["parent"] > front["points"][-1]["cost"]
    shown = run("library", "show", "made", "--front")
    assert shown.out.startswith(f"made: the best network for each of {len(front['points'])} budgets\n")
    assert "a share of the parent's MACs, since no latency is known" in " ".join(shown.out.split())
    other = run(*command, "--steps", 2)
    assert (other.code, other.out) == (1, "")
    rule, remedy = "its setting steps is 1, not 2", "build one in another folder with archdsl library build"
    assert other.err == f"made is another library: {rule}; {remedy}\n"
    few = run("library", "build", parent, "--space", "space.json", "--images", 100, "--device", "cpu", "-o", "few")
    assert few.code == 1
    assert "needs at least 128 training images" in few.err


def command_of(folder: Path, out: str, steps: int = 12) -> list[str]:
    (folder / "space.json").write_text(json.dumps(space_around()))
    options = [
        "--steps",
        str(steps),
        "--fit-images",
        "64",
        "--score-images",
        "64",
        "--images",
        "128",
        "--device",
        "cpu",
    ]
    words = ["library", "build", "parent1.safetensors", "--space", "space.json", *options, "-o", out]
    return [sys.executable, "-m", "archdsl", *words]


@pytest.mark.slow
def test_after_a_kill_the_same_command_gives_the_same_library(tmp_path: Path) -> None:
    saved_parent(tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.Popen(command_of(tmp_path, "killed"), cwd=tmp_path, env=environment)
    blocks = tmp_path / "killed" / "blocks"
    while killed.poll() is None and len([*blocks.glob("*.safetensors")]) < 3:
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    before = {file.name: file.stat().st_mtime_ns for file in blocks.glob("*.safetensors")}
    assert 3 <= len(before) < SPACED
    for out in ("killed", "whole"):
        subprocess.run(command_of(tmp_path, out), cwd=tmp_path, env=environment, check=True)
    assert {name: (blocks / name).stat().st_mtime_ns for name in before} == before
    assert not [*(tmp_path / "killed").glob(".maps-*")]
    for file in (tmp_path / "whole" / "blocks").glob("*.safetensors"):
        ours, theirs = load_file(blocks / file.name), load_file(file)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    indices = [json.loads((tmp_path / out / "index.json").read_text())["entries"] for out in ("killed", "whole")]
    first, second = ([entry | {"seconds": 0} for entry in entries] for entries in indices)
    assert first == second
