"""A search with a parent and enough time fits alternatives to its blocks itself; their best networks come first."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archdsl import count
from archdsl.deriving.library.folder import read_library
from archdsl.deriving.library.solutions import Solver
from archdsl.language.canonical import canonical_hash
from archdsl.load.spaces import space_of
from archdsl.load.specs import override
from archdsl.search.defaults import settings_of
from archdsl.search.evaluate import quiet_moment
from archdsl.search.evaluate.library_networks import LibraryNetworks, costs_by
from archdsl.search.policy import SHIPPED
from archdsl.search.report import read_report
from archdsl.search.request import SettingsRequest
from archdsl.search.store.result import Result
from archdsl.spaces.around import around
from archdsl.zoo import shipped_parent
from tests.support.fake_weights import fake_named, write_fake_weights
from tests.support.fake_worker import Machine, asked_spec, latency_of
from tests.support.libraries import parent_spec, space_around
from tests.support.searching import RANDOM, Lines, quicken, search, settings, trials

FIELDS = {"epochs": 1.0, "images": 10, "batch": 16, "seed": 0, "device": "cpu"}
SPEC = override(parent_spec(), ["classes=10"])
FITS: dict[str, Any] = {"fits_library": True, "latency_budget_ms": None, "latency_share": 0.85, "time_s": 600.0}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def fitting_search(folder: Path, machine: Machine, lines: Lines | None = None, **changes: Any) -> Result:
    parent = folder / "parent.safetensors"
    sets = {name: fake_named(0.9) for name in ("validation", "held")}
    write_fake_weights(parent, FIELDS | {"spec": SPEC.to_json()}, sets)
    asked = {"space": around(SPEC), "parent": str(parent), "trials": 5, "watcher": lines or Lines()}
    return search(folder / "run", machine, **{**asked, **FITS, **changes})


def asked_for(machine: Machine) -> list[dict[str, Any]]:
    return [request for request in machine.asked if request["do"] == "library"]


def test_a_library_is_fitted_in_the_folder_of_the_run_and_its_networks_are_tried_first(tmp_path: Path) -> None:
    machine, lines, run = Machine(), Lines(), tmp_path / "run"
    result = fitting_search(tmp_path, machine, lines)
    [request] = asked_for(machine)
    policy = SHIPPED.own_library
    assert 0.9 * policy.time_share * 600 < request["seconds"] <= policy.time_share * 600
    library = read_library(run / "library")
    assert {entry.key for entry in library.usable} == set(request["keys"])
    assert any(f"{len(request['keys'])} of {len(request['keys'])} replacements for" in line for line in lines.told)
    first = trials(run)[0]
    assert first["provenance"]["from"] == "library"
    beginning = next(each["inheriting"] for each in machine.asked if each["do"] == "train")
    assert beginning["library"] == str((run / "library").absolute())
    assert result.verdict.passed
    [command] = [step.command for step in read_report(run).next_steps if "need no training again" in step.text]
    assert f"--parent {run / 'parent.safetensors'} --library {run / 'library'}" in command


def test_only_what_is_predicted_to_be_faster_is_fitted(tmp_path: Path) -> None:
    machine = Machine()
    fitting_search(tmp_path, machine)
    [request] = asked_for(machine)
    whole = [*space_of(request["space"]).nodes]
    assert whole[1]["blocks"][0]["$one_of"][1]["type"] != "mlp"  # a mixer in the place of none
    blocks = [entry.block for entry in read_library(tmp_path / "run" / "library").usable if entry.stage == "stage1"]
    assert blocks
    assert {block["type"] for block in blocks} == {"mlp"}


def test_a_network_that_takes_much_less_than_the_budget_is_followed_by_a_larger_one(tmp_path: Path) -> None:
    machine = Machine()
    fitting_search(tmp_path, machine)
    library = read_library(tmp_path / "run" / "library")
    whole = float(count(SPEC).macs)
    solver = Solver(library, costs_by(lambda spec: count(spec).macs / whole))
    networks = LibraryNetworks(library, solver, settings(space=around(SPEC)), SHIPPED.inheritance.library)
    networks.solve(0.6)
    best = networks.solved[0]
    assert best.what == "best"
    assert networks.solve_again(best.network_hash, 0.9 * 0.6, 0.6) is None
    larger = networks.solve_again(best.network_hash, 0.75 * 0.6, 0.6)
    assert larger is not None
    assert larger.limit_ms == pytest.approx(best.derived.costs["latency"] / 0.75)
    assert best.derived.costs["latency"] < larger.derived.costs["latency"] <= best.derived.costs["latency"] / 0.75
    assert larger.predicted_ms <= 0.6
    assert larger.derived.kl < best.derived.kl
    other = next(each for each in networks.solved if each.what == "another")
    assert networks.solve_again(other.network_hash, 0.75 * 0.6, 0.6) is None


def test_what_follows_a_measured_network_is_not_called_measured(tmp_path: Path) -> None:
    fitting_search(tmp_path, Machine())
    library, whole = read_library(tmp_path / "run" / "library"), float(count(SPEC).macs)
    solver = Solver(library, costs_by(lambda spec: count(spec).macs / whole))
    networks = LibraryNetworks(library, solver, settings(space=around(SPEC)), SHIPPED.inheritance.library)
    derived = solver.solve({"latency": 0.6})
    assert derived is not None
    assert networks.take_measured([(derived, 0.7)], 0.6) is None
    taken = networks.take_measured([(derived, 0.4)], 0.6)
    assert taken is not None
    assert taken.what == "measured"
    assert taken.predicted_ms == pytest.approx(0.4)
    again = networks.solve_again(taken.network_hash, 0.4, 0.6)
    assert again is not None
    assert again.what == "best"


def test_predictions_are_corrected_by_a_network_that_is_measured_first(tmp_path: Path) -> None:
    lines = Lines()
    fitting_search(tmp_path, Machine(), lines)
    [said] = [line for line in lines.told if "were predicted" in line][:1]
    assert said.startswith("library  a network with ")
    kept = json.loads((tmp_path / "run" / "library.json").read_text())
    assert 1 <= len(kept["measured"]) <= SHIPPED.inheritance.library.calibrations
    assert all(0 < macs < count(SPEC).macs and ms > 0 for macs, _, ms in kept["measured"])


def busy_at_first(readings: int) -> Machine:
    """A machine on which everything takes twice as long until the parent was measured so often and a library made."""
    machine, parent = Machine(), canonical_hash(SPEC)
    machine.fitted = 6

    def is_parent(request: dict[str, Any]) -> bool:
        return request["do"] == "measure" and canonical_hash(asked_spec(request)) == parent

    def on_ask(request: dict[str, Any]) -> None:
        is_slow = is_parent(request) and sum(map(is_parent, machine.asked)) <= readings
        machine.speed = 2.0 if is_slow or not asked_for(machine) else 1.0

    machine.on_ask = on_ask
    return machine


def test_a_network_that_was_measured_to_keep_the_gate_is_tried_though_none_is_predicted_to(tmp_path: Path) -> None:
    machine, lines = busy_at_first(99), Lines()
    fitting_search(tmp_path, machine, lines, latency_share=None, latency_budget_ms=latency_of(SPEC))
    [told] = [line for line in lines.told if "one that was measured keeps it and is tried" in line]
    assert told.startswith("library  the fastest network of the 6 trained replacements is predicted to take ")
    first, others = trials(tmp_path / "run")[0], trials(tmp_path / "run")[1:]
    assert first["provenance"]["from"] == "library"
    assert first["outcome"] == "trained"
    assert [trial for trial in others if trial["provenance"].get("from") == "library"]  # the next best ones follow


def test_a_parent_that_was_measured_too_slow_is_measured_again(tmp_path: Path) -> None:
    machine, lines = busy_at_first(1), Lines()
    fitting_search(tmp_path, machine, lines, latency_share=None, latency_budget_ms=latency_of(SPEC))
    [told] = [line for line in lines.told if "measured again" in line]
    before, after = 2 * latency_of(SPEC), latency_of(SPEC)
    readings = f"{after:.2f} ms, and {before:.2f} ms before"
    assert told == f"parent  it was measured again: p10 {readings}; the lower one counts"
    assert json.loads((tmp_path / "run" / "parent.json").read_text())["latency_ms"] == pytest.approx(after, rel=0.01)


def test_what_could_not_be_fitted_in_time_is_not_missing(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    machine.fitted = 12
    result = fitting_search(tmp_path, machine, lines)
    [request] = asked_for(machine)
    assert any(f"library  12 of {len(request['keys'])} replacements" in line for line in lines.told)
    assert len(read_library(tmp_path / "run" / "library").usable) == 12
    assert result.verdict.passed


@pytest.mark.parametrize(("far", "is_doubted"), [(0.0, False), (10.0, True)])
def test_a_parent_that_was_measured_too_slow_is_doubted(tmp_path: Path, far: float, is_doubted: bool) -> None:
    lines, inheritance = Lines(), SHIPPED.inheritance
    inheritance = replace(inheritance, library=replace(inheritance.library, far=far))
    fitting_search(tmp_path, Machine(), lines, policy=replace(RANDOM, inheritance=inheritance))
    assert any("may be too high, as where the machine was busy" in line for line in lines.told) is is_doubted


def test_too_few_are_not_used(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    machine.fitted = 2
    policy = replace(RANDOM, own_library=replace(SHIPPED.own_library, least_share=1.0))
    result = fitting_search(tmp_path, machine, lines, policy=policy)
    [request] = asked_for(machine)
    assert request["least"] == round(len(request["keys"]) / 2) > 2
    assert any(f"library  only 2 of {len(request['keys'])} replacements for" in line for line in lines.told)
    assert not (tmp_path / "run" / "library").exists()
    assert not (tmp_path / "run" / "library.json").exists()
    assert result.verdict.passed
    fitting_search(tmp_path, machine, resume=True, trials=8, policy=policy)
    assert len(asked_for(machine)) == 1


def test_on_a_busy_machine_less_is_expected_to_be_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(busy: float) -> list[str]:
        lines = Lines()
        monkeypatch.setattr(quiet_moment, "other_cores", lambda seconds: busy)
        policy = replace(RANDOM, own_library=replace(SHIPPED.own_library, least_share=1.0, speed_of_modules=0.02))
        fitting_search(tmp_path / str(busy), Machine(), lines, policy=policy)
        return [line for line in lines.told if line.startswith("library  no replacement is trained: about ")]

    [quiet], [busy] = told(0.0), told(1e3)
    counts = [int(re.findall(r"about ([\d,]+) of", line)[0].replace(",", "")) for line in (quiet, busy)]
    assert counts[1] <= counts[0] / 2


def test_it_is_fitted_once_over_all_resumes(tmp_path: Path) -> None:
    fitting_search(tmp_path, Machine(), trials=2)
    again = Machine()
    fitting_search(tmp_path, again, trials=8, resume=True)
    assert not asked_for(again)
    assert len(trials(tmp_path / "run")) == 8
    begun = [request["inheriting"] for request in again.asked if request["do"] == "train"]
    assert any(beginning["blocks"] for beginning in begun)


@pytest.mark.parametrize(
    "changes",
    [{"time_s": 200.0}, {"time_s": None}, {"fits_library": False}, {"latency_share": 1.1}],
    ids=["short", "by trials", "none", "the parent keeps the budget"],
)
def test_without_time_or_need_none_is_fitted(tmp_path: Path, changes: dict[str, Any]) -> None:
    machine, lines = Machine(), Lines()
    fitting_search(tmp_path, machine, lines, **changes)
    assert not asked_for(machine)
    assert not any(line.startswith("library") for line in lines.told)


def test_a_library_that_cannot_be_fitted_costs_the_search_nothing_else(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    machine.library_fails = "too few images"
    result = fitting_search(tmp_path, machine, lines)
    assert "library  no replacement was trained, since too few images" in lines.told
    assert result.verdict.passed


def test_a_search_fits_one_by_itself_but_for_a_space_of_the_users_own(tmp_path: Path) -> None:
    parent = shipped_parent("lit-dat-64")
    assert parent is not None

    def fits(space: Any = None, **asked: Any) -> bool:
        return settings_of(space, SettingsRequest(device="cpu", **asked)).fits_library

    assert fits()
    assert fits("lit-dat-64")
    assert fits(parent=str(parent))
    assert not fits(library="none")
    assert not fits(parent="none")
    assert not fits(space_of(space_around()), parent=str(parent))
    assert settings_of(None, SettingsRequest(device="cpu", library="none")).library is None


def test_none_is_fitted_where_the_time_does_for_few_of_them(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    policy = replace(RANDOM, own_library=replace(RANDOM.own_library, speed_of_modules=1e-6))
    fitting_search(tmp_path, machine, lines, policy=policy)
    assert not asked_for(machine)
    [said] = [line for line in lines.told if line.startswith("library")]
    assert re.fullmatch(
        r"library  no replacement is trained: about 0 of \d+ could be trained in \d+ s; "
        "archdsl library build trains them beforehand",
        said,
    )


def test_a_parent_whose_blocks_cannot_be_made_faster_is_told_so(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    policy = replace(RANDOM, own_library=replace(RANDOM.own_library, least_saving=0.99))
    fitting_search(tmp_path, machine, lines, policy=policy)
    assert not asked_for(machine)
    assert any("none is predicted to be faster" in line for line in lines.told)
