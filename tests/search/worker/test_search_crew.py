"""Workers side by side: who measures while others hold still, what each may use, and that nothing is done twice."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from archdsl.errors import SearchError
from archdsl.search.loaded_data import DataRequest
from archdsl.search.loop.session import run_search
from archdsl.search.worker.machine_options import MachineOptions
from archdsl.search.worker.messages import MeasureRequest, MeasuringSetting
from archdsl.search.worker.pool import WorkerPool, device_names
from archdsl.search.worker.process import Failed
from archdsl.search.worker.request import Request
from archdsl.search.worker.training_messages import ScoreRequest
from tests.support.devices import fake_device
from tests.support.fake_worker import Machine, R
from tests.support.searching import RANDOM, quicken, search, settings


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def trials(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    return [record for record in lines if record["rung"] != "train_longer"]


def test_workers_train_side_by_side_and_no_network_twice(tmp_path: Path) -> None:
    """The first three trainings wait for each other: they would for ever, were they not side by side."""
    machine, together, waited = Machine(), threading.Barrier(3, timeout=60), [0]

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == "train" and waited[0] < 3:
            waited[0] += 1
            together.wait()

    machine.on_ask = on_ask
    result = run_search(
        settings(trials=9, latency_budget_ms=None),
        tmp_path / "run",
        new_worker=machine.worker,
        options=MachineOptions(workers=3),
        policy=RANDOM,
    )
    found = trials(tmp_path / "run")
    assert result.trials == 9
    assert sorted(record["number"] for record in found) == list(range(9))
    assert len({record["hash"] for record in found}) == 9
    assert result.verdict.passed


def test_one_of_many_workers_that_dies_costs_its_trial_alone(tmp_path: Path) -> None:
    machine = Machine()

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == "train" and len(machine.names("train")) == 3:
            raise Failed("out of memory")

    machine.on_ask = on_ask
    options = MachineOptions(workers=4)
    run_search(settings(trials=8), tmp_path / "run", new_worker=machine.worker, options=options, policy=RANDOM)
    assert len(trials(tmp_path / "run")) == 8
    assert [record["reason"] for record in trials(tmp_path / "run") if record["outcome"] == "failed"] == [
        "out of memory"
    ]


def test_an_interrupt_ends_all_workers_and_their_trials_are_tried_again(tmp_path: Path) -> None:
    machine = Machine()

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == "train" and len(machine.names("train")) == 5:
            raise KeyboardInterrupt

    machine.on_ask = on_ask
    first = run_search(
        settings(trials=12, latency_budget_ms=None),
        tmp_path / "run",
        new_worker=machine.worker,
        options=MachineOptions(workers=3),
        policy=RANDOM,
    )
    assert first.interrupted
    machine.on_ask = None
    before = trials(tmp_path / "run")
    assert search(tmp_path / "run", machine, resume=True, trials=12, latency_budget_ms=None).trials == 12
    assert trials(tmp_path / "run")[: len(before)] == before
    assert len({record["hash"] for record in trials(tmp_path / "run")}) == 12


SETTING = MeasuringSetting("cpu", 1, "float32", "eager", 1)
MEASURE = MeasureRequest({}, SETTING)
SCORE = ScoreRequest({}, DataRequest("fake", 32, 0, 10), 0, "cpu")


class Stub:
    """A worker that tells when it measures and when it is held."""

    def __init__(self, events: list[str], name: str) -> None:
        self.events, self.name = events, name

    def ask(self, request: Request[R], timeout_s: float, progress: Any = None) -> R:
        self.events.append(f"{self.name} {request.do}s")
        if self.name == "d":
            raise Failed("no GPU 3")
        device = fake_device("an H100" if self.name == "a" else "a T4", "cuda").as_json()
        facts: Any = {"provenance": device, "latency": {"samples_ms": [1.0], "provenance": device}}
        return request.reply({**facts, "scores": {}, "seconds": 0.0 if request.needs_quiet else {}})

    def hold(self, still: bool) -> None:
        self.events.append(f"{self.name} {'is held' if still else 'goes on'}")

    def stop(self) -> None:
        self.events.append(f"{self.name} stops")


def pool(device: str, count: int, events: list[str]) -> WorkerPool[str]:
    names = iter("abcd")
    return WorkerPool(
        settings(device=device), RANDOM.silence, MachineOptions(workers=count), lambda: Stub(events, next(names))
    )


def test_while_one_measures_those_on_its_device_hold_still() -> None:
    events: list[str] = []
    pool("cpu", 3, events).slots[1].ask(MEASURE, 1.0)
    assert events == ["a is held", "c is held", "b measures", "a goes on", "c goes on"]
    events.clear()
    pool("cpu", 2, events).slots[0].ask(SCORE, 1.0)
    pool("cuda", 2, events).slots[0].ask(MEASURE, 1.0)
    assert events == ["a scores", "a measures"]


def test_each_worker_has_a_gpu_of_its_own_unless_one_is_named() -> None:
    assert device_names("cuda", 3) == ["cuda:0", "cuda:1", "cuda:2"]
    assert device_names("cuda", 1) == ["cuda"]
    assert device_names("cuda:1", 2) == ["cuda:1", "cuda:1"]
    assert device_names("cpu", 2) == ["cpu", "cpu"]


def test_workers_on_unlike_or_missing_devices_are_refused() -> None:
    with pytest.raises(
        SearchError,
        match=r"the devices of the workers differ: a T4, an H100; choose one by its number, e.g. --device cuda:0",
    ):
        pool("cuda", 2, []).greeted()
    with pytest.raises(SearchError, match="worker 4 of 4: no GPU 3"):
        pool("cuda", 4, []).greeted()


def test_a_worker_asks_nothing_once_the_search_has_ended() -> None:
    events: list[str] = []
    ended = pool("cpu", 2, events)
    ended.stop()
    with pytest.raises(SearchError, match="the search ends"):
        ended.slots[0].ask(SCORE, 1.0)
    assert events == ["a stops", "b stops"]
