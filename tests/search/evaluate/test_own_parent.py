"""A space that names no parent: in a long search one of its seeds is trained first, and candidates inherit from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archdsl.load.spaces import load_space, seeds
from archdsl.load.specs import spec_of
from archdsl.search.policy import SHIPPED
from archdsl.search.store.result import Result
from tests.support.fake_worker import Machine, latency_of
from tests.support.searching import Lines, quicken, search, trials


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def space(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = load_space("lit-dat-64").model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {name: value for name, value in {**document, "parent": None, **changes}.items() if value is not None}


def long_search(folder: Path, machine: Machine, lines: Lines, **changes: Any) -> Result:
    asked = {"space": space(), "trains_parent": True, "time_s": 1200.0, "latency_budget_ms": 8.0, "trials": 6}
    return search(folder, machine, watcher=lines, **{**asked, **changes})


def began_anew(machine: Machine) -> list[bool]:
    return [request["inheriting"] is None for request in machine.asked if request["do"] == "train"]


def test_a_seed_about_twice_as_slow_as_the_budget_is_trained_and_inherited_from(tmp_path: Path) -> None:
    machine, lines, run = Machine(), Lines(), tmp_path / "run"
    result = long_search(run, machine, lines)
    parent = json.loads((run / "parent.json").read_text())
    policy = SHIPPED.own_parent
    assert policy.least * 8.0 <= parent["latency_ms"] <= policy.most * 8.0
    assert (run / "parent.safetensors").is_file()
    [said] = [line for line in lines.told if "the space names none" in line]
    times = f"{parent['latency_ms'] / 8.0:.1f}"
    assert f"{parent['name']}, a seed of the space that takes {times} times the latency budget, is trained for" in said
    assert "about 8 minutes; candidates inherit its weights" in said
    assert began_anew(machine)[0]
    assert not any(began_anew(machine)[1:])
    assert result.parent is not None
    assert result.parent.name == parent["name"]
    assert all(trial["provenance"]["proxy"]["parent"] for trial in trials(run) if trial["accuracy"] is not None)


def test_it_is_trained_once_over_all_resumes(tmp_path: Path) -> None:
    long_search(tmp_path / "run", Machine(), Lines(), trials=2)
    again = Machine()
    long_search(tmp_path / "run", again, Lines(), trials=4, resume=True)
    assert len(trials(tmp_path / "run")) == 4
    assert not any(began_anew(again))


@pytest.mark.parametrize(
    "changes", [{"time_s": 600.0}, {"time_s": None}, {"trains_parent": False}], ids=["short", "by trials", "none"]
)
def test_without_time_or_with_parent_none_nothing_is_trained_first(tmp_path: Path, changes: dict[str, Any]) -> None:
    machine, lines = Machine(), Lines()
    result = long_search(tmp_path / "run", machine, lines, **changes)
    assert result.parent is None
    assert all(began_anew(machine))
    assert not any("parent" in line for line in lines.told)


def test_a_space_without_seeds_says_that_none_is_trained(tmp_path: Path) -> None:
    lines = Lines()
    result = long_search(tmp_path / "run", Machine(), lines, space=space(seeds=None))
    assert result.parent is None
    assert any(
        "parent  none is trained: the space has no seed inside the static budgets" in line for line in lines.told
    )


def test_a_seed_that_would_be_trained_for_too_few_epochs_is_not(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    policy = replace(SHIPPED, own_parent=replace(SHIPPED.own_parent, least_epochs=1e6))
    result = long_search(tmp_path / "run", machine, lines, policy=policy)
    assert result.parent is None
    assert any("candidates begin with initial weights" in line for line in lines.told)
    assert all(began_anew(machine))


def test_a_seed_that_is_too_slow_is_scaled_and_one_that_is_too_fast_is_taken_as_it_is(tmp_path: Path) -> None:
    whole = [spec for spec, _ in seeds(load_space("lit-dat-64"))]
    parents = []
    for budget_ms in (3.0, 1000.0):
        run = tmp_path / str(budget_ms)
        long_search(run, Machine(), Lines(), latency_budget_ms=budget_ms, trials=2)
        parents.append(spec_of(json.loads((run / "parent.json").read_text())["spec"]))
    scaled, slowest = parents
    assert min(map(latency_of, whole)) > SHIPPED.own_parent.most * 3.0
    assert SHIPPED.own_parent.least * 3.0 <= latency_of(scaled) <= SHIPPED.own_parent.most * 3.0
    assert slowest.to_json()["nodes"] == max(whole, key=latency_of).to_json()["nodes"]


def test_a_parent_that_cannot_be_trained_costs_the_search_nothing_else(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    machine.finite = False

    def on_ask(request: dict[str, Any]) -> None:
        machine.finite = request["do"] != "train" or len(machine.names("train")) > 1

    machine.on_ask = on_ask
    result = long_search(tmp_path / "run", machine, lines)
    assert result.parent is None
    assert any("none was trained, since training gave no finite loss" in line for line in lines.told)
    assert result.verdict.passed
