"""Whole searches over formulas instead of networks: the ladder, its records, and the networks it tries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl import load_spec
from archdsl.errors import SearchError
from archdsl.language.canonical import canonical_hash
from archdsl.load.specs import spec_of
from archdsl.search import run as run_search
from archdsl.search.evaluate import measuring as ladder
from archdsl.search.store.clock import Clock
from archdsl.search.store.result import Result
from tests.support.fake_worker import Machine
from tests.support.searching import RANDOM, Lines, quicken, records, search, settings, trials

FIELDS = [
    "number",
    "hash",
    "spec",
    "rung",
    "outcome",
    "reason",
    "params",
    "macs",
    "latency",
    "inside_budget",
    "accuracy",
    "seconds",
    "provenance",
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Machine, Result, Lines]:
    """One search of sixty trials on a machine whose measurements are up to 5 % too slow."""
    folder, machine, lines = tmp_path_factory.mktemp("sixty") / "run", Machine(noise=0.05), Lines()
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch, folder / "cache")
        result = search(folder, machine, trials=60, latency_budget_ms=4.0, watcher=lines)
    return folder, machine, result, lines


def test_nothing_over_the_gate_is_trained(sixty: tuple[Path, Machine, Result, Lines]) -> None:
    folder, machine, _, _ = sixty
    limit = json.loads((folder / "noise.json").read_text())["gate_ms"]
    fell = [record for record in trials(folder) if record["rung"] == "latency"]
    passed = [record for record in trials(folder) if record["rung"] != "latency"]
    assert limit < 4.0
    assert fell
    assert len(fell) + len(passed) == 60
    assert all(record["latency"] > limit and record["accuracy"] is None for record in fell)
    assert all(record["latency"] <= limit and record["inside_budget"] for record in passed)
    assert not {record["spec"]["name"] for record in fell} & set(machine.names("train"))


def test_nine_of_ten_trained_networks_keep_the_budget_when_measured_again(
    sixty: tuple[Path, Machine, Result, Lines],
) -> None:
    folder, machine, _, _ = sixty
    passed = [record for record in trials(folder) if record["accuracy"] is not None]
    again = [
        ladder.measure(machine.worker(), spec_of(record["spec"]), settings(), RANDOM, Clock(settings(), RANDOM)).ms
        for record in passed
    ]
    assert sum(ms <= 4.0 for ms in again) >= 0.9 * len(again)


def test_no_network_is_tried_twice(sixty: tuple[Path, Machine, Result, Lines]) -> None:
    folder, machine, _, _ = sixty
    hashes = [canonical_hash(spec_of(record["spec"])) for record in trials(folder)]
    assert len(set(hashes)) == len(hashes) == 60
    assert hashes == [record["hash"] for record in trials(folder)]
    asked = [request for request in machine.asked if request["do"] == "train"]
    lengths = [(request["spec"]["name"], request["epochs"], request["seed"]) for request in asked]
    assert len(set(lengths)) == len(lengths)


def test_a_record_has_the_promised_fields(sixty: tuple[Path, Machine, Result, Lines]) -> None:
    folder, _, _, _ = sixty
    assert all(list(record) == FIELDS for record in records(folder))
    assert [record["number"] for record in trials(folder)] == list(range(60))
    trained = next(record for record in trials(folder) if record["outcome"] == "trained")
    assert trained["provenance"]["latency"]["samples"] == 120
    assert trained["provenance"]["latency"]["stat"] == "p10"
    assert trained["provenance"]["proxy"]["fidelity"] == "2 epochs of 10 images"


def test_the_winner_is_a_valid_spec_and_the_first_of_the_front(sixty: tuple[Path, Machine, Result, Lines]) -> None:
    folder, _, result, _ = sixty
    winner = load_spec(folder / "winner.json")
    front = json.loads((folder / "front.json").read_text())
    assert result.verdict.passed
    assert winner == spec_of(front[0]["spec"]) == result.winner
    assert json.loads((folder / "verdict.json").read_text())["name"] == winner.name
    assert all(record["inside_budget"] for record in front)
    assert result.verdict.latency is not None
    assert result.verdict.latency <= 4.0


def test_finalists_trained_longer_are_records_but_no_trials(sixty: tuple[Path, Machine, Result, Lines]) -> None:
    folder, _, result, _ = sixty
    longer = [record for record in records(folder) if record["rung"] == "train_longer"]
    assert len(longer) == 6 + 3 + 2  # the better half goes on with one seed more
    assert longer[0]["provenance"]["proxy"]["fidelity"] == "6 epochs of 10 images"
    assert result.trials == result.as_json()["trials"] == 60


def test_the_watcher_is_told_every_trial_and_where_candidates_ended(
    sixty: tuple[Path, Machine, Result, Lines],
) -> None:
    _, _, _, lines = sixty
    assert sum(line.startswith("trial ") for line in lines.told) == 60
    assert lines.state is not None
    ends = ("latency", "zero_cost", "halving", "trained")
    assert sum(lines.state.funnel[rung] for rung in ends) == 60
    assert lines.state.funnel["latency"]
    assert lines.state.funnel["trained"]


def test_without_a_latency_budget_nothing_is_gated(tmp_path: Path) -> None:
    result = search(tmp_path / "run", latency_budget_ms=None, params_budget=2e5, trials=4)
    assert result.verdict.passed
    assert all(record["outcome"] == "trained" and record["params"] <= 2e5 for record in trials(tmp_path / "run"))


def test_data_with_other_channels_and_classes_changes_the_networks(tmp_path: Path) -> None:
    machine = Machine()
    machine.channels, machine.classes = 1, 4
    search(tmp_path / "run", machine, trials=2)
    winner = load_spec(tmp_path / "run" / "winner.json")
    assert (winner.channels, winner.classes) == (1, 4)


def test_seeds_come_first_whatever_the_data(tmp_path: Path) -> None:
    machine = Machine()
    machine.channels = 1
    space = json.loads((Path(run_search.__code__.co_filename).parents[1] / "specs/spaces/lit-dat-64.json").read_text())
    search(tmp_path / "run", machine, space=space, trials=3, latency_budget_ms=1000.0)
    blocks = [[node["type"] for node in record["spec"]["nodes"]] for record in trials(tmp_path / "run")]
    assert [kinds[5] for kinds in blocks] == ["attention", "hilo", "hilo"]
    assert trials(tmp_path / "run")[2]["spec"]["nodes"][0]["patch"] == 2


def test_settings_of_the_device_reach_the_worker(tmp_path: Path) -> None:
    machine = Machine()
    how: dict[str, Any] = {"device": "cuda:1", "batch": 8, "dtype": "bfloat16", "runtime": "graph"}
    search(tmp_path / "run", machine, trials=1, **how)
    measured = [request["setting"] for request in machine.asked if request["do"] == "measure"]
    assert all(setting.items() >= {**how, "threads": None}.items() for setting in measured)
    assert next(request for request in machine.asked if request["do"] == "train")["device"] == "cuda:1"


def test_settings_that_make_no_sense_are_told(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="trials: Input should be greater than or equal to 1; got 0"):
        run_search("lit-dat-64", trials=0, device="cpu", out=tmp_path / "run")
    with pytest.raises(SearchError, match=r"give the folder of the run to resume \(out=\)"):
        run_search(resume=True)
