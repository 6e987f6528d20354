"""A study in a real PostgreSQL: silent machines, runs that join it or are refused, and a database that is lost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from archdsl.cli import main
from archdsl.errors import SearchError, WrongUse
from archdsl.search.loop.session import run_search
from archdsl.search.propose.storage import unheard
from archdsl.search.propose.study_names import name_of
from archdsl.search.propose.trial_queue import BUDGET
from archdsl.search.store.database_url import address, shown
from archdsl.search.store.result import Result
from archdsl.search.worker.machine_options import MachineOptions
from tests.support.fake_worker import Machine
from tests.support.postgres import server
from tests.support.searching import quicken, search, settings, trials
from tests.support.sharing import SHARING, database_url, open_study
from tests.support.studies import stored_study
from tests.support.trials import trial as made

pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")

postgres = pytest.fixture(scope="module")(database_url)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def run(url: str, folder: Path, machine: Machine, role: str = "both", **changes: Any) -> Result:
    options = MachineOptions(storage=url, role=role)  # type: ignore[arg-type]
    return run_search(settings(**changes), folder, new_worker=machine.worker, options=options, policy=SHARING)


def test_a_trial_of_a_silent_machine_is_tried_again_without_its_constraint(postgres: str) -> None:
    study = open_study(postgres, seed=12)
    try:
        trial, point = study.ask()
        study.begin(trial, "a hash")
        with unheard():
            trial.set_constraint(BUDGET, 5.0)
        with pytest.MonkeyPatch.context() as silence:
            silence.setattr(RDBStorage, "record_heartbeat", lambda *_: None)
            time.sleep(SHARING.sharing.grace_s + 1)
            with study.choosing():
                again, same = study.ask()
        assert same == point
        assert not study.is_killer(again)
        study.trained(again, {"proxy_accuracy": 0.5, "latency": 3.0})
        with stored_study(postgres, study.name) as stored:
            assert [trial.state for trial in stored.trials] == [TrialState.FAIL, TrialState.COMPLETE]
            assert stored.trials[1].constraints == {"budget": -1.0}
            assert [trial.number for trial in stored.best_trials] == [1]
    finally:
        study.close()


def test_a_trial_that_was_taken_from_a_silent_machine_is_not_told_twice(postgres: str) -> None:
    study = open_study(postgres, seed=13)
    try:
        trial, _ = study.ask()
        with stored_study(postgres, study.name) as stored:
            stored.tell(trial.number, state=TrialState.FAIL)
        assert not study.keep(trial, made())
    finally:
        study.close()


def test_a_beating_heart_keeps_a_trial(postgres: str) -> None:
    study = open_study(postgres, seed=14)
    try:
        trial, _ = study.ask()
        time.sleep(SHARING.sharing.grace_s + 1)
        with study.choosing():
            pass
        with stored_study(postgres, study.name) as stored:
            assert stored.trials[trial.number].state == TrialState.RUNNING
    finally:
        study.close()


def test_a_later_run_of_the_same_settings_joins_and_goes_on(postgres: str, tmp_path: Path) -> None:
    first = run(postgres, tmp_path / "one", Machine(), trials=3, seed=15)
    machine = Machine()
    second = run(postgres, tmp_path / "two", machine, trials=5, seed=15)
    assert second.trials == 5
    assert {trial.network_hash for trial in first.records} <= {trial.network_hash for trial in second.records}
    assert trials(tmp_path / "two")[:3] == trials(tmp_path / "one")


def test_other_data_and_another_device_are_refused(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(postgres, tmp_path / "one", Machine(), trials=1, seed=16)
    with stored_study(postgres, name_of(settings(trials=1, seed=16))) as study:
        study.set_user_attr("gate", {"device": "an H100", "gate_ms": 5.0})
        rule = "this study measures on an H100, here is a machine; join it with --role tr"
        with pytest.raises(SearchError, match=rule):
            run(postgres, tmp_path / "two", Machine(), trials=1, seed=16)
        study.set_user_attr("data", "other")
        with pytest.raises(SearchError, match="the machines that share this study have other data"):
            run(postgres, tmp_path / "three", Machine(), trials=1, seed=16)


def test_a_database_that_is_lost_mid_trial_ends_the_search_with_one_line(tmp_path: Path) -> None:
    with server() as database:
        machine = Machine()

        def on_ask(request: dict[str, Any]) -> None:
            if request["do"] == "train" and len(machine.names("train")) == 2:
                database.stop()

        machine.on_ask = on_ask
        with pytest.raises(SearchError, match=r"the study cannot be reached any more: .*; the finished trials are in"):
            run(database.url, tmp_path / "run", machine, trials=4, latency_budget_ms=None)
    assert len(trials(tmp_path / "run")) == 2


def test_a_database_that_is_not_there_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(SearchError) as refused:
        run("postgresql://me:secret@127.0.0.1:1/none", tmp_path / "run", Machine())
    assert "postgresql://me:***@127.0.0.1:1/none" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("url", ["sqlite:///x.db", "mysql://a:secret@b/c", "nonsense", "postgresql://"])
def test_only_postgresql_is_shared_through(url: str) -> None:
    with pytest.raises(WrongUse, match=r"shared through postgresql://USER@HOST/DATABASE; got") as refused:
        address(url)
    assert "secret" not in str(refused.value)


def test_a_study_has_the_name_of_what_is_asked_for_and_not_of_the_machine() -> None:
    name = name_of(settings())
    assert name.startswith("tiny-")
    assert name_of(settings(device="cuda", stat="p50", trials=3, time_s=5.0)) == name
    assert name_of(settings(device="cuda", runtime="graph")) == name
    assert name_of(settings(seed=1)) != name
    assert shown("postgresql://me:secret@host/base") == "postgresql://me:***@host/base"


def test_a_run_that_is_resumed_keeps_its_study_where_it_is(postgres: str, tmp_path: Path) -> None:
    run(postgres, tmp_path / "run", Machine(), trials=2, seed=17)
    with pytest.raises(SearchError, match=r"shares its study at postgresql://archdsl@.*; give that with --stor"):
        search(tmp_path / "run", resume=True, trials=3, seed=17)
    search(tmp_path / "own", trials=2, seed=17)
    options = MachineOptions(storage=postgres)
    with pytest.raises(SearchError, match=r"own has a study that is not shared; begin a shared run with --from .*own"):
        run_search(settings(trials=3, seed=17), tmp_path / "own", True, new_worker=Machine().worker, options=options)


def test_machines_that_share_a_study_measure_with_one_runtime_and_one_statistic(postgres: str, tmp_path: Path) -> None:
    run(postgres, tmp_path / "one", Machine(), trials=1, seed=18)
    with pytest.raises(
        SearchError, match="this study measures with stat p10, this machine with p50; join it with --stat p10"
    ):
        run(postgres, tmp_path / "two", Machine(), trials=2, seed=18, stat="p50")
    with stored_study(postgres, name_of(settings(trials=1, seed=18))) as study:
        gate = study.user_attrs["gate"]
        study.set_user_attr("gate", {**gate, "runtime": "graph"})
        with pytest.raises(SearchError, match="with runtime graph, this machine with eager; join it with --runtime gr"):
            run(postgres, tmp_path / "three", Machine(), trials=2, seed=18)
        earlier = {name: value for name, value in gate.items() if name not in ("runtime", "stat")}
        study.set_user_attr("gate", earlier)  # of an earlier version, which measured p10 on a CPU
        with pytest.raises(
            SearchError, match="this study measures with stat p10, this machine with p50; join it with --stat p10"
        ):
            run(postgres, tmp_path / "four", Machine(), trials=2, seed=18, stat="p50")
        assert run(postgres, tmp_path / "five", Machine(), trials=2, seed=18).trials == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--role", "train"], "--role train needs a study that machines share; give it with --storage"),
        (["--role", "watch"], "unknown role 'watch'; known: both, measure, train"),
        (["--storage", "sqlite:///x.db"], "a study is shared through postgresql://USER@HOST/DATABASE"),
    ],
)
def test_wrong_use_of_roles_and_storage_is_told(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", *options]) == 2
    assert message in capsys.readouterr().err
