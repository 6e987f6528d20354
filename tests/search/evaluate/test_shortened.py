"""A search whose finalists would be late: they become shorter, and nobody takes them for equally long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl.render.search import summary
from archdsl.search.report import read_report
from archdsl.search.store.result import Result
from archdsl.weights import read_facts
from tests.support.fake_worker import Machine
from tests.support.parent_files import parent_file
from tests.support.reported import terminal
from tests.support.screens import text_of
from tests.support.searching import Lines, quicken, records, search

WHOLE = "inheritance and 30 epochs of 10 images"
SHORTENED = "inheritance and 16.0 epochs of 10 images (10 steps, shortened from 30 epochs)"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


@pytest.fixture
def parent(tmp_path: Path) -> str:
    return parent_file(tmp_path)


def with_parent(folder: Path, parent: str, machine: Machine, **changes: Any) -> Result:
    return search(folder, machine, parent=parent, **{"trials": 8, "latency_budget_ms": 9.0, "time_s": 600.0, **changes})


def becomes_slow(after: int) -> Machine:
    """A machine on which finalists have no time for more than ten steps once so many have been trained."""
    machine, seen = Machine(), [0]

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == "train" and request["least_steps"] is not None:
            seen[0] += 1
            machine.most_steps = 10 if seen[0] > after else None

    machine.on_ask = on_ask
    return machine


def longer(folder: Path) -> list[dict[str, Any]]:
    return [record["provenance"]["proxy"] for record in records(folder) if record["rung"] == "train_longer"]


def test_a_shortened_finalist_tells_its_real_length(tmp_path: Path, parent: str) -> None:
    with_parent(tmp_path / "run", parent, becomes_slow(0))
    proxies = longer(tmp_path / "run")
    assert proxies
    assert {(proxy["epochs"], proxy["planned_epochs"], proxy["steps"]) for proxy in proxies} == {(16.0, 30.0, 10)}
    assert {proxy["fidelity"] for proxy in proxies} == {SHORTENED}
    stated = read_facts(tmp_path / "run" / "winner.safetensors").provenance
    assert stated is not None
    assert stated.epochs == 16.0


def test_the_cache_does_not_hold_it_as_what_was_asked_for(tmp_path: Path, parent: str) -> None:
    with_parent(tmp_path / "run", parent, becomes_slow(0))
    assert all(proxy.get("key") is None for proxy in longer(tmp_path / "run"))
    again = Machine()
    with_parent(tmp_path / "again", parent, again)
    asked = [request for request in again.asked if request["do"] == "train" and request["least_steps"] is not None]
    assert len(asked) == len(longer(tmp_path / "again"))
    assert {proxy["epochs"] for proxy in longer(tmp_path / "again")} == {30.0}


def test_finalists_of_unequal_length_are_said_to_be_so(tmp_path: Path, parent: str) -> None:
    lines = Lines()
    result = with_parent(tmp_path / "run", parent, becomes_slow(1), watcher=lines)
    whole, *others = longer(tmp_path / "run")
    assert "planned_epochs" not in whole
    assert all(proxy["planned_epochs"] == 30.0 for proxy in others)
    assert any(line.endswith(f"after {SHORTENED}") for line in lines.told)
    said = "the finalists' accuracies are not after equally many steps, since time ran short: "
    assert said in " ".join(text_of(summary(result)).split())
    assert f"{said[0].upper()}{said[1:]}" in " ".join(terminal(read_report(tmp_path / "run")).split())
    for text in ((tmp_path / "run" / "verdict.json").read_text(), json.dumps(result.as_json())):
        assert {each["fidelity"] for each in json.loads(text)["shortened"]} <= {SHORTENED, f"{WHOLE} or {SHORTENED}"}


def test_equally_long_finalists_are_not_said_to_be_unequal(tmp_path: Path, parent: str) -> None:
    result = with_parent(tmp_path / "run", parent, Machine())
    assert "equally many steps" not in text_of(summary(result))
    assert "shortened" not in json.loads((tmp_path / "run" / "verdict.json").read_text())


def test_a_shortened_finalist_is_not_trained_again_when_the_search_goes_on(tmp_path: Path, parent: str) -> None:
    machine = becomes_slow(0)
    with_parent(tmp_path / "run", parent, machine)
    first = len(longer(tmp_path / "run"))
    again = Machine()
    with_parent(tmp_path / "run", parent, again, resume=True, time_s=1200.0, trials=8)
    seeds = [len(proxy["trainings"]) for proxy in longer(tmp_path / "run")[first:]]
    assert all(number > 1 for number in seeds)  # further seeds of finalists that have their first
