"""What ends a search: its trials, its time, and a space or a budget that leaves nothing more to try."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archdsl.errors import SearchError
from archdsl.search.policy.propose import DrawingPolicy
from archdsl.search.predict.predictors import Predictors
from archdsl.search.store.clock import Clock
from tests.support.fake_worker import Machine, latency_of
from tests.support.searching import RANDOM, SPACE, Lines, quicken, search, trials


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def test_a_space_that_is_exhausted_ends_the_search(tmp_path: Path) -> None:
    space = copy.deepcopy(SPACE)
    space["nodes"][0]["width"] = 16
    space["nodes"][1] = {"id": "stage1", "type": "mlp", "depth": {"$int": [1, 3]}}
    space["nodes"][2]["width"] = 32
    space["nodes"][3] = {"id": "stage2", "type": "mlp", "depth": 1}
    lines = Lines()
    policy = replace(RANDOM, drawing=DrawingPolicy(most_fruitless=1))
    result = search(tmp_path / "run", space=space, policy=policy, trials=50, watcher=lines)
    assert result.trials == 3
    assert result.verdict.passed
    assert "search space exhausted: the remaining networks are predicted to exceed the latency budget" in lines.told


def test_a_space_of_which_all_that_is_left_is_surely_too_slow_ends_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictors, "surely_too_slow", lambda self, spec, counted: latency_of(spec) > 2.0)
    lines = Lines()
    result = search(tmp_path / "run", latency_budget_ms=2.0, trials=500, watcher=lines)
    assert 0 < result.trials < 500
    assert all(trial.latency_ms is not None and trial.latency_ms <= 2.0 for trial in result.records)
    assert "search space exhausted: the remaining networks are predicted to exceed the latency budget" in lines.told


def test_static_budgets_that_no_network_keeps_are_an_error_and_leave_no_run(tmp_path: Path) -> None:
    with pytest.raises(
        SearchError, match=r"inside the budgets; params: the lowest of 300 networks drawn is [0-9,]+, the budget is 100"
    ):
        search(tmp_path / "run", params_budget=100.0)
    assert not (tmp_path / "run").exists()


def test_a_hopeless_latency_budget_ends_early_with_the_nearest_miss(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    result = search(tmp_path / "run", machine, latency_budget_ms=0.01, trials=None, time_s=600.0, watcher=lines)
    assert result.trials == RANDOM.giving_up.first + 1
    assert machine.names("train") == []
    assert "no network of this space comes near the budget of 0.01 ms" in lines.told[-1]
    assert not result.verdict.passed
    assert result.verdict.record == min(result.records, key=lambda trial: trial.latency_ms or 0.0)
    assert not (tmp_path / "run" / "winner.json").exists()
    assert json.loads((tmp_path / "run" / "front.json").read_text()) == []


def test_a_tight_budget_is_given_the_smallest_network(tmp_path: Path) -> None:
    result = search(tmp_path / "run", sampler="random", latency_budget_ms=1.6, trials=12, seed=2)
    assert [trial.outcome for trial in result.records[:6]] == ["fell"] * 5 + ["trained"]
    assert result.verdict.passed


def test_the_time_ends_the_search_and_leaves_some_for_the_winner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: hour[0])
    machine = Machine()
    machine.on_ask = lambda request: hour.__setitem__(0, hour[0] + 10.0)
    result = search(tmp_path / "run", machine, trials=None, time_s=200.0)
    assert result.verdict.passed
    assert 150 < sum(10 for request in machine.asked) <= 200
    assert [request["do"] for request in machine.asked][-1] == "measure"


def test_a_training_that_the_time_cuts_off_is_no_trial_and_is_tried_again(tmp_path: Path) -> None:
    machine = Machine()
    machine.finished = False
    result = search(tmp_path / "run", machine, trials=5, time_s=600.0)
    assert result.trials == 0
    more = f"archdsl search --out {tmp_path / 'run'} --resume --time 1200s"
    assert result.verdict.reason == f"the time limit was reached before the first trial ended; give more time: {more}"
    assert result.verdict.verdict == "UNSURE"
    cut = machine.names("train")
    again = Machine()
    search(tmp_path / "run", again, resume=True, trials=5, time_s=1200.0)
    assert again.names("train")[0] == cut[0]
    assert len(trials(tmp_path / "run")) == 5


def test_late_the_fastest_of_the_front_is_tried_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()

    def on_ask(request: dict[str, Any]) -> None:
        if machine.stopped and request["do"] == "measure":  # the search's worker is gone: the winner is measured
            machine.speed = 10.0
            monkeypatch.setattr(Clock, "left", -1.0)

    machine.on_ask = on_ask
    result = search(tmp_path / "run", machine, trials=12, time_s=600.0)
    attempts = result.verdict.attempts
    front = json.loads((tmp_path / "run" / "front.json").read_text())
    assert len(front) > 2
    assert [attempt.network_hash for attempt in attempts] == [
        front[0]["hash"],
        min(front[1:], key=lambda record: record["latency"])["hash"],
    ]
