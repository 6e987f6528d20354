"""A search with a trained parent: what inherits is fine-tuned, ranked with its like, and finished from the parent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archdsl.language.canonical import canonical_hash
from archdsl.load.specs import spec_of
from archdsl.search.api import parent_notes
from archdsl.search.policy import SHIPPED
from archdsl.search.report import read_report
from archdsl.search.store.result import Result
from tests.support.fake_worker import Machine, latency_of
from tests.support.parent_files import parent_file
from tests.support.searching import SPACE, Lines, quicken, records, search, settings, trials


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


@pytest.fixture
def parent(tmp_path: Path) -> str:
    return parent_file(tmp_path)


def with_parent(folder: Path, parent: str, machine: Machine | None = None, **changes: Any) -> Result:
    return search(folder, machine, parent=parent, **changes)


def test_candidates_inherit_and_are_named_so(tmp_path: Path, parent: str) -> None:
    machine = Machine()
    result = with_parent(tmp_path / "run", parent, machine)
    trained = [trial for trial in trials(tmp_path / "run") if trial["accuracy"] is not None]
    proxies = [trial["provenance"]["proxy"] for trial in trained]
    assert trained
    assert all(proxy["parent"] == "a" * 64 and proxy["inherited_loss"] == 1.0 for proxy in proxies)
    assert all(proxy["fidelity"].startswith("inheritance and") for proxy in proxies)
    assert result.verdict.passed
    assert not machine.names("score")


def test_a_parent_is_prepared_once(tmp_path: Path, parent: str) -> None:
    with_parent(tmp_path / "run", parent, trials=2)
    again = Machine()
    search(tmp_path / "run", again, resume=True, parent=parent, trials=4)
    assert len(trials(tmp_path / "run")) == 4
    assert not [request for request in again.asked if request["do"] == "parent"]


def test_a_share_of_the_parents_latency_becomes_milliseconds(tmp_path: Path, parent: str) -> None:
    lines = Lines()
    search(tmp_path / "run", parent=parent, latency_budget_ms=None, latency_share=0.6, watcher=lines)
    written = json.loads((tmp_path / "run" / "run.json").read_text())
    whole = json.loads((tmp_path / "run" / "parent.json").read_text())
    assert written["latency_budget_ms"] == pytest.approx(0.6 * whole["latency_ms"], rel=1e-4)
    assert any("the budget of 60 % of it is" in line for line in lines.told)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"latency_share": 1.5}, "150 % of the parent's latency, is above that latency: the parent itself meets it"),
        ({"time_s": 25.0}, "25 s are short: the parent is brought to the data and measured first"),
        ({"latency_share": 1.0, "time_s": 600.0}, None),
    ],
)
def test_a_loose_budget_and_a_short_time_are_told_at_the_start(
    parent: str, changes: dict[str, Any], said: str | None
) -> None:
    notes = parent_notes(settings(**{"latency_budget_ms": None, "parent": parent, **changes}))
    assert len(notes) == (said is not None)
    assert said is None or said in notes[0]


def test_a_resumed_search_keeps_the_milliseconds(tmp_path: Path, parent: str) -> None:
    asked: dict[str, Any] = {"parent": parent, "latency_budget_ms": None, "latency_share": 0.6}
    search(tmp_path / "run", trials=2, **asked)
    before = json.loads((tmp_path / "run" / "run.json").read_text())["latency_budget_ms"]
    slower = Machine()
    slower.speed = 2.0
    search(tmp_path / "run", slower, resume=True, trials=3, **asked)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["latency_budget_ms"] == before


def narrow_only(spec: object) -> str | None:
    return "it is wider than the parent" if '"width": 16' not in json.dumps(spec.to_json()) else None  # type: ignore[attr-defined]


def test_accuracies_of_both_kinds_stand_in_no_one_ranking(tmp_path: Path, parent: str) -> None:
    machine = Machine()
    machine.why_not = narrow_only
    result = with_parent(tmp_path / "run", parent, machine, trials=25, latency_budget_ms=9.0)
    proxies = [trial["provenance"].get("proxy", {}) for trial in trials(tmp_path / "run")]
    reasons = [proxy["not_inherited"] for proxy in proxies if "not_inherited" in proxy]
    assert set(reasons) == {"it is wider than the parent"}
    assert any("parent" in proxy for proxy in proxies)
    longer = [record for record in records(tmp_path / "run") if record["rung"] == "train_longer"]
    kinds = ["parent" in record["provenance"]["proxy"] for record in longer]
    assert True in kinds
    assert False in kinds
    steps = {record["provenance"]["proxy"]["epochs"] for record in longer}
    assert len(steps) == 1  # after equally many epochs
    assert result.verdict.passed


def test_a_short_search_trains_only_what_inherits_once_something_did(tmp_path: Path, parent: str) -> None:
    machine = Machine()
    machine.why_not = narrow_only
    result = with_parent(tmp_path / "run", parent, machine, trials=25, latency_budget_ms=9.0, time_s=600.0)
    kinds = [(trial["rung"], trial["outcome"]) for trial in trials(tmp_path / "run")]
    inherited = [trial["provenance"].get("proxy", {}).get("parent") is not None for trial in trials(tmp_path / "run")]
    first = inherited.index(True)
    assert ("train", "trained") in kinds[: first + 1]
    assert ("inheritance", "fell") in kinds[first:]
    assert all(is_heir for is_heir, kind in zip(inherited[first:], kinds[first:], strict=True) if kind[0] == "train")
    fell = next(trial for trial in trials(tmp_path / "run") if trial["rung"] == "inheritance")
    assert fell["reason"] == (
        "it is wider than the parent, and initial weights are for searches of 20 minutes and longer"
    )
    assert result.verdict.passed


def test_finalists_that_inherited_are_tuned_for_as_long_as_there_is_time(tmp_path: Path, parent: str) -> None:
    machine = Machine()
    with_parent(tmp_path / "run", parent, machine, trials=8, latency_budget_ms=9.0, time_s=600.0)
    longer = [record for record in records(tmp_path / "run") if record["rung"] == "train_longer"]
    epochs = {record["provenance"]["proxy"]["epochs"] for record in longer}
    assert epochs == {SHIPPED.inheritance.most_epochs}  # a step of these takes no time


@pytest.mark.parametrize("runtime", ["onnxruntime", "eager"])
def test_what_keeps_too_little_of_its_parent_is_not_even_measured(tmp_path: Path, parent: str, runtime: str) -> None:
    machine, run = Machine(), tmp_path / "run"
    policy = replace(SHIPPED, inheritance=replace(SHIPPED.inheritance, enough_scored=3))
    machine.loss_of = lambda spec: 1 + int(canonical_hash(spec), 16) % 100 / 100
    changes: dict[str, Any] = {"latency_budget_ms": 20.0, "time_s": 600.0, "runtime": runtime}
    result = with_parent(run, parent, machine, policy=policy, trials=20, **changes)
    assert result.verdict.passed
    scored = [trial for trial in trials(run) if "scores" in trial["provenance"]]
    losses = [trial["provenance"]["scores"]["inherited_loss"] for trial in scored]
    fell = [trial for trial in scored if trial["rung"] == "inherited_loss"]
    assert 0 < len(fell) < len(scored)
    for trial in fell:
        place = scored.index(trial)
        rivals = [
            loss for loss, other in zip(losses[:place], scored[:place], strict=True) if other["macs"] <= trial["macs"]
        ]
        assert len(rivals) >= 3
        assert sum(loss < losses[place] for loss in rivals) >= len(rivals) / 4
        assert (trial["latency"], trial["accuracy"]) == (None, None)
        assert "after inheriting is above" in trial["reason"]
    names = {trial["spec"]["name"] for trial in fell}
    assert not names & {*machine.names("train"), *machine.names("candidate"), *machine.names("measure")}
    assert len(trials(run)) == result.trials == 20


def test_where_nothing_can_inherit_all_are_trained_anew(tmp_path: Path, parent: str) -> None:
    machine, lines = Machine(), Lines()
    machine.why_not = lambda spec: "its patches have another size than the parent's"
    result = with_parent(tmp_path / "run", parent, machine, trials=12, latency_budget_ms=20.0, watcher=lines)
    assert sum("no network could inherit from the parent" in line for line in lines.told) == 1
    asked = [request["inheriting"] for request in machine.asked if request["do"] == "train"]
    assert any(asked)
    assert not all(asked)
    assert result.verdict.passed


def test_the_winners_file_is_that_of_its_training(tmp_path: Path, parent: str) -> None:
    result = with_parent(tmp_path / "run", parent)
    assert result.verdict.accuracy is not None
    assert (tmp_path / "run" / "winner.safetensors").is_file()
    assert latency_of(result.winner) <= 6.0


def test_a_winners_weights_that_are_gone_are_inherited_again(tmp_path: Path, parent: str) -> None:
    import shutil

    machine = Machine()
    removed: list[bool] = []

    def on_ask(request: dict[str, object]) -> None:
        if request["do"] == "train" and request["inheriting"] and len(machine.names("train")) == 12:
            shutil.rmtree(tmp_path / "run" / "weights", ignore_errors=True)
            removed.append(True)

    machine.on_ask = on_ask
    with_parent(tmp_path / "run", parent, machine, trials=12)
    assert removed
    assert (tmp_path / "run" / "winner.safetensors").is_file()


def test_a_parent_inside_the_budget_is_a_candidate_itself(tmp_path: Path, parent: str) -> None:
    document = json.loads(json.dumps(SPACE))
    document["nodes"][0]["width"] = {"$one_of": [16, 32], "$name": "w"}  # so that the parent is no point of it
    lines = Lines()
    result = with_parent(tmp_path / "run", parent, space=document, latency_budget_ms=50.0, trials=4, watcher=lines)
    mine = [trial for trial in trials(tmp_path / "run") if trial["provenance"].get("from") == "parent"]
    assert len(mine) == 1
    assert mine[0]["accuracy"] is not None
    assert result.trials == 4
    assert any("keeps the budget of 50 ms itself" in line for line in lines.told)


def test_a_parent_far_over_the_budget_is_not_tried(tmp_path: Path, parent: str) -> None:
    document = json.loads(json.dumps(SPACE))
    document["nodes"][0]["width"] = {"$one_of": [16, 32], "$name": "w"}
    with_parent(tmp_path / "run", parent, space=document, latency_budget_ms=3.0, trials=4)
    assert not [trial for trial in trials(tmp_path / "run") if trial["provenance"].get("from") == "parent"]


def test_the_report_tells_what_the_winner_inherited(tmp_path: Path, parent: str) -> None:
    with_parent(tmp_path / "run", parent)
    report = read_report(tmp_path / "run")
    assert report.inherited == [("stem", "<- stem", "2 copied"), ("head", "new", "2 new")]
    assert report.verdict.parent is not None
    assert report.verdict.parent.accuracy.accuracy == 0.9
    page = (tmp_path / "run" / "report.html").read_text()
    assert "its parent" in page
    assert "2 copied" in page


def test_a_parent_that_is_a_point_of_the_space_is_measured_once(tmp_path: Path, parent: str) -> None:
    machine = Machine()
    with_parent(tmp_path / "run", parent, machine, latency_budget_ms=50.0, trials=6)
    spec = spec_of(json.loads((tmp_path / "run" / "parent.json").read_text())["spec"])
    mine = next(trial for trial in trials(tmp_path / "run") if trial["hash"] == canonical_hash(spec))
    assert mine["latency"] == json.loads((tmp_path / "run" / "parent.json").read_text())["latency_ms"]
    asked = [request["spec"] for request in machine.asked if request["do"] == "measure" and not request.get("weights")]
    before_finals = [each for each in asked if canonical_hash(spec_of(each)) == canonical_hash(spec)]
    assert len(before_finals) == 1
