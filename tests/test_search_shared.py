"""A study shared by many processes in a real PostgreSQL: nothing twice, nothing lost, and roles."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from postgres import server
from searching import Machine, accuracy_of, quicken, search, settings

from archdsl.cli import main
from archdsl.errors import SearchError, WrongUse
from archdsl.load import spec_of
from archdsl.schema.variables import variables
from archdsl.search.ladder import trying
from archdsl.search.report import read_report
from archdsl.search.results.result import Result
from archdsl.search.runner import run_search
from archdsl.search.study import heart
from archdsl.search.study.shared import Shared, address, name_of
from archdsl.search.study.storage import shown
from archdsl.search.workers.means import Means
from archdsl.spaces import space_of

pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")

MACHINES = """
import json, os, sys, time
from pathlib import Path
from searching import Machine, evolution, ladder, samplers, settings
from archdsl.search.study import heart, shared
from archdsl.search.ladder import trying
from archdsl.search.workers.means import Means
from archdsl.search.runner import run_search

shared.RDBStorage("sqlite://").engine.dispose()  # what a database needs is imported once for all
samplers.STARTUP, evolution.LEAST, ladder.PAUSE_S = 1000, 1000, 0.0
heart.BEAT_S, heart.GRACE_S, trying.POLL_S = 1, 3, 0.3

def join(url, folder, role, hangs, earlier, asked):
    os.environ["ARCHDSL_CACHE"] = folder + "-cache"
    machine = Machine()

    def on_ask(request):
        if request["do"] == "train":
            if hangs and len(machine.names("train")) == 2:
                print(request["spec"]["name"], flush=True)
                time.sleep(600)
            time.sleep(0.1)

    machine.on_ask = on_ask
    means = Means(storage=url, role=role)
    run_search(settings(**asked), Path(folder), new_worker=machine.worker, means=means, earlier=earlier)
    names = {action: machine.names(action) for action in ("measure", "train")}
    Path(folder + ".json").write_text(json.dumps(names))

started = {}
for place, one in enumerate(json.loads(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            join(**one)
            status = 0
        except Exception as error:
            print(error, file=sys.stderr, flush=True)
        os._exit(status)
    started[pid] = place
print(json.dumps(list(started)), flush=True)
ended = [None] * len(started)
for _ in range(len(started)):
    pid, status = os.wait()
    ended[started[pid]] = os.waitstatus_to_exitcode(status)
print(json.dumps(ended), flush=True)
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with server() as database:
        yield database.url


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(trying, "POLL_S", 0.05)
    monkeypatch.setattr(heart, "BEAT_S", 1)
    monkeypatch.setattr(heart, "GRACE_S", 3)


def trials(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    return [record for record in lines if record["rung"] != "train_longer"]


@contextmanager
def machines(*jobs: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """Processes that join a study, as other machines would; they are forked from one, which tells of them."""
    place = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", MACHINES, json.dumps(jobs)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=place, start_new_session=True)
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.communicate()


def job(url: str, folder: Path, trials: int, role: str = "both", seed: int = 0, **more: Any) -> dict[str, Any]:
    """What one of them does."""
    asked = {"trials": trials, "time_s": 240.0, "latency_budget_ms": None, "seed": seed}
    one = {"url": url, "folder": str(folder), "role": role, "hangs": False, "earlier": [], "asked": asked}
    return one | more


def names(folder: Path) -> dict[str, list[str]]:
    """What one of them was asked to measure and to train."""
    found: dict[str, list[str]] = json.loads(Path(f"{folder}.json").read_text())
    return found


def open_study(url: str, **changes: Any) -> Shared:
    asked = settings(**changes)
    space = space_of(asked.space)
    return Shared(url, name_of(asked), variables(space.nodes), space.objectives, asked.seed)


def test_four_workers_share_a_study_and_one_that_is_killed_costs_no_finished_trial(
    postgres: str, tmp_path: Path
) -> None:
    """The killed worker's network is tried by another, once it has been silent."""
    jobs = [job(postgres, tmp_path / str(number), 8, hangs=number == 0) for number in range(4)]
    with machines(*jobs) as workers:
        assert workers.stdout is not None
        pids, lost = sorted(workers.stdout.readline().strip() for _ in range(2))
        os.kill(json.loads(pids)[0], signal.SIGKILL)
        assert json.loads(workers.communicate(timeout=300)[0]) == [-signal.SIGKILL, 0, 0, 0]
    told = [names(tmp_path / str(number)) for number in range(1, 4)]
    found = [{record["hash"]: record for record in trials(tmp_path / str(number))} for number in range(1, 4)]
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 8
    assert {record["outcome"] for record in found[0].values()} == {"trained"}
    assert len({record["number"] for record in found[0].values()}) == 8
    before = {record["hash"]: record for record in trials(tmp_path / "0")}
    assert before
    assert before.items() <= found[0].items()
    assert sum(lost in one["train"] for one in told) >= 1
    assert lost in [record["spec"]["name"] for record in found[0].values()]
    study = open_study(postgres, trials=8, latency_budget_ms=None)
    try:
        states = [trial.state for trial in study._study.get_trials()]
        assert states.count(TrialState.COMPLETE) == 8
        assert TrialState.RUNNING not in states
    finally:
        study.close()


def run(url: str, folder: Path, machine: Machine, role: str = "both", **changes: Any) -> Result:
    means = Means(storage=url, role=role)  # type: ignore[arg-type]
    return run_search(settings(**changes), folder, new_worker=machine.worker, means=means)


@pytest.fixture(scope="module")
def shared_out(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A machine that measures, and knows an earlier run, and one that trains: their folders, what they were asked."""
    place = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch, place / "cache")
        search(place / "old", trials=3, latency_budget_ms=None, seed=11)
    one = job(postgres, place / "measure", 6, "measure", seed=11, earlier=[str(place / "old")])
    with machines(one, job(postgres, place / "train", 6, "train", seed=11)) as started:
        assert json.loads(started.communicate(timeout=300)[0].splitlines()[-1]) == [0, 0]
    return place, {role: names(place / role) for role in ("measure", "train")}


def test_one_machine_measures_while_another_trains(shared_out: tuple[Path, dict[str, Any]]) -> None:
    place, asked = shared_out
    verdicts = {role: json.loads((place / role / "verdict.json").read_text()) for role in asked}
    assert asked["measure"]["train"] == []
    assert asked["train"]["measure"] == []
    assert verdicts["measure"]["passed"]
    assert verdicts["train"]["reason"] == "this machine trained; those that measure choose the winner"
    assert verdicts["measure"]["trials"] == verdicts["train"]["trials"] == 6
    trained = [record for record in trials(place / "measure") if record["outcome"] == "trained"]
    assert len(trained) == 6
    for record in trained:
        assert record["accuracy"] == accuracy_of(spec_of(record["spec"]))
        assert record["spec"]["name"] in asked["train"]["train"]


def test_what_one_machine_knows_of_an_earlier_run_is_not_trained_by_another(
    shared_out: tuple[Path, dict[str, Any]],
) -> None:
    place, asked = shared_out
    old = {record["hash"]: record["accuracy"] for record in trials(place / "old")}
    for role in asked:
        known = [record for record in trials(place / role) if "from" in record["provenance"]]
        assert {record["hash"]: record["accuracy"] for record in known} == old
        assert {record["outcome"] for record in known} == {"cached"}
        assert {record["provenance"]["from"] for record in known} == {str(place / "old")}
        assert not {record["spec"]["name"] for record in known} & set(asked["train"]["train"])


def test_the_report_reads_a_shared_study_without_the_server(shared_out: tuple[Path, dict[str, Any]]) -> None:
    place, asked = shared_out
    for role in asked:
        report = read_report(place / role)
        assert report.refused == ""
        assert len(report.trials) == 9
        assert [importance.trials for importance in report.importance] == [9, 9]
        assert (place / role / "report.html").exists()
    storage = RDBStorage(f"sqlite:///{place}/measure/study.db")
    copy = optuna.load_study(study_name="search", storage=storage)
    assert copy.metric_names == ["proxy accuracy", "latency, ms"]
    assert copy.user_attrs["device"] == "a machine"
    storage.engine.dispose()


def test_a_trial_of_a_silent_machine_is_tried_again_without_its_constraint(postgres: str) -> None:
    study = open_study(postgres, seed=12)
    try:
        trial, point = study.ask()
        study.begin(trial, "a hash")
        study._constrain(trial, 5.0)
        study._heart.stop()
        time.sleep(heart.GRACE_S + 1)
        with study.choosing():
            again, same = study.ask()
        assert same == point
        assert not study.is_killer(again)
        study.trained(again, {"proxy_accuracy": 0.5, "latency": 3.0})
        found = study._study.get_trials()
        assert [one.state for one in found] == [TrialState.FAIL, TrialState.COMPLETE]
        assert found[1].constraints == {"budget": -1.0}
        assert [one.number for one in study._study.best_trials] == [1]
    finally:
        study.close()


def test_a_trial_that_was_taken_from_a_silent_machine_is_not_told_twice(postgres: str) -> None:
    study = open_study(postgres, seed=13)
    try:
        trial, _ = study.ask()
        study._study.tell(trial.number, state=TrialState.FAIL)
        assert not study.keep(trial, {"hash": "a hash"})
    finally:
        study.close()


def test_a_beating_heart_keeps_a_trial(postgres: str) -> None:
    study = open_study(postgres, seed=14)
    try:
        trial, _ = study.ask()
        time.sleep(heart.GRACE_S + 1)
        with study.choosing():
            pass
        assert study._study.get_trials()[trial.number].state == TrialState.RUNNING
    finally:
        study.close()


def test_a_later_run_of_the_same_settings_joins_and_goes_on(postgres: str, tmp_path: Path) -> None:
    first = run(postgres, tmp_path / "one", Machine(), trials=3, seed=15)
    machine = Machine()
    second = run(postgres, tmp_path / "two", machine, trials=5, seed=15)
    assert second.trials == 5
    assert {record["hash"] for record in first.records} <= {record["hash"] for record in second.records}
    assert trials(tmp_path / "two")[:3] == trials(tmp_path / "one")


def test_other_data_and_another_device_are_refused(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(postgres, tmp_path / "one", Machine(), trials=1, seed=16)
    study = open_study(postgres, seed=16)
    study._study.set_user_attr("gate", {"device": "an H100", "gate_ms": 5.0})
    with pytest.raises(SearchError, match="this study measures on an H100, here is a machine; join it with --role tr"):
        run(postgres, tmp_path / "two", Machine(), trials=1, seed=16)
    study._study.set_user_attr("data", "other")
    with pytest.raises(SearchError, match="the machines that share this study have other data"):
        run(postgres, tmp_path / "three", Machine(), trials=1, seed=16)
    study.close()


def test_a_database_that_is_lost_mid_trial_ends_the_search_with_one_line(tmp_path: Path) -> None:
    with server() as database:
        machine = Machine()

        def on_ask(request: dict[str, Any]) -> None:
            if request["do"] == "train" and len(machine.names("train")) == 2:
                database.stop()

        machine.on_ask = on_ask
        with pytest.raises(SearchError, match=r"the study cannot be reached any more: .*; what was finished is in"):
            run(database.url, tmp_path / "run", machine, trials=4, latency_budget_ms=None)
    assert len(trials(tmp_path / "run")) == 2


def test_a_database_that_is_not_there_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(SearchError) as told:
        run("postgresql://me:secret@127.0.0.1:1/none", tmp_path / "run", Machine())
    assert "postgresql://me:***@127.0.0.1:1/none" in str(told.value)
    assert "secret" not in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("url", ["sqlite:///x.db", "mysql://a:secret@b/c", "nonsense", "postgresql://"])
def test_only_postgresql_is_shared_through(url: str) -> None:
    with pytest.raises(WrongUse, match=r"shared through postgresql://USER@HOST/DATABASE; got") as told:
        address(url)
    assert "secret" not in str(told.value)


def test_a_study_has_the_name_of_what_is_asked_for_and_not_of_the_machine() -> None:
    name = name_of(settings())
    assert name.startswith("tiny-")
    assert name_of(settings(device="cuda", stat="p50", trials=3, time_s=5.0)) == name
    assert name_of(settings(seed=1)) != name
    assert shown("postgresql://me:secret@host/base") == "postgresql://me:***@host/base"


def test_a_run_that_is_resumed_keeps_its_study_where_it_is(postgres: str, tmp_path: Path) -> None:
    run(postgres, tmp_path / "run", Machine(), trials=2, seed=17)
    with pytest.raises(SearchError, match=r"shares its study at postgresql://archdsl@.*; name it by --stor"):
        search(tmp_path / "run", resume=True, trials=3, seed=17)
    search(tmp_path / "own", trials=2, seed=17)
    means = Means(storage=postgres)
    with pytest.raises(SearchError, match=r"own keeps its study to itself; begin a shared run with --from .*own"):
        run_search(settings(trials=3, seed=17), tmp_path / "own", True, new_worker=Machine().worker, means=means)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--role", "train"], "--role train is for a study that machines share; name it by --storage"),
        (["--role", "watch"], "--role: known: both, measure, train; got 'watch'"),
        (["--storage", "sqlite:///x.db"], "a study is shared through postgresql://USER@HOST/DATABASE"),
    ],
)
def test_wrong_use_of_roles_and_storage_is_told(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", *options]) == 2
    assert message in capsys.readouterr().err
