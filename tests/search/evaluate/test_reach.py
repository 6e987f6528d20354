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
from tests.support.fake_weights import fake_named, write_fake_weights
from tests.support.fake_worker import Machine, latency_of
from tests.support.narrowing import FIELDS, OWN_SPACE, SPEC, narrowing
from tests.support.searching import Lines, quicken


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def test_a_space_of_ones_own_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="or name a space with smaller networks"):
        narrowing(tmp_path, leaves_space=False)
    assert not (tmp_path / "run" / "narrower.json").exists()


def test_a_budget_that_nothing_meets_is_refused_with_the_least(tmp_path: Path) -> None:
    machine = Machine()
    with pytest.raises(
        SearchError, match=r"the latency budget of 1 ms cannot be met: .*, takes (1\.\d\d) ms; "
    ) as told:
        narrowing(tmp_path, machine, latency_budget_ms=1.0)
    measured = [spec_of(request["spec"]) for request in machine.asked if request["do"] == "measure"]
    fastest = min(measured, key=lambda spec: count(spec).macs)
    assert f"takes {latency_of(fastest):.2f} ms; give a budget of" in str(told.value)
    least_ms = float(str(told.value).split("give a budget of ")[1].split(" ms")[0])
    assert least_ms >= 1.05 * latency_of(fastest)  # so that its gate is kept, too
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


def test_a_budget_is_not_refused_by_a_disturbed_reading_that_is_near_it(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    machine.disturbed = 0.9
    narrowing(tmp_path, machine, latency_budget_ms=1.2, watcher=lines)
    assert any("is tried all the same, since that reading was disturbed" in line for line in lines.told)
