"""Narrower copies of the parent, tried where its own width is too slow, and others where they miss the gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl.load.specs import spec_of
from archdsl.render.search import summary
from archdsl.search.policy import SHIPPED
from tests.support.fake_worker import Machine
from tests.support.narrowing import OWN_SPACE, SPEC, narrowing
from tests.support.screens import text_of
from tests.support.searching import Lines, quicken, trials


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


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


def test_the_fastest_network_is_tried_where_none_is_predicted_to_keep_the_budget(tmp_path: Path) -> None:
    result = narrowing(tmp_path, latency_budget_ms=1.8)
    tried = trials(tmp_path / "run")
    assert {trial["provenance"]["from"] for trial in tried} == {"narrower"}
    assert result.verdict.passed


def machine_off_by(factor: float) -> Machine:
    """A machine on which copies take other times in their trials than a first one did before."""
    machine = Machine()

    def on_ask(request: dict[str, Any]) -> None:
        machine.speed = factor if "-narrower-" in request.get("spec", {}).get("name", "") else 1.0

    machine.on_ask = on_ask
    return machine


def test_a_copy_that_is_too_slow_is_followed_by_one_made_for_its_latency(tmp_path: Path) -> None:
    lines = Lines()
    result = narrowing(tmp_path, machine_off_by(1.3), watcher=lines, trials=99)
    tried = {trial["spec"]["name"]: trial for trial in trials(tmp_path / "run")}
    kept = json.loads((tmp_path / "run" / "narrower.json").read_text())
    firsts = [copy for copy in kept["copies"] if copy["tries"] == 0]
    assert all(tried[f"wide-narrower-{number}"]["reason"] for number in range(1, len(firsts) + 1))
    assert 1 in [copy["tries"] for copy in kept["copies"]]
    assert result.verdict.passed
    assert result.verdict.spec is not None
    assert result.verdict.spec.name not in {f"wide-narrower-{number}" for number in range(1, len(firsts) + 1)}
    told = next(line for line in lines.told if "tried instead" in line)
    assert "parent  wide-narrower-1: " in told
    assert " ms is over the gate of " in told
    assert "% of its channels" in told


def test_after_three_corrections_it_is_said_that_no_other_copy_is_tried(tmp_path: Path) -> None:
    machine, lines = machine_off_by(1.0), Lines()
    before = machine.on_ask

    def slower_every_time(request: dict[str, Any]) -> None:
        assert before is not None
        before(request)
        name = request.get("spec", {}).get("name", "")
        machine.fixed_ms = 4.0 if "-narrower-" in name else None

    machine.on_ask = slower_every_time
    result = narrowing(tmp_path, machine, watcher=lines, latency_budget_ms=3.5, trials=99)
    copies = json.loads((tmp_path / "run" / "narrower.json").read_text())["copies"]
    assert max(copy["tries"] for copy in copies) <= SHIPPED.inheritance.library.tries
    assert any("and none is tried in its place" in line for line in lines.told)
    assert result.verdict.verdict == "FAIL"
    assert len(trials(tmp_path / "run")) == len(copies)


def test_a_copy_that_uses_little_of_the_budget_is_followed_by_a_larger_one(tmp_path: Path) -> None:
    lines = Lines()
    narrowing(tmp_path, machine_off_by(0.6), watcher=lines, trials=99)
    tried = {trial["spec"]["name"]: trial for trial in trials(tmp_path / "run")}
    kept = json.loads((tmp_path / "run" / "narrower.json").read_text())["copies"]
    firsts = max(trial["latency"] for name, trial in tried.items() if kept[int(name.rsplit("-")[-1]) - 1]["tries"] == 0)
    latencies = [trial["latency"] for trial in tried.values()]
    assert max(latencies) > firsts
    assert max(latencies) <= 3.0
    assert any(" ms is well under the gate of " in line and "; to be tried as well: " in line for line in lines.told)


def test_a_resumed_search_knows_how_often_a_copy_was_corrected(tmp_path: Path) -> None:
    narrowing(tmp_path / "whole", machine_off_by(1.3), trials=99)
    whole = json.loads((tmp_path / "whole" / "run" / "narrower.json").read_text())
    narrowing(tmp_path / "cut", machine_off_by(1.3), trials=1)
    narrowing(tmp_path / "cut", machine_off_by(1.3), resume=True, trials=99)
    assert json.loads((tmp_path / "cut" / "run" / "narrower.json").read_text()) == whole


def test_a_run_of_an_earlier_version_tries_the_copies_that_it_has(tmp_path: Path) -> None:
    narrowing(tmp_path, trials=1)
    file = tmp_path / "run" / "narrower.json"
    networks = json.loads(file.read_text())["networks"]
    file.write_text(json.dumps({"networks": networks}))
    narrowing(tmp_path, machine_off_by(1.3), resume=True)
    assert [trial["spec"]["name"] for trial in trials(tmp_path / "run")] == [each["name"] for each in networks]


def test_copies_are_made_of_the_parent_and_not_of_a_space_whose_patches_are_other_ones(tmp_path: Path) -> None:
    """The smallest network of the space can inherit nothing, and is fast enough."""
    space = json.loads(json.dumps(OWN_SPACE))
    space["nodes"][0]["patch"] = {"$one_of": [4, 8]}
    narrowing(tmp_path, space=space, latency_budget_ms=6.0, trials=3)
    copies = [spec_of(each) for each in json.loads((tmp_path / "run" / "narrower.json").read_text())["networks"]]
    assert copies
    assert {spec.node("stem").patch for spec in copies} == {SPEC.node("stem").patch}  # type: ignore[attr-defined]


def test_where_no_copy_is_fast_enough_a_smaller_network_than_the_spaces_is_called_so(tmp_path: Path) -> None:
    lines, space = Lines(), json.loads(json.dumps(OWN_SPACE))
    space["nodes"][0]["patch"] = {"$one_of": [4, 16]}
    result = narrowing(tmp_path, watcher=lines, space=space, latency_budget_ms=1.6, trials=3)
    assert {trial["provenance"]["from"] for trial in trials(tmp_path / "run")} == {"smaller"}
    assert any("the smallest network of the space is tried with fewer channels" in line for line in lines.told)
    assert "smaller than any network of the space" in " ".join(text_of(summary(result), 200).split())


def test_where_half_of_its_blocks_are_too_slow_copies_come_before_points_of_the_space(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    narrowing(tmp_path / "whole", machine, watcher=lines, latency_budget_ms=20.0, trials=8)
    origins = [trial["provenance"].get("from") for trial in trials(tmp_path / "whole" / "run")]
    copies = origins.count("narrower")
    assert copies >= 2
    assert origins[:copies] == ["narrower"] * copies
    assert len(origins) > copies
    assert any("with 50 % of its blocks it is predicted to exceed the budget" in line for line in lines.told)
    narrowing(tmp_path / "cut", trials=1, latency_budget_ms=20.0)
    narrowing(tmp_path / "cut", resume=True, trials=8, latency_budget_ms=20.0)
    hashes = [[trial["hash"] for trial in trials(tmp_path / name / "run")] for name in ("whole", "cut")]
    assert hashes[0] == hashes[1]


def test_copies_are_tried_late_where_all_networks_of_the_parents_width_are_slower_than_predicted(
    tmp_path: Path,
) -> None:
    machine, lines = Machine(), Lines()

    def slow_beside_copies(request: dict[str, Any]) -> None:
        name = request.get("spec", {}).get("name", "wide")
        machine.fixed_ms = 50.0 if name != "wide" and "-narrower-" not in name else None

    machine.on_ask = slow_beside_copies
    result = narrowing(tmp_path, machine, watcher=lines, latency_budget_ms=40.0, trials=20)
    origins = [trial["provenance"].get("from") for trial in trials(tmp_path / "run")]
    first = origins.index("narrower")
    assert first == SHIPPED.giving_up.first + 1
    assert set(origins[first:]) == {"narrower"}
    assert any("networks that were measured exceed the gate: " in line for line in lines.told)
    assert result.verdict.passed


def test_the_smallest_network_of_the_space_is_measured_where_it_is_predicted_near_the_gate(tmp_path: Path) -> None:
    lines = Lines()
    narrowing(tmp_path, watcher=lines, latency_budget_ms=7.5)
    assert any(line.startswith("parent  the smallest network of its width takes ") for line in lines.told)


def test_disturbed_readings_alone_do_not_make_a_search_leave_its_space(tmp_path: Path) -> None:
    machine = Machine()

    def slow_and_disturbed(request: dict[str, Any]) -> None:
        is_parent = request.get("spec", {}).get("name", "wide") == "wide"
        machine.fixed_ms, machine.disturbed = (None, 0.0) if is_parent else (50.0, 0.9)

    machine.on_ask = slow_and_disturbed
    narrowing(tmp_path, machine, latency_budget_ms=40.0, trials=9)
    assert "narrower" not in [trial["provenance"].get("from") for trial in trials(tmp_path / "run")]


def test_a_disturbed_reading_over_the_gate_is_followed_by_the_next_narrower_copy(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()

    def disturbed_first(request: dict[str, Any]) -> None:
        is_first = request.get("spec", {}).get("name", "") == "wide-narrower-1"
        machine.fixed_ms, machine.disturbed = (30.0, 0.9) if is_first else (None, 0.0)

    machine.on_ask = disturbed_first
    result = narrowing(tmp_path, machine, watcher=lines, trials=99)
    told = next(line for line in lines.told if "tried instead" in line)
    assert told.startswith("parent  wide-narrower-1: 30.00 ms is, in a disturbed reading, over the gate of ")
    again = next(trial for trial in trials(tmp_path / "run") if trial["spec"]["name"] in told.split("instead: ")[1])
    assert again["latency"] > 2.0
    assert result.verdict.passed
