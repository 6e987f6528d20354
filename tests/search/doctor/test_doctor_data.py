"""The doctor plans with the data that is there: how many images, of how many channels and classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archdsl.cli import main
from archdsl.data.loading import load
from archdsl.errors import SearchError
from archdsl.render.console import stdout
from archdsl.render.doctor import report
from archdsl.search.doctor.data import data_facts
from archdsl.training.recipe import Fidelity
from tests.support.examining import examined, space, written
from tests.support.screens import text_of
from tests.support.searching import settings


def npz(folder: Path, count: int = 240, classes: int = 4) -> str:
    images = np.random.default_rng(0).integers(0, 255, (count, 8, 8), dtype=np.uint8)
    np.savez(folder / "data.npz", images=images, labels=np.arange(count) % classes)
    return str(folder / "data.npz")


def test_images_channels_and_classes_are_those_of_the_data(tmp_path: Path) -> None:
    found = examined(measure=True, latency_budget_ms=5.0, data=npz(tmp_path))
    assert found.data[1:6] == (1, 4, 120, 60, 60)
    assert found.settings.images == 120
    assert found.timed is not None
    seconds = Fidelity(found.settings.epochs, 120).steps * 0.01 + (60 + 60 + 500) * 0.001
    assert found.timed.train_s == pytest.approx([seconds] * len(found.timed.train_s))
    assert found.ranges["params"].least < examined(data="shapetex").ranges["params"].least


def test_fewer_images_than_there_are_may_be_asked_for(tmp_path: Path) -> None:
    assert examined(data=npz(tmp_path), images=40).data.images == 40
    assert examined(images=300).data[1:6] == (3, 20, 300, 1000, 1000)


@pytest.mark.parametrize("data", ["shapetex", "digits"])
def test_the_facts_are_those_that_a_search_finds(data: str) -> None:
    document = space(image=16)
    facts = data_facts(settings(space=document, data=data, images=400))
    loaded = load(data, 16, 0, train=400)
    assert facts[1:3] == (loaded.channels, loaded.classes)
    assert facts[3:6] == (len(loaded.train_labels), len(loaded.val_labels), len(loaded.held_labels))


def test_what_is_said_of_the_data_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = npz(tmp_path)
    stdout(120).print(report(examined(data=data), []), soft_wrap=True)
    described = (
        "data.npz: 120 images to train, 60 to validate, 60 held out, 1x32x32, 4 classes (chance 25.0%); validation"
    )
    assert f"data  {described}" in capsys.readouterr().out
    asked = ["doctor", str(written(tmp_path, space())), "--device", "cpu", "--no-measure", "--data", data, "--json"]
    assert main(asked) == 0
    facts = json.loads(capsys.readouterr().out)["data"]
    assert (facts["channels"], facts["classes"], facts["images"]) == (1, 4, 120)
    assert facts["description"].startswith(described)


def folder_with_a_broken_file(folder: Path) -> str:
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (16, 16), (30 * number, 200, 50)).save(folder / name / f"{number}.png")
    (folder / "a" / "broken.png").write_bytes(b"no image")
    return str(folder)


def test_why_a_file_is_not_readable_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folder_with_a_broken_file(tmp_path / "photos")
    path = str(written(tmp_path, space()))
    assert main(["doctor", path, "--device", "cpu", "--no-measure", "--data", data]) == 0
    out, err = capsys.readouterr()
    assert "1 unreadable file skipped" in out
    assert "cannot identify" not in out
    assert err.count("warning: 1 unreadable file skipped, a/broken.png: cannot identify image file") == 1


def test_classes_that_differ_from_those_that_the_space_states_are_told(tmp_path: Path) -> None:
    data = npz(tmp_path)
    told = "classes: 4, as the data has (the document says 10)"
    assert told in text_of(report(examined(data=data), []), 120)
    same, silent = space(classes=4), space()
    del silent["classes"]
    for document in (same, silent):
        assert "as the data has" not in text_of(report(examined(document, data=data), []), 120)


@pytest.mark.parametrize("more", [["--no-measure"], ["--time", "1s"], ["--json"]])
def test_data_that_cannot_be_read_is_refused_as_in_a_search(
    tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(written(tmp_path, space()))
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "pets" / name / f"{number}.png").write_bytes(b"no image")
    for data, code, described in (
        ("nowhere/photos", 2, "nowhere/photos: no such file or folder; known: digits"),
        ("shapetx", 2, "no data set 'shapetx'; did you mean 'shapetex'?"),
        (str(tmp_path / "empty.npz"), 1, "empty.npz: not a readable .npz of plain arrays; the file is empty"),
        (str(tmp_path / "pets"), 1, "pets: too few readable images; class 'cat' has no readable training image"),
    ):
        assert main(["doctor", path, "--device", "cpu", "--data", data, *more]) == code
        ended = capsys.readouterr()
        assert described in ended.err
        assert "Traceback" not in ended.err
        assert not ended.out


def test_a_rectangle_is_refused_as_in_a_search() -> None:
    with pytest.raises(SearchError, match=r"images of a search must be square; the space 'tiny' has images of 32x64"):
        examined(space(image=[32, 64]))


def test_a_folder_of_images_has_three_channels(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.new("L", (8, 8), number).save(tmp_path / name / f"{number}.png")
    assert examined(data=str(tmp_path)).data[1:6] == (3, 2, 4, 2, 2)


def test_it_ends_with_the_command_of_the_search_that_was_asked_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(written(tmp_path, space()))
    asked = ["doctor", path, "--device", "cpu", "--no-measure"]
    assert main([*asked, "--throughput-budget", "20/s", "--batch", "4", "--macs-budget", "1G"]) == 0
    command = f"archdsl search {path} --throughput-budget 20/s --macs-budget 1000M --device cpu --batch 4"
    assert capsys.readouterr().err.splitlines()[-1] == f"to search this space: {command}"
    assert main([*asked, "--json"]) == 0
    assert "to search" not in capsys.readouterr().err
    assert main([*asked, "--macs-budget", "1K"]) == 1
    assert "to search" not in capsys.readouterr().err
