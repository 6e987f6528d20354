"""The proxy check as it runs: what it trains, what it keeps, how it is resumed and when it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archdsl.errors import SearchError, WrongUse
from archdsl.search.policy import Policy
from archdsl.search.proxy_check import check as proxy_check
from archdsl.search.proxy_check.api import checked_proxies
from archdsl.search.proxy_check.check import check
from archdsl.search.proxy_check.result import CheckResult, RankedNetwork
from archdsl.search.proxy_check.sample import sample
from archdsl.search.store.folder import RunExists
from tests.support.fake_worker import Machine
from tests.support.proxy_checks import asked, ranking_of
from tests.support.searching import SPACE, quicken, settings


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def ranked(result: CheckResult) -> tuple[RankedNetwork, ...]:
    return ranking_of(result.judgement).networks


def test_a_check_trains_every_network_with_every_seed_once(tmp_path: Path) -> None:
    machine = Machine()
    found = check(asked(), tmp_path / "check", new_worker=machine.worker)
    assert (found.judgement.trained, found.judgement.failed, found.complete, found.interrupted) == (10, 0, True, False)
    names = machine.names("train")
    assert len(names) == 30
    assert len(set(names)) == 10
    asked_for = [(request["seed"], request["epochs"]) for request in machine.asked if request["do"] == "train"]
    assert asked_for == [(0, 2.0), (1, 2.0), (2, 0.4)] * 10
    assert machine.names("score") == names[::3]
    assert not machine.names("measure")
    assert json.loads((tmp_path / "check" / "proxy_check.json").read_text()) == found.as_json()


def test_a_check_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    machine = Machine()
    whole = check(asked(), tmp_path / "whole", new_worker=machine.worker)
    file = tmp_path / "whole" / "networks.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:4]) + lines[4][:50])
    again = Machine()
    found = check(asked(), tmp_path / "whole", resume=True, new_worker=again.worker)
    assert len(again.names("score")) == 6
    assert again.names("train") == []  # the results are in the cache
    assert ranked(found) == ranked(whole)


def test_what_an_earlier_version_did_not_train_shortly_is_made_up_for(tmp_path: Path) -> None:
    whole = check(asked(), tmp_path / "check", new_worker=Machine().worker)
    file = tmp_path / "check" / "networks.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({k: v for k, v in r.items() if k != "short"}) + "\n" for r in records))
    machine = Machine()
    found = check(asked(), tmp_path / "check", resume=True, new_worker=machine.worker)
    assert not machine.names("score")
    assert ranked(found) == ranked(whole)
    assert [json.loads(line)["short"]["accuracy"] for line in file.read_text().splitlines()]


def test_a_check_of_an_earlier_version_that_knew_fewer_settings_can_be_resumed(tmp_path: Path) -> None:
    check(asked(8), tmp_path / "check", new_worker=Machine().worker)
    file = tmp_path / "check" / "check.json"
    written = json.loads(file.read_text())
    del written["settings"]["sampler"]
    file.write_text(json.dumps(written))
    assert check(asked(9), tmp_path / "check", resume=True, new_worker=Machine().worker).judgement.trained == 9


def test_more_networks_can_be_asked_for_later(tmp_path: Path) -> None:
    check(asked(8), tmp_path / "check", new_worker=Machine().worker)
    machine = Machine()
    found = check(asked(12), tmp_path / "check", resume=True, new_worker=machine.worker)
    assert found.judgement.trained == 12
    assert len(machine.names("score")) == 4


def test_a_check_of_an_earlier_version_that_called_the_runtime_mode_can_be_resumed(tmp_path: Path) -> None:
    check(asked(8), tmp_path / "check", resume=False, new_worker=Machine().worker)
    file = tmp_path / "check" / "check.json"
    kept = json.loads(file.read_text())
    kept["settings"]["mode"] = kept["settings"].pop("runtime")
    file.write_text(json.dumps(kept))
    assert check(asked(9), tmp_path / "check", resume=True, new_worker=Machine().worker).judgement.trained == 9
    assert json.loads(file.read_text())["settings"]["runtime"] == "eager"


def test_a_check_is_resumed_as_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tiny.json"
    file.write_text(json.dumps(SPACE))
    machine = Machine()
    monkeypatch.setattr(proxy_check.check, "__defaults__", (False, lambda text: None, machine.worker))
    first = checked_proxies(file, networks=8, seeds=3, macs_budget=4e6, device="cpu", out=tmp_path / "check")
    again = checked_proxies(networks=9, out=tmp_path / "check", resume=True)
    assert (first.asked.seeds, first.asked.budgets) == (3, {"MACs": 4e6})
    assert first.asked.epochs == 720.0  # 450 steps of 16 of the 10 images
    assert again.asked == replace(first.asked, networks=9)
    assert len(machine.names("train")) == 36
    with pytest.raises(WrongUse, match="other settings: --seeds: 3 in the run, 2 now; leave this out"):
        checked_proxies(seeds=2, out=tmp_path / "check", resume=True)
    with pytest.raises(WrongUse, match='other settings: SPACE, name: "tiny" in the run, "lit-dat-64" now'):
        checked_proxies("lit-dat-64", out=tmp_path / "check", resume=True)
    with pytest.raises(SearchError, match=r"^no such folder: .*; give the folder of a check to resume$"):
        checked_proxies(out=tmp_path / "none", resume=True)
    with pytest.raises(WrongUse, match=r"give the folder of the check to resume \(out=\)"):
        checked_proxies(resume=True)
    with pytest.raises(WrongUse, match="networks: Input should be greater than or equal to 8; got 3"):
        checked_proxies(file, networks=3, device="cpu", out=tmp_path / "few")


DRAWING = Policy().drawing


def test_a_longer_sample_begins_with_the_shorter_one() -> None:
    asked_for = settings()
    short, longer = (sample(asked_for.space_document, asked_for, DRAWING, count) for count in (5, 9))
    assert [found.network_hash for found in longer[:5]] == [found.network_hash for found in short]
    assert len({found.network_hash for found in longer}) == 9
    other = settings(seed=1)
    assert sample(other.space_document, other, DRAWING, 5) != short


def test_a_sample_keeps_the_static_budgets() -> None:
    asked_for = settings(macs_budget=4e6)
    assert all(found.counted.macs <= 4e6 for found in sample(asked_for.space_document, asked_for, DRAWING, 9))
    none = settings(macs_budget=10)
    with pytest.raises(SearchError, match="no network of the space 'tiny' is inside the budgets"):
        sample(none.space_document, none, DRAWING, 5)


def test_a_space_with_fewer_networks_than_asked_for_is_checked_on_all_of_them(tmp_path: Path) -> None:
    nodes = [{**SPACE["nodes"][0], "width": 16}, *SPACE["nodes"][1:2], {"id": "head", "type": "mean_head"}]
    asked_for = asked(50, space={**SPACE, "nodes": nodes})
    found = check(asked_for, tmp_path / "check", new_worker=Machine().worker)
    assert (found.judgement.trained, found.complete) == (8, True)


def test_another_check_in_the_folder_is_refused(tmp_path: Path) -> None:
    check(asked(8), tmp_path / "check", new_worker=Machine().worker)
    with pytest.raises(RunExists, match="already holds a check; continue it with --resume"):
        check(asked(8), tmp_path / "check", new_worker=Machine().worker)
    with pytest.raises(WrongUse, match="a check with other settings: --epochs: 2 in the run, 4 now"):
        check(asked(8, epochs=4.0), tmp_path / "check", resume=True, new_worker=Machine().worker)
    with pytest.raises(SearchError, match=r"^no such folder: .*; give the folder of a check to resume$"):
        check(asked(8), tmp_path / "none", resume=True, new_worker=Machine().worker)


def test_networks_that_fail_are_counted_and_left_out(tmp_path: Path) -> None:
    machine = Machine()
    machine.finite = False
    found = check(asked(8), tmp_path / "check", new_worker=machine.worker)
    assert (found.judgement.trained, found.judgement.failed) == (0, 8)
    assert found.judgement.refused == "0 networks were trained; a ranking needs at least 8"


def test_what_is_there_when_time_is_over_is_judged(tmp_path: Path) -> None:
    machine = Machine()
    machine.finished = False  # as a training whose deadline came
    found = check(asked(8, time_s=0.5), tmp_path / "check", new_worker=machine.worker)
    assert (found.judgement.trained, found.complete) == (0, False)


def test_an_interrupted_check_tells_so_and_keeps_its_networks(tmp_path: Path) -> None:
    machine = Machine()

    def interrupt(request: Any) -> None:
        if len(machine.names("score")) == 9:
            raise KeyboardInterrupt

    machine.on_ask = interrupt
    found = check(asked(10), tmp_path / "check", new_worker=machine.worker)
    assert (found.judgement.trained, found.complete, found.interrupted) == (8, False, True)
