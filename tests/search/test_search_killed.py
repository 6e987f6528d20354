"""Searches that are killed, and resumed: they go on as if nothing had happened, and no finished trial is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage

from archdsl.search.loop.session import run_search
from archdsl.search.policy.propose import DrawingPolicy
from archdsl.search.propose import storage, study
from archdsl.search.store import folder as run_folder
from tests.support.commands import TINY
from tests.support.fake_worker import Machine
from tests.support.places import ROOT
from tests.support.searching import RANDOM, quicken, search, settings, when_training
from tests.support.searching import trials as records


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


class Killed(BaseException):
    """As good as SIGKILL: nothing that is done afterwards has an effect."""


class Mortal(InMemoryStorage):
    """A storage, and through `Life` all writing to disk, that ends with its process after so many writes."""

    def __init__(self, life: Life) -> None:
        super().__init__()
        self._life = life


class Life:
    """How many writes a process still has to live; None for ever."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.written = 0

    def write(self) -> None:
        self.written += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


_WRITES = (
    "create_new_trial",
    "set_trial_param",
    "set_trial_state_values",
    "set_trial_user_attr",
    "set_trial_system_attr",
)
for _name in _WRITES:

    def _mortal(self: Mortal, *arguments: Any, _name: str = _name, **named: Any) -> Any:
        self._life.write()
        return getattr(InMemoryStorage, _name)(self, *arguments, **named)

    setattr(Mortal, _name, _mortal)


@pytest.fixture
def life(monkeypatch: pytest.MonkeyPatch) -> Life:
    """Searches whose process can end before any of its writes."""
    life, stores = Life(), dict[str, Mortal]()
    monkeypatch.setattr(study, "open_storage", lambda url, locked_s: stores.setdefault(url, Mortal(life)))
    for name in ("append", "write_text"):
        real = getattr(run_folder.RunFolder, name)

        def mortal(self: Any, *arguments: Any, _real: Any = real) -> None:
            life.write()
            _real(self, *arguments)

        monkeypatch.setattr(run_folder.RunFolder, name, mortal)
    forget = run_folder.RunFolder.forget

    def forgotten(self: Any) -> None:
        if life.left is None or life.left >= 0:
            forget(self)

    monkeypatch.setattr(run_folder.RunFolder, "forget", forgotten)
    return life


def tried(folder: Path) -> list[tuple[str, str, float | None]]:
    return [(record["hash"], record["outcome"], record["accuracy"]) for record in records(folder)]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_search_killed_before_any_of_its_writes_and_resumed_tries_what_an_uninterrupted_one_does(
    tmp_path: Path, life: Life, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Each time killed at another write, with a tight budget, so that seeds, duplicates, random points and the smallest
    network are among what is tried.
    """
    policy = replace(RANDOM, drawing=DrawingPolicy(smallest_of=10))
    asked: dict[str, Any] = {"trials": 9, "latency_budget_ms": 1.8, "seed": seed, "policy": policy}

    def run(name: str, resume: bool = False) -> None:
        monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / name / "cache"))
        search(tmp_path / name / "run", resume=resume, **asked)

    run("whole")
    total, whole = life.written, tried(tmp_path / "whole" / "run")
    for moment in range(5 + 7 * seed, total, total // 8):
        name, life.left = f"killed{moment}", moment
        with pytest.raises(Killed):
            run(name)
        life.left = None
        run(name, resume=(tmp_path / name / "run" / "run.json").exists())
        assert tried(tmp_path / name / "run") == whole, moment


def test_a_search_killed_before_it_has_read_earlier_runs_knows_them_when_it_is_resumed(
    tmp_path: Path, life: Life
) -> None:
    asked: dict[str, Any] = {"trials": 2, "latency_budget_ms": None}
    search(tmp_path / "old", trials=3, latency_budget_ms=None)
    life.left = 2  # what was asked for is written, and which runs
    earlier, new_worker = [str(tmp_path / "old")], Machine().worker
    with pytest.raises(Killed):
        run_search(settings(**asked), tmp_path / "new", new_worker=new_worker, earlier=earlier, policy=RANDOM)
    life.left = None
    result = search(tmp_path / "new", resume=True, **asked)
    reused = [record["hash"] for record in records(tmp_path / "new") if "from" in record["provenance"]]
    assert sorted(reused) == sorted(record["hash"] for record in records(tmp_path / "old"))
    assert result.trials == 2


def test_a_network_that_kills_the_search_twice_is_not_tried_again(tmp_path: Path, life: Life) -> None:
    killer: list[str] = []

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == "train" and len(machine.names("train")) == 3 and not killer:
            killer.append(request["spec"]["name"])
        if request["do"] == "train" and request["spec"]["name"] in killer:
            life.left = 0
            life.write()

    machine = Machine()
    machine.on_ask = on_ask
    for resume in (False, True):
        with pytest.raises(Killed):
            search(tmp_path / "run", machine, resume=resume, trials=6)
        life.left = None
    result = search(tmp_path / "run", machine, resume=True, trials=6)
    failed = [record for record in records(tmp_path / "run") if record["outcome"] == "failed"]
    assert [record["spec"]["name"] for record in failed] == killer
    assert failed[0]["reason"] == "the search was killed 2 times while this network was tried"
    assert machine.names("train").count(killer[0]) == 2
    assert result.trials == 6


def test_a_network_beside_the_space_that_kills_the_search_twice_is_not_tried_again(tmp_path: Path, life: Life) -> None:
    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == "train" and request["spec"]["name"] == "killer":
            life.left = 0
            life.write()

    machine = Machine()
    machine.on_ask = on_ask
    beside = tuple({**TINY, "name": name, "nodes": nodes(width)} for name, width in (("harmless", 8), ("killer", 16)))
    for resume in (False, True):
        with pytest.raises(Killed):
            search(tmp_path / "run", machine, resume=resume, also=beside, trials=4)
        life.left = None
    result = search(tmp_path / "run", machine, resume=True, also=beside, trials=4)
    tried = [(record["spec"]["name"], record["outcome"]) for record in records(tmp_path / "run")]
    assert tried[:2] == [("harmless", "trained"), ("killer", "failed")]
    assert machine.names("train").count("killer") == 2
    assert result.trials == 4


def nodes(width: int) -> list[dict[str, Any]]:
    stem, *others = TINY["nodes"]
    return [{**stem, "width": width}, *others]


def test_a_search_killed_before_any_of_its_writes_tries_what_stands_beside_the_space_once(
    tmp_path: Path, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(tmp_path / "searched", trials=1)  # its network is a point of the space
    beside = ({**TINY, "nodes": nodes(8)}, records(tmp_path / "searched")[0]["spec"])
    asked: dict[str, Any] = {"trials": 4, "also": beside}
    life.written = 0

    def run(name: str, resume: bool = False) -> None:
        monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / name / "cache"))
        search(tmp_path / name / "run", resume=resume, **asked)

    run("whole")
    total, whole = life.written, tried(tmp_path / "whole" / "run")
    for moment in range(4, total // 2, total // 8):
        name, life.left = f"killed{moment}", moment
        with pytest.raises(Killed):
            run(name)
        life.left = None
        run(name, resume=(tmp_path / name / "run" / "run.json").exists())
        assert tried(tmp_path / name / "run") == whole, moment


def test_a_network_during_which_the_user_stops_often_is_not_to_blame(tmp_path: Path) -> None:
    for resume in (False, True, True):

        def stop() -> None:
            raise KeyboardInterrupt

        machine = when_training(1, stop)
        assert search(tmp_path / "run", machine, resume=resume, trials=3, latency_budget_ms=None).interrupted
    search(tmp_path / "run", resume=True, trials=3, latency_budget_ms=None)
    assert {record["outcome"] for record in records(tmp_path / "run")} == {"trained"}


def test_a_master_killed_by_sigkill_loses_no_finished_trial(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom tests.support.fake_worker import Machine\n"
        "from tests.support.searching import search\n"
        "machine = Machine()\n"
        "machine.on_ask = lambda request: os.kill(os.getpid(), 9) if len(machine.names('train')) == 3 else None\n"
        "search(Path(sys.argv[1]), machine, trials=3, latency_budget_ms=None)\n"
    )
    place = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "run")], env=place, check=False)
    before = records(tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "open_storage", storage.open_storage)
        result = search(tmp_path / "run", resume=True, trials=3, latency_budget_ms=None)
    assert ended.returncode == -9
    assert len(before) == 2
    assert records(tmp_path / "run")[:2] == before
    assert result.trials == 3
