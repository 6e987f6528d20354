"""What is said of a doubtful parent: weak here, or trained on other images; and where it is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl.load.spaces import load_space, point
from archdsl.render.page.page import html
from archdsl.render.report import report_text
from archdsl.render.search import summary
from archdsl.search.evaluate.parent_warnings import parent_warnings
from archdsl.search.loaded_data import DataFacts, DataRequest
from archdsl.search.report import read_report
from archdsl.search.store.parent import Parent, ParentAccuracy
from tests.support.fake_weights import fake_named, write_fake_weights
from tests.support.screens import text_of
from tests.support.searching import SPACE, Lines, quicken, search

FIELDS = {"epochs": 1.0, "images": 10, "batch": 16, "seed": 0, "device": "cpu"}
HERE, ELSEWHERE = "0" * 16, "1" * 16
"""Fingerprints of data: what the file of a parent states, and another one."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A parent that states 90 % on the data "fake"."""
    chosen: dict[str, Any] = {"w": 48, "d1": 4, "mlp": "dwconv", "stage2": "mlp", "d2": 4}
    spec = point(load_space(SPACE), chosen.__getitem__)[0].to_json()
    sets = {name: fake_named(0.9) for name in ("validation", "held")}
    write_fake_weights(tmp_path / "parent.safetensors", FIELDS | {"spec": spec}, sets)
    return tmp_path / "parent.safetensors"


def warnings(file: Path, accuracy: float, data: str = "fake", fingerprint: str = HERE, epochs: float = 0.0) -> str:
    reached = ParentAccuracy(accuracy, 0.02, 100)
    parent = Parent("big", str(file), "a" * 64, {}, reached, reached, epochs)
    facts = DataFacts(10, 3, 10, 100, 100, 0.1, data, fingerprint, DataRequest(data, 32, 0, 10))
    return "\n".join(parent_warnings(parent, data, facts))


def test_a_parent_that_does_as_its_file_states_is_not_doubted(file: Path) -> None:
    assert warnings(file, 0.9) == ""
    assert warnings(file, 0.88) == ""


def test_a_weak_parent_is_told_as_one(file: Path) -> None:
    assert "is not two standard errors above 10.0 %, the share of the largest class" in warnings(file, 0.13)
    weak = warnings(file, 0.5, epochs=1.0)
    assert weak.startswith("50.0 ± 2.0 % is nearer to 10.0 %, the share of the largest class, than to 100 %")
    assert warnings(file, 0.6, epochs=1.0) == ""


def test_a_parent_that_does_worse_than_its_file_states_is_told_unless_it_was_adapted(file: Path) -> None:
    below = "its file states 90.0 % on held-out images of fake, and it reaches 80.0 ± 2.0 % here"
    assert warnings(file, 0.8).startswith(below)
    assert warnings(file, 0.8, epochs=1.0) == ""


def test_a_parent_of_other_data_or_of_another_split_is_told(file: Path) -> None:
    assert warnings(file, 0.9, "photos", ELSEWHERE) == "it was trained on fake, and this search is on photos"
    assert warnings(file, 0.9, "fake", ELSEWHERE).startswith("it was trained on another split of fake")
    assert "archdsl train with --seed 0 --images 10 takes the images" in warnings(file, 0.9, "fake", ELSEWHERE)
    file.unlink()
    assert warnings(file, 0.9, "fake", ELSEWHERE) == ""


def test_the_result_the_verdict_and_the_report_say_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    file.write_bytes(file.read_bytes().replace(HERE.encode(), ELSEWHERE.encode()))
    lines, said = Lines(), "it was trained on another split of fake: it may have seen images that are held out here"
    result = search(tmp_path / "run", parent=str(file), data="fake", trials=4, watcher=lines)
    assert any(said in line for line in lines.told)
    written = json.loads((tmp_path / "run" / "verdict.json").read_text())
    assert [text[: len(said)] for text in written["parent"]["warnings"]] == [said]
    resumed = search(tmp_path / "run", parent=str(file), data="fake", trials=4, resume=True)
    report = read_report(tmp_path / "run")
    for shown in (summary(result), summary(resumed), report_text(report)):
        assert said in " ".join(text_of(shown, width=100).split())
    assert said in html(report)
