"""Whole searches over formulas instead of networks: the ladder, its limits, the folder, resuming, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from searching import Lines, Machine, quicken, search, settings

from archdsl import load_spec
from archdsl.errors import SearchError
from archdsl.load import spec_of
from archdsl.schema.canonical import canonical_hash
from archdsl.search import run as run_search
from archdsl.search.ladder import evolution, gate, proposals, trial, trying
from archdsl.search.ladder import rungs as ladder
from archdsl.search.results.clock import Clock
from archdsl.search.results.folder import RunExists, RunFolder
from archdsl.search.results.result import Result
from archdsl.search.study import samplers
from archdsl.search.workers.child import Failed, WorkerGone

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


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def trials(folder: Path) -> list[dict[str, Any]]:
    return [record for record in records(folder) if record["rung"] != "train_longer"]


def after(count: int, what: str, error: BaseException) -> tuple[Machine, Any]:
    """A machine on which the request of a kind fails, once, after so many that did not."""
    machine, left = Machine(), [count]

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == what:
            left[0] -= 1
            if left[0] == -1:
                raise error

    machine.on_ask = on_ask
    return machine, left


# ---------------------------------------------------------------------------------------------------------- the ladder


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
        ladder.measure(machine.worker(), spec_of(record["spec"]), settings(), Clock(settings())).ms for record in passed
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
    assert trained["provenance"]["latency"]["samples"] == 40
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
    how: dict[str, Any] = {"device": "cuda:1", "batch": 8, "dtype": "bfloat16", "mode": "graph"}
    search(tmp_path / "run", machine, trials=1, **how)
    measured = [request["setting"] for request in machine.asked if request["do"] == "measure"]
    assert all(setting == {**how, "threads": None} for setting in measured)
    assert next(request for request in machine.asked if request["do"] == "train")["device"] == "cuda:1"


# ---------------------------------------------------------------------------------------------------------- the limits


def test_a_space_that_is_exhausted_ends_the_search(tmp_path: Path) -> None:
    space = {**settings().space, "nodes": [dict(node) for node in settings().space["nodes"]]}
    space["nodes"][0]["width"] = 16
    space["nodes"][1] = {"id": "stage1", "type": "mlp", "depth": {"$int": [1, 3]}}
    space["nodes"][2]["width"] = 32
    space["nodes"][3] = {"id": "stage2", "type": "mlp", "depth": 1}
    lines = Lines()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proposals, "_MOST_FRUITLESS", 1)
        result = search(tmp_path / "run", space=space, trials=50, watcher=lines)
    assert result.trials == 3
    assert result.verdict.passed
    assert "every network that could be drawn from the space was tried" in lines.told


def test_static_budgets_that_no_network_keeps_are_an_error_and_leave_no_run(tmp_path: Path) -> None:
    with pytest.raises(
        SearchError, match=r"inside the budgets; params: [0-9,]+ is the least of 300 drawn, the budget 100"
    ):
        search(tmp_path / "run", params_budget=100.0)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_hopeless_latency_budget_ends_early_with_the_nearest_miss(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    result = search(tmp_path / "run", machine, latency_budget_ms=0.01, trials=None, time_s=600.0, watcher=lines)
    assert result.trials == gate.FIRST + 1
    assert machine.names("train") == []
    assert "nothing in this space comes near 0.01 ms" in lines.told[-1]
    assert not result.verdict.passed
    assert result.verdict.record == min(result.records, key=lambda record: record["latency"])
    assert not (tmp_path / "run" / "winner.json").exists()
    assert json.loads((tmp_path / "run" / "front.json").read_text()) == []


def test_a_tight_budget_is_given_the_smallest_network(tmp_path: Path) -> None:
    result = search(tmp_path / "run", sampler="random", latency_budget_ms=1.6, trials=12, seed=2)
    assert [record["outcome"] for record in result.records[:6]] == ["fell"] * 5 + ["trained"]
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
    assert result.verdict.reason == "there was no time for a trial"
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
    assert [attempt["hash"] for attempt in attempts] == [
        front[0]["hash"],
        min(front[1:], key=lambda record: record["latency"])["hash"],
    ]


# --------------------------------------------------------------------------------------------------------- the promise


def test_if_the_first_of_the_front_fails_the_next_is_tried(tmp_path: Path) -> None:
    machine = Machine()
    first: list[str] = []

    def on_ask(request: dict[str, Any]) -> None:
        if machine.stopped and request["do"] == "measure":
            first.append(request["spec"]["name"])
            machine.speed = 5.0 if request["spec"]["name"] == first[0] else 1.0

    machine.on_ask = on_ask
    result = search(tmp_path / "run", machine, trials=12)
    assert [attempt["passed"] for attempt in result.verdict.attempts] == [False, True]
    assert first.count(first[0]) == 8  # readings, each of which might have been disturbed
    assert load_spec(tmp_path / "run" / "winner.json").name != first[0]


def test_if_none_holds_there_is_no_winner_but_a_nearest_miss(tmp_path: Path) -> None:
    machine = Machine()
    search(tmp_path / "run", machine, trials=6)
    assert (tmp_path / "run" / "winner.json").exists()
    machine.stopped = 0

    def on_ask(request: dict[str, Any]) -> None:
        machine.speed = 10.0 if machine.stopped and request["do"] == "measure" else 1.0

    machine.on_ask = on_ask
    result = search(tmp_path / "run", machine, resume=True, trials=8)
    assert not result.verdict.passed
    assert result.winner is None
    assert result.verdict.latency == min(attempt["latency"] for attempt in result.verdict.attempts)
    assert not (tmp_path / "run" / "winner.json").exists()
    assert result.as_json()["nearest_miss"]["name"] == result.verdict.spec.name  # type: ignore[union-attr]


# ----------------------------------------------------------------------------------------------------- what goes wrong


def test_a_dead_worker_costs_its_trial_alone(tmp_path: Path) -> None:
    machine, _ = after(2, "train", WorkerGone("the worker was killed by SIGKILL"))
    result = search(tmp_path / "run", machine, trials=6)
    failed = [record for record in trials(tmp_path / "run") if record["outcome"] == "failed"]
    assert [(record["rung"], record["reason"]) for record in failed] == [("train", "the worker was killed by SIGKILL")]
    assert failed[0]["latency"] is not None
    assert result.trials == 6
    assert result.verdict.passed


def test_a_loss_that_is_no_number_fails_the_trial(tmp_path: Path) -> None:
    machine = Machine()
    machine.finite = False
    result = search(tmp_path / "run", machine, trials=3)
    assert {record["reason"] for record in result.records} == {"training gave no finite loss"}
    assert result.verdict.reason == "training gave no finite loss"
    assert not result.verdict.passed


def test_when_everything_fails_the_search_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "MOST_FAILURES", 3)
    machine, lines = Machine(), Lines()

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == "train":
            raise Failed("CUDA error: unspecified launch failure")

    machine.on_ask = on_ask
    result = search(tmp_path / "run", machine, trials=50, watcher=lines)
    assert result.trials == 3
    assert "the last 3 networks failed, the last one so: CUDA error" in lines.told[-1]


def test_an_interrupted_search_ends_with_what_there_is(tmp_path: Path) -> None:
    machine, _ = after(4, "train", KeyboardInterrupt())
    result = search(tmp_path / "run", machine, trials=50)
    assert result.interrupted
    assert result.verdict.passed
    assert result.trials == len(trials(tmp_path / "run"))
    assert load_spec(tmp_path / "run" / "winner.json") == result.winner


def test_sigterm_is_an_interrupt(tmp_path: Path) -> None:
    machine = Machine()
    before = signal.getsignal(signal.SIGTERM)

    def on_ask(request: dict[str, Any]) -> None:
        if len(machine.names("train")) == 2:
            machine.on_ask = None
            os.kill(os.getpid(), signal.SIGTERM)

    machine.on_ask = on_ask
    assert search(tmp_path / "run", machine, trials=50).interrupted
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_interrupt_stops_at_once(tmp_path: Path) -> None:
    machine = Machine()

    def on_ask(request: dict[str, Any]) -> None:
        if len(machine.names("train")) >= 2:
            raise KeyboardInterrupt

    machine.on_ask = on_ask
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "run", machine, trials=50)
    assert len(trials(tmp_path / "run")) == 1
    assert not (tmp_path / "run" / "verdict.json").exists()
    assert not search(tmp_path / "run", resume=True, trials=2).interrupted


# ------------------------------------------------------------------------------------------------------------ resuming


@pytest.mark.parametrize("sampler", ["auto", "gp"])
def test_an_interrupted_and_resumed_search_tries_what_an_uninterrupted_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    """In a database, by evolution and by the Gaussian process.

    Interrupted once by the user, and once by what is as good as a kill.
    """
    monkeypatch.undo()
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(samplers, "STARTUP", 5)
    monkeypatch.setattr(evolution, "LEAST", 4)
    asked_for: dict[str, Any] = {"trials": 12, "sampler": sampler}
    search(tmp_path / "whole", **asked_for)
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "other"))
    interrupted, _ = after(3, "train", KeyboardInterrupt())
    assert search(tmp_path / "parts", interrupted, **asked_for).interrupted
    killed, _ = after(2, "train", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        search(tmp_path / "parts", killed, resume=True, **asked_for)
    assert 3 < len(trials(tmp_path / "parts")) < 12
    search(tmp_path / "parts", resume=True, **asked_for)
    asked = [[record["hash"] for record in trials(tmp_path / name)] for name in ("whole", "parts")]
    assert asked[0] == asked[1]


def test_a_trial_that_was_recorded_but_not_told_is_told_on_resuming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = trial.tell

    def tell(*arguments: Any) -> None:
        if arguments[3]["number"] == 2:
            raise ZeroDivisionError
        told(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(trying, "tell", tell)
        with pytest.raises(ZeroDivisionError):
            search(tmp_path / "run", trials=4)
    machine = Machine()
    search(tmp_path / "run", machine, resume=True, trials=4)
    assert [record["number"] for record in trials(tmp_path / "run")] == [0, 1, 2, 3]
    assert machine.names("train")[0] == trials(tmp_path / "run")[3]["spec"]["name"]


def test_a_finished_run_gives_its_result_again_without_any_work(tmp_path: Path) -> None:
    before = search(tmp_path / "run", trials=4)
    files = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.name != "run.json"}
    machine = Machine()
    again = search(tmp_path / "run", machine, resume=True, trials=4)
    fewer = search(tmp_path / "run", machine, resume=True, trials=3)
    assert machine.asked == []
    assert again.as_json() == before.as_json()
    assert again.facts == before.facts
    assert fewer.verdict == before.verdict
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.name != "run.json"}


def test_a_finished_run_goes_on_with_more_trials(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=3)
    result = search(tmp_path / "run", resume=True, trials=5)
    assert result.trials == len(trials(tmp_path / "run")) == 5
    assert json.loads((tmp_path / "run" / "run.json").read_text())["trials"] == 5


def test_time_counts_over_all_resumes(tmp_path: Path) -> None:
    machine, _ = after(2, "train", KeyboardInterrupt())
    search(tmp_path / "run", machine, trials=None, time_s=1000.0)
    (tmp_path / "run" / "clock.json").write_text('{"seconds": 900}')
    again = Machine()
    search(tmp_path / "run", again, resume=True, trials=None, time_s=None)
    assert len(trials(tmp_path / "run")) == 2
    assert len(set(again.names("train"))) <= 2  # finalists


def test_a_last_line_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=3, latency_budget_ms=None)
    file = tmp_path / "run" / "trials.jsonl"
    whole = [line for line in file.read_bytes().splitlines() if b"train_longer" not in line]
    file.write_bytes(b"\n".join(whole)[:-20])
    result = search(tmp_path / "run", resume=True, trials=4, latency_budget_ms=None)
    assert result.trials == len(trials(tmp_path / "run")) == 4


def test_a_broken_line_in_the_middle_is_told_with_its_number(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=2)
    file = tmp_path / "run" / "trials.jsonl"
    file.write_bytes(b'{"num\n' + file.read_bytes())
    with pytest.raises(SearchError, match=r"trials\.jsonl:1: no record"):
        search(tmp_path / "run", resume=True, trials=3)


def test_other_settings_are_refused_on_resuming(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=1)
    with pytest.raises(
        SearchError, match=r"other settings: epochs: 2\.0 in the run, 3\.0 now; seed: 0 in the run, 1 now"
    ):
        run_search(out=tmp_path / "run", resume=True, seed=1, epochs=3.0)
    with pytest.raises(SearchError, match="space: 'tiny' with its content in the run, 'lit-dat-64'"):
        run_search("lit-dat-64", out=tmp_path / "run", resume=True)
    again = run_search(out=tmp_path / "run", resume=True, seed=0, device="cpu", dtype="fp32")
    assert again.trials == 1


def test_a_run_is_not_overwritten_and_none_is_not_resumed(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=1)
    with pytest.raises(RunExists, match="holds a run already; go on with --resume"):
        search(tmp_path / "run", trials=1)
    with pytest.raises(SearchError, match="holds no run to resume"):
        search(tmp_path / "other", resume=True)
    with pytest.raises(SearchError, match="holds no run to resume"):
        run_search(out=tmp_path / "other", resume=True)


def test_two_searches_do_not_work_in_one_folder(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=1)
    holder = RunFolder(tmp_path / "run")
    holder.begin(settings(trials=1), resume=True)
    with pytest.raises(SearchError, match="another search works in"):
        search(tmp_path / "run", resume=True)
    holder.release()
    search(tmp_path / "run", resume=True)


def test_a_folder_that_is_a_file_or_a_study_that_is_broken_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SearchError, match="cannot be written"):
        search(tmp_path / "file")
    monkeypatch.undo()
    search(tmp_path / "run", trials=1)
    (tmp_path / "run" / "study.db").write_bytes(b"no database" * 100)
    with pytest.raises(SearchError, match=r"study\.db: .*not a database"):
        search(tmp_path / "run", resume=True, trials=2)


# ----------------------------------------------------------------------------------------------------------- the cache


def test_another_run_takes_accuracies_from_the_cache_and_measures_again(tmp_path: Path) -> None:
    search(tmp_path / "one", trials=4)
    machine = Machine()
    result = search(tmp_path / "two", machine, trials=4)
    assert {record["outcome"] for record in result.records} == {"cached"}
    assert machine.names("train") == []
    assert len(machine.names("measure")) >= 4
    one, two = ([record["accuracy"] for record in records(tmp_path / name)] for name in ("one", "two"))
    assert one == two


def test_other_training_settings_and_damaged_entries_miss_the_cache(tmp_path: Path) -> None:
    search(tmp_path / "one", trials=2, latency_budget_ms=None)
    machine = Machine()
    search(tmp_path / "two", machine, trials=2, epochs=1.0, latency_budget_ms=None)
    assert len(set(machine.names("train"))) == 2
    for number, file in enumerate(sorted((tmp_path / "cache").rglob("*.json"))):
        file.write_text(["{", "[]", '{"accuracy": 1}'][number % 3])
    again = Machine()
    search(tmp_path / "three", again, trials=2, latency_budget_ms=None)
    assert len(set(again.names("train"))) == 2


def test_settings_that_make_no_sense_are_told(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="trials: Input should be greater than or equal to 1; got 0"):
        run_search("lit-dat-64", trials=0, device="cpu", out=tmp_path / "run")
    with pytest.raises(SearchError, match="name the run to resume by its folder"):
        run_search(resume=True)
