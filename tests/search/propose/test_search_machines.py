"""A study shared by many processes in a real PostgreSQL: nothing twice, nothing lost, and roles."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from archdsl.load.specs import spec_of
from archdsl.search.propose.study_names import name_of
from archdsl.search.report import read_report
from tests.support.commands import TINY
from tests.support.fake_worker import accuracy_of
from tests.support.places import ROOT
from tests.support.searching import quicken, search, settings, trials
from tests.support.sharing import database_url
from tests.support.studies import stored_study

pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")

MACHINES = """
import json, os, sys, time
from pathlib import Path
from tests.support.fake_worker import Machine
from tests.support.searching import settings
from tests.support.sharing import SHARING
from archdsl.search.propose import shared_study
from archdsl.search.worker.machine_options import MachineOptions
from archdsl.search.loop.session import run_search

shared_study.RDBStorage("sqlite://").engine.dispose()  # what a database needs is imported once for all

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
    options = MachineOptions(storage=url, role=role)
    more = {"options": options, "earlier": earlier, "policy": SHARING}
    run_search(settings(**asked), Path(folder), new_worker=machine.worker, **more)
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

postgres = pytest.fixture(scope="module")(database_url)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


@contextmanager
def machines(*jobs: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """Processes that join a study, as other machines would; they are forked from one, which tells of them."""
    place = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
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
    asked_job = {"url": url, "folder": str(folder), "role": role, "hangs": False, "earlier": [], "asked": asked}
    return asked_job | more


def names(folder: Path) -> dict[str, list[str]]:
    """What one of them was asked to measure and to train."""
    found: dict[str, list[str]] = json.loads(Path(f"{folder}.json").read_text())
    return found


def test_four_workers_share_a_study_and_one_that_is_killed_costs_no_finished_trial(
    postgres: str, tmp_path: Path
) -> None:
    """The killed worker's network is tried by another, once it has been silent."""
    jobs = [job(postgres, tmp_path / str(number), 6, hangs=number == 0) for number in range(4)]
    with machines(*jobs) as workers:
        assert workers.stdout is not None
        pids, lost = sorted(workers.stdout.readline().strip() for _ in range(2))
        os.kill(json.loads(pids)[0], signal.SIGKILL)
        assert json.loads(workers.communicate(timeout=300)[0]) == [-signal.SIGKILL, 0, 0, 0]
    told = [names(tmp_path / str(number)) for number in range(1, 4)]
    found = [{record["hash"]: record for record in trials(tmp_path / str(number))} for number in range(1, 4)]
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 6
    assert {record["outcome"] for record in found[0].values()} == {"trained"}
    assert len({record["number"] for record in found[0].values()}) == 6
    before = {record["hash"]: record for record in trials(tmp_path / "0")}
    assert before
    assert before.items() <= found[0].items()
    assert sum(lost in one["train"] for one in told) >= 1
    assert lost in [record["spec"]["name"] for record in found[0].values()]
    with stored_study(postgres, name_of(settings(trials=6, latency_budget_ms=None))) as study:
        states = [trial.state for trial in study.trials]
    assert states.count(TrialState.COMPLETE) == 6
    assert TrialState.RUNNING not in states


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
    winner = json.loads((place / "measure" / "winner.json").read_text())["name"]
    assert asked["measure"]["train"] == [winner]  # for its weights, which are on the machine that trained
    assert asked["train"]["measure"] == []
    assert verdicts["measure"]["passed"]
    assert verdicts["train"]["reason"] == "this machine only trains; a machine that measures chooses the winner"
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
    with stored_study(f"sqlite:///{place}/measure/study.db") as copy:
        assert copy.metric_names == ["proxy accuracy", "latency, ms"]
        assert copy.user_attrs["device"] == "a machine"
        assert {trial.params["w"] for trial in copy.trials} <= {16, 32, 48, 64}


@pytest.mark.slow
def test_a_network_beside_the_space_goes_from_the_machine_that_measures_to_the_one_that_trains(
    postgres: str, tmp_path: Path
) -> None:
    point = trials(_searched(tmp_path))[0]["spec"]
    jobs = [job(postgres, tmp_path / role, 4, role, seed=12) for role in ("measure", "train")]
    for one in jobs:
        one["asked"]["also"] = [TINY, point]
    with machines(*jobs) as started:
        assert json.loads(started.communicate(timeout=300)[0].splitlines()[-1]) == [0, 0]
    for role in ("measure", "train"):
        tried = trials(tmp_path / role)
        beside = [record for record in tried if record["provenance"].get("from") == "also"]
        assert [record["spec"]["name"] for record in beside] == ["tiny", point["name"]]
        assert {record["outcome"] for record in beside} == {"trained"}
        assert len({record["hash"] for record in tried}) == len(tried) == 4
    assert names(tmp_path / "train")["train"].count("tiny") == 1


def _searched(folder: Path) -> Path:
    """The folder of a search of one trial."""
    search(folder / "searched", trials=1, latency_budget_ms=None)
    return folder / "searched"
