"""`archdsl library`: the same command goes on after an interruption, and what is wrong is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
    assert built.out.startswith(f"made: {SPACED} alternatives to blocks")
    assert f"{SPACED} of {SPACED} alternatives" in built.err
    again = run(*command, "--json")
    facts = json.loads(again.out)
    assert (facts["usable"], facts["left_out"], facts["image"]) == (SPACED, [], [32, 32])
    assert json.loads(run("library", "show", "made", "--json").out) == facts
    other = run(*command, "--steps", 2)
    assert (other.code, other.out) == (1, "")
    rule, remedy = "its setting steps is 1, not 2", "build one in another folder with archdsl library build"
    assert other.err == f"made is another library: {rule}; {remedy}\n"
    few = run("library", "build", parent, "--space", "space.json", "--images", 100, "--device", "cpu", "-o", "few")
    assert few.code == 1
    assert "needs at least 128 training images" in few.err
