"""Earlier runs in a new study, and throughput as a promise."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from archdsl.cli import main
from archdsl.errors import SearchError, WrongUse
from archdsl.render.search import heading
from archdsl.search import run as run_search
from archdsl.search.defaults import settings_of
from archdsl.search.loop.session import run_search as run_settings
from archdsl.search.request import SettingsRequest
from archdsl.search.store.result import Result
from archdsl.search.worker.machine_options import MachineOptions
from tests.support.fake_worker import Machine
from tests.support.searching import SPACE, Lines, quicken, search, settings


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def trials(folder: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    return [record for record in records if record["rung"] != "train_longer"]


def narrower() -> dict[str, Any]:
    """The space without its widest stem, and with a depth more."""
    space = copy.deepcopy(SPACE)
    space["nodes"][0]["width"]["$one_of"] = [16, 32, 48]
    space["nodes"][1]["depth"]["$int"] = [1, 5]
    return space


def again(folder: Path, machine: Machine, lines: Lines, workers: int = 1, **changes: Any) -> Result:
    """A search of the changed space, in an empty cache, that knows the run in `old` beside it."""
    shutil.rmtree(folder.parent / "cache", ignore_errors=True)
    asked = settings(**{"space": narrower(), "trials": 4, "latency_budget_ms": 9.0, **changes})
    options, earlier = MachineOptions(workers), [str(folder.parent / "old")]
    return run_settings(asked, folder, watcher=lines, new_worker=machine.worker, options=options, earlier=earlier)


@pytest.mark.parametrize("workers", [1, 3])
def test_trials_of_another_space_are_known_where_they_are_points_of_this_one(tmp_path: Path, workers: int) -> None:
    search(tmp_path / "old", trials=12, latency_budget_ms=9.0)
    old = [record for record in trials(tmp_path / "old") if record["accuracy"] is not None]
    points = {record["hash"]: record for record in old if record["spec"]["nodes"][0]["width"] < 64}
    assert 0 < len(points) < len(old)
    machine, lines = Machine(), Lines()
    result = again(tmp_path / "new", machine, lines, workers)
    taken = [record for record in trials(tmp_path / "new") if "from" in record["provenance"]]
    assert {record["hash"] for record in taken} == points.keys()
    for record in taken:
        assert record["outcome"] == "cached"
        assert record["accuracy"] == points[record["hash"]]["accuracy"]
        assert record["spec"]["name"] in machine.names("measure")
    assert result.trials == 4
    assert len(trials(tmp_path / "new")) == 4 + len(taken)
    numbers = [record["number"] for record in trials(tmp_path / "new")]
    assert sorted(numbers) == list(range(len(numbers)))
    (told,) = [line for line in lines.told if "can be reused" in line]
    assert told.startswith(f"{tmp_path / 'old'}: {len(points)} of 12 trials can be reused; ")
    assert f"{len(old) - len(points)} are not in this space" in told


def test_a_latency_of_an_earlier_run_in_another_runtime_gates_nothing(tmp_path: Path) -> None:
    """Its trainings are taken over; every network is measured anew, in the runtime of this search."""
    search(tmp_path / "old", trials=6, latency_budget_ms=9.0, runtime="eager")
    machine = Machine()
    machine.speed = 0.5
    again(tmp_path / "new", machine, Lines(), trials=1, runtime="onnxruntime")
    taken = [record for record in trials(tmp_path / "new") if "from" in record["provenance"]]
    before = {record["hash"]: record["latency"] for record in trials(tmp_path / "old")}
    assert taken
    for record in taken:
        assert record["latency"] < 0.6 * before[record["hash"]]
        assert record["provenance"]["latency"]["provenance"]["runtime"] == "onnxruntime"
    measured = [request["setting"]["runtime"] for request in machine.asked if request["do"] == "measure"]
    assert {*measured} == {"onnxruntime"}


def test_what_was_trained_otherwise_is_not_known_and_that_is_told(tmp_path: Path) -> None:
    search(tmp_path / "old", trials=5, latency_budget_ms=None)
    lines = Lines()
    again(tmp_path / "new", Machine(), lines, epochs=1.0, latency_budget_ms=None)
    assert not any("from" in record["provenance"] for record in trials(tmp_path / "new"))
    (told,) = [line for line in lines.told if "can be reused" in line]
    assert "0 of 5 trials can be reused" in told
    assert "were trained differently (epochs 2.0 there, 1.0 here)" in told


def test_a_resumed_search_still_knows_what_it_took_over(tmp_path: Path) -> None:
    search(tmp_path / "old", trials=6, latency_budget_ms=9.0)
    first = again(tmp_path / "new", Machine(), Lines(), trials=2)
    content = json.loads((tmp_path / "new" / "known.json").read_text())
    asked = settings(space=narrower(), trials=4, latency_budget_ms=9.0)
    result = run_settings(asked, tmp_path / "new", resume=True, new_worker=Machine().worker)
    assert (first.trials, result.trials) == (2, 4)
    hashes = [record["hash"] for record in trials(tmp_path / "new")]
    assert len(set(hashes)) == len(hashes)
    assert content["origins"].keys() <= set(hashes)


def test_a_folder_without_a_run_is_refused_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=r"^no such folder: .*nothing; give the folder of a run to reuse$"):
        run_search("lit-dat-64", device="cpu", out=tmp_path / "new", earlier=[tmp_path / "nothing"])
    assert not (tmp_path / "new").exists()
    with pytest.raises(WrongUse, match="when a run begins"):
        run_search(out=tmp_path / "new", resume=True, earlier=[tmp_path / "old"])


# ---------------------------------------------------------------------------------------------------------- throughput


def asked(budgets: list[dict[str, Any]], **changes: Any) -> Any:
    from archdsl.load.spaces import space_of

    return settings_of(space_of({**SPACE, "budgets": budgets}), SettingsRequest(device="cpu", **changes))


def test_a_throughput_is_a_latency_at_the_batch() -> None:
    budget = {"metric": "throughput", "min": 0.2, "unit": "K/s", "batch": 8, "stat": "p50"}
    found = asked([budget])
    assert (found.latency_budget_ms, found.throughput_budget) == (40.0, 200.0)
    assert (found.batch, found.stat) == (8, "p50")
    assert asked([budget], batch=4).latency_budget_ms == 20.0
    assert asked([budget], throughput_budget=100.0).latency_budget_ms == 80.0
    over = asked([budget], latency_budget_ms=5.0)
    assert (over.latency_budget_ms, over.throughput_budget) == (5.0, None)
    assert "p50 <= 40 ms (200 images/s, from the space), batch 8" in heading(found, None)


def test_one_promise_is_given_latency_or_throughput(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = ["--latency-budget", "5ms", "--throughput-budget", "200/s"]
    assert main(["search", "lit-dat-64", "--device", "cpu", "--out", str(tmp_path / "run"), *both]) == 2
    assert "give one of the two" in capsys.readouterr().err
    assert main(["search", "lit-dat-64", "--throughput-budget", "200"]) == 2
    assert "write e.g. 200/s, 1.5K/s" in capsys.readouterr().err
