"""A search with a library: its networks for the budget come first, begin with fitted blocks, and are solved again."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archdsl import count
from archdsl.errors import SearchError, WrongUse
from archdsl.language.canonical import canonical_hash
from archdsl.load.spaces import load_space, space_of
from archdsl.load.specs import override, spec_of
from archdsl.render.search import summary
from archdsl.search.defaults import check_library
from archdsl.search.policy import SHIPPED
from archdsl.search.policy.inherit import ReachPolicy
from archdsl.search.report import read_report
from archdsl.search.request import SettingsRequest
from archdsl.search.store.result import Result
from tests.support.fake_weights import fake_named, write_fake_weights
from tests.support.fake_worker import Machine
from tests.support.libraries import fake_library, parent_spec, space_around
from tests.support.screens import text_of
from tests.support.searching import RANDOM, SPACE, Lines, quicken, records, search, trials

FIELDS = {"epochs": 1.0, "images": 10, "batch": 16, "seed": 0, "device": "cpu"}
SPEC = override(parent_spec(), ["classes=10"])
OWN_SPACE = space_around() | {"classes": 10}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def parent_of(folder: Path) -> Path:
    sets = {name: fake_named(0.9) for name in ("validation", "held")}
    write_fake_weights(folder / "parent.safetensors", FIELDS | {"spec": SPEC.to_json()}, sets)
    return folder / "parent.safetensors"


def derived(
    folder: Path, machine: Machine | None = None, library: Path | None = None, name: str = "run", **changes: Any
) -> Result:
    """A search with the library of the parent, at 85 % of the parent's latency."""
    parent = parent_of(folder)
    if library is None:
        library = folder / "library"
        if not library.exists():
            fake_library(library, parent, SPEC)
    plain: dict[str, Any] = {"latency_budget_ms": None, "latency_share": 0.85, "trials": 6}
    return search(folder / name, machine, parent=str(parent), library=str(library), **(plain | changes))


def of_the_library(folder: Path) -> list[dict[str, Any]]:
    return [trial for trial in trials(folder / "run") if trial["provenance"].get("from") == "library"]


def trainings(machine: Machine) -> list[dict[str, Any]]:
    return [request for request in machine.asked if request["do"] == "train"]


def test_the_librarys_networks_are_tried_first_and_begin_with_fitted_blocks(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    result = derived(tmp_path, machine, watcher=lines)
    firsts = of_the_library(tmp_path)
    others = [trial for trial in trials(tmp_path / "run") if trial["provenance"].get("from") != "parent"]
    assert others[: len(firsts)] == firsts
    kept = json.loads((tmp_path / "run" / "library.json").read_text())["networks"]
    assert [each["what"] for each in kept if each["tries"] == 0] == ["best", "another", "single blocks"]
    assert 3 <= len(firsts) <= len(kept) + 1
    assert result.verdict.passed
    whole = count(SPEC).macs
    assert all(trial["macs"] < whole for trial in firsts)
    tuned = [trial["provenance"]["proxy"] for trial in firsts if trial["accuracy"] is not None]
    assert tuned
    assert all(proxy["parent"] == "a" * 64 for proxy in tuned)
    for request in trainings(machine):
        beginning, is_first = request["inheriting"], "-derived-" in request["spec"]["name"]
        assert bool(beginning["blocks"]) == is_first
        assert (beginning["library"] == str(tmp_path / "library")) == is_first
    first = next(line for line in lines.told if line.startswith("library  derived-1 (the least KL within the gate): "))
    assert "summed KL" in first
    proposed = next(line for line in lines.told if "proposed, to be tried before others:" in line)
    assert lines.told.index(proposed) == lines.told.index(first) - 1
    longer = [request for request in trainings(machine) if request["inheriting"]["is_decided"]]
    assert any(request["inheriting"]["blocks"] for request in longer)


def test_over_the_librarys_space_every_candidate_begins_with_fitted_blocks(tmp_path: Path) -> None:
    machine = Machine()
    derived(tmp_path, machine, space=OWN_SPACE, latency_share=1.0, trials=14)
    others = [trial for trial in trials(tmp_path / "run") if trial["provenance"].get("from") is None]
    assert others
    names = {trial["spec"]["name"] for trial in others}
    whole = canonical_hash(SPEC)
    for request in trainings(machine):
        if request["spec"]["name"] in names and canonical_hash(spec_of(request["spec"])) != whole:
            assert any(key for *_, key in request["inheriting"]["blocks"])


def test_a_network_that_is_too_slow_is_solved_again_at_most_three_times(tmp_path: Path) -> None:
    machine = Machine()
    machine.fixed_ms = 4.0
    derived(tmp_path, machine, trials=30)
    kept = json.loads((tmp_path / "run" / "library.json").read_text())["networks"]
    best = [each for each in kept if each["what"] == "best"]
    assert [each["tries"] for each in best] == list(range(len(best)))
    assert 2 <= len(best) <= 1 + SHIPPED.inheritance.library.tries
    limits = [each["limit_ms"] for each in best]
    assert limits == sorted(limits, reverse=True)
    tried = [trial for trial in of_the_library(tmp_path) if "-derived-" in trial["spec"]["name"]]
    assert len({trial["hash"] for trial in tried}) == len(kept)


def test_the_parent_with_fewer_blocks_is_tried_beside_them(tmp_path: Path) -> None:
    derived(tmp_path, trials=12, latency_share=0.8)
    cut = json.loads((tmp_path / "run" / "library.json").read_text())["depth_cut"]
    depths = {node["id"]: node["depth"] for node in cut["nodes"] if "depth" in node}
    assert depths["stage1"] <= 2
    assert depths["stage2"] < 3
    assert canonical_hash(spec_of(cut)) in {trial["hash"] for trial in of_the_library(tmp_path)}


def test_after_each_point_of_the_space_the_next_best_network_of_the_library_is_tried(tmp_path: Path) -> None:
    lines = Lines()
    derived(tmp_path, trials=14, watcher=lines, space=OWN_SPACE)
    origins = [trial["provenance"].get("from") for trial in trials(tmp_path / "run")]
    first = origins.index(None)
    assert origins[first:][:6] == [None, "library"] * 3
    kept = json.loads((tmp_path / "run" / "library.json").read_text())["networks"]
    limit_ms = [each["limit_ms"] for each in kept if each["what"] == "best"][-1]
    added = [each for each in kept if each["what"] == "another" and each["tries"] == 0][1:]
    assert len(added) >= 3
    assert {each["limit_ms"] for each in added[-3:]} == {limit_ms}
    sums = [float(line.split("summed KL ")[1].split(",")[0]) for line in lines.told if " (the next best, " in line]
    assert sums == sorted(sums)


def test_a_resumed_search_keeps_the_networks_that_were_solved(tmp_path: Path) -> None:
    derived(tmp_path, trials=1)
    before = (tmp_path / "run" / "library.json").read_text()
    slower = Machine()
    slower.speed = 2.0
    derived(tmp_path, slower, trials=4, resume=True)
    after = json.loads((tmp_path / "run" / "library.json").read_text())["networks"]
    kept = json.loads(before)["networks"]
    assert after[: len(kept)] == kept
    assert len({record["hash"] for record in records(tmp_path / "run") if record["rung"] != "train_longer"}) == 4


def test_the_run_keeps_what_its_report_tells_of_the_library(tmp_path: Path) -> None:
    result = derived(tmp_path)
    library = read_report(tmp_path / "run").library
    assert library is not None
    tried = {trial["hash"]: trial for trial in of_the_library(tmp_path)}
    best = next(line for line in library.front if line.hash in tried)
    assert best.latency == tried[best.hash]["latency"]
    assert library.parent_cost == json.loads((tmp_path / "run" / "parent.json").read_text())["latency_ms"]
    record = result.verdict.record
    assert record is not None
    assert record.network_hash in tried
    assert "of the parent's 5 blocks. Their KL adds up to" in " ".join(text_of(summary(result), 200).split())


def test_a_run_of_an_earlier_version_gets_the_librarys_facts_when_it_is_resumed(tmp_path: Path) -> None:
    derived(tmp_path, trials=1)
    file = tmp_path / "run" / "library.json"
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({name: value for name, value in kept.items() if name != "facts"}))
    derived(tmp_path, trials=2, resume=True)
    after = json.loads(file.read_text())
    assert after["networks"][: len(kept["networks"])] == kept["networks"]
    keys = [[each["key"] for each in facts["facts"]["alternatives"]] for facts in (kept, after)]
    assert keys[0] == keys[1] != []


def test_a_budget_that_no_network_of_the_library_keeps_is_told_with_the_least(tmp_path: Path) -> None:
    lines = Lines()
    policy = replace(RANDOM, reach=ReachPolicy(refused_over=math.inf))
    derived(tmp_path, latency_share=None, latency_budget_ms=0.01, trials=2, watcher=lines, policy=policy)
    said = [line for line in lines.told if line.startswith("library")][-1]
    assert re.fullmatch(
        r"library  the \d+ trained replacements cannot reach 0\.01 ms; the fastest network of them is predicted to "
        r"take 0\.\d\d ms, so none is tried",
        said,
    )
    assert json.loads((tmp_path / "run" / "library.json").read_text())["networks"] == []


def test_a_library_of_other_data_or_another_parent_is_refused_with_both_named(tmp_path: Path) -> None:
    parent = parent_of(tmp_path)
    other = fake_library(tmp_path / "other", parent, SPEC, fingerprint="1" * 16, data="photos")
    with pytest.raises(SearchError, match=r"its data is photos \(1{8}\), not shapetex \(0{8}\)"):
        derived(tmp_path, library=other)
    index = json.loads((fake_library(tmp_path / "wrong", parent, SPEC) / "index.json").read_text())
    index["parent"] = {"name": "theirs.safetensors", "sha256": "c" * 64}
    (tmp_path / "wrong" / "index.json").write_text(json.dumps({**index, "entries": [], "keys": []}))
    with pytest.raises(SearchError, match=r"its parent is theirs\.safetensors \(c{8}\), not tiny"):
        derived(tmp_path, library=tmp_path / "wrong", name="second")


@pytest.mark.parametrize("parent", [None, "none"])
def test_a_library_without_a_parent_is_refused(tmp_path: Path, parent: str | None) -> None:
    library = fake_library(tmp_path / "library", parent_of(tmp_path), SPEC)
    request = SettingsRequest(library=str(library), parent=parent)
    with pytest.raises(WrongUse, match=r"a library is of a parent; name its file with --parent: parent\.safetensors"):
        check_library(request, load_space(SPACE))


def test_a_space_of_other_alternatives_is_refused_and_one_of_other_things_is_not(tmp_path: Path) -> None:
    parent = parent_of(tmp_path)
    request = SettingsRequest(library=str(fake_library(tmp_path / "library", parent, SPEC)), parent=str(parent))
    check_library(request, space_of(OWN_SPACE))
    check_library(request, load_space(SPACE))
    fewer = json.loads(json.dumps(OWN_SPACE))
    del fewer["nodes"][1]["blocks"][0]["$one_of"][1]
    with pytest.raises(SearchError, match=r"its space is around-tiny \(\w{8}\), not fewer \(\w{8}\)"):
        check_library(request, space_of(fewer | {"name": "fewer"}))


def test_a_library_of_another_network_or_image_size_is_refused_before_the_search_begins(tmp_path: Path) -> None:
    library, parent = tmp_path / "library", parent_of(tmp_path)
    request = SettingsRequest(library=str(fake_library(library, parent, SPEC)), parent=str(parent))
    with pytest.raises(SearchError, match="its image size is 32x32, not 64x64"):
        check_library(request, space_of(OWN_SPACE | {"image": 64}))
    deeper = override(SPEC, ["stage1.depth=4"]).to_json()
    write_fake_weights(parent, FIELDS | {"spec": deeper}, {"validation": fake_named(0.9), "held": fake_named(0.9)})
    with pytest.raises(
        SearchError, match=r"is a library of parent\.safetensors, whose nodes are not those of .*; build"
    ):
        check_library(request, space_of(OWN_SPACE))
