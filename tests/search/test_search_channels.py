"""A space that states its channels is searched in them, or refused before anything is measured or trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archdsl.cli import main
from archdsl.errors import SearchError
from archdsl.load.spaces import space_of
from archdsl.search import run
from archdsl.search.proxy_check.check import check
from tests.support.examining import space, written
from tests.support.fake_worker import Machine
from tests.support.proxy_checks import asked
from tests.support.searching import Lines, quicken, search

BOTH = r"the space 'tiny' has channels {}, but the data {} has channels {}; write \"channels\": {} in the space"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def machine_with(channels: int) -> Machine:
    machine = Machine()
    machine.channels = channels
    return machine


def greys(folder: Path, count: int = 60) -> str:
    labels = np.arange(count) % 3
    images = np.random.default_rng(0).integers(0, 200, (count, 32, 32), dtype=np.uint8)
    np.savez(folder / "grey.npz", images=images, labels=labels)
    return str(folder / "grey.npz")


@pytest.mark.parametrize(("stated", "there"), [(1, 3), (3, 1), (4, 3)])
def test_a_search_refuses_other_channels_before_anything_is_measured(tmp_path: Path, stated: int, there: int) -> None:
    machine = machine_with(there)
    with pytest.raises(SearchError, match=BOTH.format(stated, "elsewhere", there, there)):
        search(tmp_path / "run", machine, space=space(channels=stated), data="elsewhere")
    assert machine.names("measure") == machine.names("train") == []
    assert not (tmp_path / "run" / "trials.jsonl").exists()


@pytest.mark.parametrize(("stated", "there"), [({}, 1), ({}, 3), ({"channels": 1}, 1), ({"channels": 3}, 3)])
def test_channels_that_are_not_stated_are_those_of_the_data(tmp_path: Path, stated: dict[str, Any], there: int) -> None:
    lines = Lines()
    result = search(tmp_path / "run", machine_with(there), space=space(**stated), data="elsewhere", watcher=lines)
    winner = result.winner
    assert winner is not None
    assert winner.channels == there
    assert "data  fake: 10 images" in lines.told


def test_classes_of_the_data_that_the_space_does_not_state_are_told_once(tmp_path: Path) -> None:
    told = "classes: 10, as the data has (the document says 20)"
    for classes, count in ((20, 1), (10, 0)):
        lines = Lines()
        search(tmp_path / f"run-{classes}", space=space(classes=classes), data="elsewhere", watcher=lines)
        assert sum(told in line for line in lines.told) == count


def test_a_proxy_check_refuses_other_channels(tmp_path: Path) -> None:
    machine = machine_with(3)
    with pytest.raises(SearchError, match=BOTH.format(1, "elsewhere", 3, 3)):
        check(asked(space=space(channels=1), data="elsewhere"), tmp_path / "check", new_worker=machine.worker)
    assert machine.names("train") == []
    assert not (tmp_path / "check" / "check.json").exists()


def test_built_in_data_of_other_channels_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    for data, stated, there in ((None, 1, 3), ("shapetex", 1, 3), ("digits", 3, 1)):
        with pytest.raises(SearchError, match=BOTH.format(stated, data or "shapetex", there, there)):
            run(space_of(space(channels=stated)), device="cpu", data=data, trials=1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["doctor", "search", "proxy-check"])
def test_the_command_line_says_both_values(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = str(written(tmp_path, space(channels=3)))
    assert main([command, path, "--device", "cpu", "--data", "digits"]) == 1
    err = capsys.readouterr().err
    assert "has channels 3, but the data digits has channels 1" in err
    assert "Traceback" not in err
    assert not (tmp_path / "runs").exists()


def test_the_doctor_refuses_other_channels_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = greys(tmp_path)
    asked_for = ["doctor", str(written(tmp_path, space(channels=3))), "--device", "cpu", "--data", data, "--no-measure"]
    assert main(asked_for) == 1
    assert f"has channels 3, but the data {data} has channels 1" in capsys.readouterr().err
    assert main(["doctor", str(written(tmp_path, space(channels=1))), *asked_for[2:]]) == 0
