"""How fast the networks of a search can be: narrower copies of the parent, and budgets that nothing can meet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl import count
from archdsl.errors import SearchError
from archdsl.load.specs import spec_of
from archdsl.search.defaults import settings_of
from archdsl.search.request import SettingsRequest
from archdsl.search.store.result import Result
from archdsl.spaces.around import around
from tests.support.fake_weights import fake_named, write_fake_weights
from tests.support.fake_worker import Machine, latency_of
from tests.support.searching import Lines, quicken, search, trials

_MLP = {"type": "mlp", "mlp": {"type": "dwconv"}}
SPEC = spec_of(
    {
        "kind": "arch",
        "version": 1,
        "name": "wide",
        "image": 128,
        "classes": 10,
        "nodes": [
            {"id": "stem", "type": "patch_stem", "width": 48},
            {"id": "stage1", "depth": 4, **_MLP},
            {"id": "merge1", "type": "deformable_merge", "width": 96},
            {"id": "stage2", "type": "hilo", "depth": 6, "heads": 6, "window": 2},
            {"id": "head", "type": "mean_head"},
        ],
    }
)
OWN_SPACE = around(SPEC)
FIELDS = {"epochs": 1.0, "images": 10, "batch": 16, "seed": 0, "device": "cpu"}
DEEP: dict[str, Any] = {"leaves_space": True, "latency_budget_ms": 3.0, "trials": 9}
"""A budget between the fastest network of the parent's width, 7.9 ms, and its narrowest copy, 1.7 ms."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def narrowing(folder: Path, machine: Machine | None = None, **changes: Any) -> Result:
    parent = folder / "parent.safetensors"
    sets = {name: fake_named(0.9) for name in ("validation", "held")}
    write_fake_weights(parent, FIELDS | {"spec": SPEC.to_json()}, sets)
    return search(folder / "run", machine, **{"space": OWN_SPACE, "parent": str(parent), **DEEP, **changes})


def test_where_its_width_is_too_slow_narrower_copies_of_the_parent_are_tried(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    result = narrowing(tmp_path, machine, watcher=lines)
    tried = trials(tmp_path / "run")
    assert [trial["provenance"]["from"] for trial in tried] == ["narrower"] * len(tried)
    assert 1 <= len(tried) <= 3
    specs = [spec_of(trial["spec"]) for trial in tried]
    assert [spec.name for spec in specs] == [f"wide-narrower-{number}" for number in range(1, len(tried) + 1)]
    assert all(spec.node("stem").width < 48 for spec in specs)  # type: ignore[attr-defined]
    assert result.verdict.passed
    assert any("every network of its width is predicted to exceed the budget" in line for line in lines.told)
    begun = [request["inheriting"] for request in machine.asked if request["do"] == "train"]
    assert begun
    assert None not in begun


def test_the_widest_copies_are_taken_that_keep_the_budget(tmp_path: Path) -> None:
    narrowing(tmp_path)
    for trial in trials(tmp_path / "run"):
        assert trial["latency"] <= 3.0
    assert max(trial["latency"] for trial in trials(tmp_path / "run")) > 0.85 * 3.0


def test_a_resumed_search_tries_the_same_copies(tmp_path: Path) -> None:
    narrowing(tmp_path, trials=1)
    kept = json.loads((tmp_path / "run" / "narrower.json").read_text())["networks"]
    narrowing(tmp_path, resume=True)
    documents = [trial["spec"] for trial in trials(tmp_path / "run")]
    assert [document["name"] for document in documents] == [document["name"] for document in kept]


@pytest.mark.parametrize(
    "changes", [{"latency_budget_ms": 40.0}, {"latency_budget_ms": None, "params_budget": 200_000}]
)
def test_there_is_none_where_the_space_is_fast_enough_or_no_latency_is_limited(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    narrowing(tmp_path, trials=3, **changes)
    assert not (tmp_path / "run" / "narrower.json").exists()


def test_a_space_of_ones_own_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="or name a space with smaller networks"):
        narrowing(tmp_path, leaves_space=False)
    assert not (tmp_path / "run" / "narrower.json").exists()


def test_the_fastest_network_is_tried_where_none_is_predicted_to_keep_the_budget(tmp_path: Path) -> None:
    result = narrowing(tmp_path, latency_budget_ms=1.8)
    tried = trials(tmp_path / "run")
    assert {trial["provenance"]["from"] for trial in tried} == {"narrower"}
    assert result.verdict.passed


def test_a_budget_that_nothing_meets_is_refused_with_the_least(tmp_path: Path) -> None:
    machine = Machine()
    with pytest.raises(
        SearchError, match=r"the latency budget of 1 ms cannot be met: .*, takes (1\.\d\d) ms; "
    ) as told:
        narrowing(tmp_path, machine, latency_budget_ms=1.0)
    measured = [spec_of(request["spec"]) for request in machine.asked if request["do"] == "measure"]
    fastest = min(measured, key=lambda spec: count(spec).macs)
    assert f"takes {latency_of(fastest):.2f} ms; give a budget of" in str(told.value)
    assert "or name a space" not in str(told.value)
    assert "train" not in {request["do"] for request in machine.asked}


def test_only_a_space_that_nobody_named_may_be_left(tmp_path: Path) -> None:
    parent = tmp_path / "parent.safetensors"
    sets = {name: fake_named(0.9) for name in ("validation", "held")}
    write_fake_weights(parent, FIELDS | {"spec": SPEC.to_json()}, sets)

    def leaves(space: Any, **asked: Any) -> bool:
        return settings_of(space, SettingsRequest(device="cpu", latency_budget_ms=2.0, **asked)).leaves_space

    own = tmp_path / "own.json"
    own.write_text(json.dumps(OWN_SPACE | {"name": "own"}))
    assert leaves(None, parent=str(parent))
    assert leaves(None, parent=str(parent), library="none")
    assert leaves(None)
    assert not leaves(str(own), parent=str(parent))
    assert not leaves(None, parent="none")
