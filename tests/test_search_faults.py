"""Faults injected into whole searches: the study goes on, or stops with one line; no finished trial is lost."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from searching import Lines, Machine, quicken, search, settings

from archdsl import count as count_
from archdsl.errors import SearchError
from archdsl.search.ladder import candidates, proposals
from archdsl.search.results import folder as run_folder
from archdsl.search.runner import run_search
from archdsl.search.study import local as study
from archdsl.search.study import storage
from archdsl.search.workers import child
from archdsl.search.workers.child import Failed, Worker
from archdsl.search.workers.means import Means
from archdsl.search.workers.seat import usable_bytes

CHILD = """
import ctypes, json, os, signal, sys, time
from pathlib import Path
from archdsl.search.workers import worker

FAULTS = ["segfault", "hang", "memory", "gpu", "raise", "nan", "kill", "exit", "babble"]
counter = Path(sys.argv[1])

def hello(request, say):
    return {"provenance": {"device": "cpu", "device_name": "a machine", "torch": "2.0"}}

def data(request, say):
    facts = {"describe": "fake", "fingerprint": "0", "chance": 0.1, "images": 10}
    return {"classes": 10, "channels": 3, **facts}

def measure(request, say):
    stats = {f"{stat}_ms": 1.0 for stat in ("min", "p10", "p50", "p90")}
    return {"latency": {**stats, "unstable": False, "samples_ms": [1.0], "provenance": {}}}

def fault(name):
    if name == "segfault":
        ctypes.string_at(0)
    if name == "hang":
        time.sleep(600)
    if name == "memory":
        return bytearray(1 << 40)
    if name == "gpu":
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
    if name == "raise":
        raise ZeroDivisionError("a third-party block divides")
    if name == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "exit":
        sys.exit("a third-party block leaves")
    if name == "babble":
        os.write(int(os.environ["REPLIES"]), b"no reply\\n")

def train(request, say):
    with counter.open("ab", buffering=0) as file:
        file.write(b"x")
        count = file.tell() - 1
    name = FAULTS[count] if count < len(FAULTS) else "none"
    fault(name)
    outcome = {"accuracy": 0.5, "error": 0.01, "loss": 1.0, "seconds": 0.0, "steps": 7}
    outcome |= {"finite": name != "nan", "finished": name != "nan"}
    outcome |= {"running": [], "halted": None, "held_out": None}
    return {"outcome": outcome, "fidelity": "an epoch", "threads": 1}

worker._ACTIONS |= {"hello": hello, "data": data, "measure": measure, "train": train}
worker._ACTIONS["score"] = lambda request, say: {"scores": {}, "seconds": {}}
worker._ACTIONS["fault"] = lambda request, say: {"size": len(fault(request["name"]))}
duplicate = os.dup
os.dup = lambda number: os.environ.setdefault("REPLIES", str(duplicate(number))) and int(os.environ["REPLIES"])
worker.main()
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Workers whose first trainings each meet another fault."""
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    monkeypatch.setattr(child, "COMMAND", [sys.executable, str(script), str(tmp_path / "count")])


def records(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    return [record for record in lines if record["rung"] != "train_longer"]


def when_training(count: int, act: Any) -> Machine:
    """A machine that does something before its training of this number, once."""
    machine = Machine()

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == "train" and len(machine.names("train")) == count:
            machine.on_ask = None
            act()

    machine.on_ask = on_ask
    return machine


# ------------------------------------------------------------------------------------------------------ in the worker


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize("workers", [1, 2])
def test_every_fault_of_a_worker_costs_its_trial_and_is_not_met_again(tmp_path: Path, workers: int) -> None:
    means = Means(workers, trial_s=4.0, trial_bytes=4e9)
    result = run_search(settings(trials=11), tmp_path / "run", means=means)
    found = records(tmp_path / "run")
    told = [str(record["reason"]).partition(" (fault")[0] for record in found if record["outcome"] == "failed"]
    expected = [
        "the worker was killed by SIGSEGV",
        "it took longer than the 4 s that a trial may",
        "out of memory",
        "out of GPU memory: CUDA out of memory. Tried to allocate 2 GiB",
        "ZeroDivisionError: a third-party block divides",
        "training gave no finite loss",
        "the worker was killed by SIGKILL",
        "the worker ended (1): a third-party block leaves",
        "the worker said what is no reply: b'no reply'",
    ]
    assert told == expected if workers == 1 else sorted(told) == sorted(expected)
    assert len({record["hash"] for record in found}) == result.trials == 11
    assert [record["outcome"] for record in found if record["outcome"] != "failed"] == ["trained", "trained"]
    assert result.verdict.passed


@pytest.mark.usefixtures("faulty")
def test_a_worker_is_refused_more_memory_than_it_may_take_and_begins_anew() -> None:
    with Worker(memory_bytes=1 << 29) as worker:
        worker.ask({"do": "hello"}, 60.0)
        pid = worker._process.pid  # type: ignore[union-attr]
        assert resource.prlimit(pid, resource.RLIMIT_DATA) == (1 << 29, 1 << 29)
        assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"
        with pytest.raises(Failed, match="out of memory"):
            worker.ask({"do": "fault", "name": "memory"}, 60.0)
        assert worker._process is None


def test_memory_is_shared_out_on_a_cpu_and_left_alone_on_a_gpu() -> None:
    usable = usable_bytes()
    assert usable is not None
    assert Means(workers=2).worker("cpu")()._memory_bytes == usable // 2  # type: ignore[attr-defined]
    assert Means(workers=2).worker("cuda")()._memory_bytes is None  # type: ignore[attr-defined]
    assert Means(trial_bytes=5e9).worker("cuda")()._memory_bytes == 5_000_000_000  # type: ignore[attr-defined]


def test_a_worker_that_cannot_be_started_ends_the_search_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "COMMAND", [str(tmp_path / "nothing")])
    with pytest.raises(SearchError, match="no worker can be started: No such file or directory"):
        run_search(settings(), tmp_path / "run")


# ----------------------------------------------------------------------------------------------------- in the master


def test_a_block_that_raises_when_it_is_counted_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = count_

    def count(spec: Any) -> Any:
        if any(node.type == "hilo" for node in spec.nodes):
            raise ZeroDivisionError("a third-party block divides")
        return counted(spec)

    monkeypatch.setattr(candidates, "count", count)
    lines = Lines()
    result = search(tmp_path / "run", trials=6, watcher=lines)
    assert result.trials == 6
    assert all(node["type"] != "hilo" for record in records(tmp_path / "run") for node in record["spec"]["nodes"])
    told = [line for line in lines.told if "ZeroDivisionError: a third-party block divides" in line]
    assert len(told) == 1


def test_blocks_that_all_raise_end_the_search_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def count(spec: Any) -> Any:
        raise ZeroDivisionError("a third-party block divides")

    monkeypatch.setattr(candidates, "count", count)
    with pytest.raises(SearchError, match=r"none that was drawn holds; a block failed: ZeroDivisionError: a third-par"):
        search(tmp_path / "run")


# ------------------------------------------------------------------------------------------------ disk and database


def test_a_full_disk_ends_the_search_with_one_line_and_loses_no_finished_trial(tmp_path: Path) -> None:
    file, aside = tmp_path / "run" / "trials.jsonl", tmp_path / "aside"

    def fill() -> None:
        file.rename(aside)
        file.symlink_to("/dev/full")

    with pytest.raises(SearchError, match=r"No space left on device; what was finished is in .*; go on with --resume"):
        search(tmp_path / "run", when_training(3, fill), trials=6)
    aside.replace(file)
    before = records(tmp_path / "run")
    result = search(tmp_path / "run", resume=True, trials=6)
    assert len(before) >= 2
    assert records(tmp_path / "run")[: len(before)] == before
    assert result.trials == 6


def test_a_line_that_does_not_fit_on_the_disk_is_not_written_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(tmp_path / "run", trials=2)
    file = tmp_path / "run" / "trials.jsonl"
    before = file.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            run_folder.RunFolder(tmp_path / "run").append({"number": "9" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == before


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies in the database of their folder."""
    monkeypatch.setattr(study, "open_storage", storage.open_storage)


@pytest.mark.usefixtures("on_disk")
def test_a_study_that_is_damaged_while_a_trial_runs_stops_with_one_line_and_goes_on_without_it(tmp_path: Path) -> None:
    file = tmp_path / "run" / "study.db"
    machine = when_training(2, lambda: file.write_bytes(b"x" * file.stat().st_size))
    with pytest.raises(SearchError, match=r"the study cannot be reached any more: .*; what was finished is in"):
        search(tmp_path / "run", machine, trials=5)
    before = records(tmp_path / "run")
    with pytest.raises(SearchError, match=r"study\.db: file is not a database; move it away to go on without"):
        search(tmp_path / "run", resume=True, trials=5)
    file.unlink()
    assert search(tmp_path / "run", resume=True, trials=5).trials == 5
    assert len(before) >= 1
    assert records(tmp_path / "run")[: len(before)] == before


@pytest.mark.usefixtures("on_disk")
def test_a_study_that_another_process_locks_stops_with_one_line_and_goes_on_when_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "LOCKED_S", 0.05)
    held: list[sqlite3.Connection] = []

    def lock() -> None:
        held.append(sqlite3.connect(tmp_path / "run" / "study.db", isolation_level=None))
        held[0].execute("BEGIN EXCLUSIVE")

    with pytest.raises(SearchError, match="the study cannot be reached any more: database is locked; what was"):
        search(tmp_path / "run", when_training(2, lock), trials=4)
    held[0].close()
    before = records(tmp_path / "run")
    assert search(tmp_path / "run", resume=True, trials=4).trials == 4
    assert records(tmp_path / "run")[: len(before)] == before


# ------------------------------------------------------------------------------------------------------ being killed


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
    monkeypatch.setattr(study, "open_storage", lambda url: stores.setdefault(url, Mortal(life)))
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
    monkeypatch.setattr(proposals, "_SMALLEST_OF", 10)
    asked: dict[str, Any] = {"trials": 9, "latency_budget_ms": 1.8, "seed": seed}

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
    with pytest.raises(Killed):
        run_search(settings(**asked), tmp_path / "new", new_worker=Machine().worker, earlier=[str(tmp_path / "old")])
    life.left = None
    result = search(tmp_path / "new", resume=True, **asked)
    known = [record["hash"] for record in records(tmp_path / "new") if "from" in record["provenance"]]
    assert sorted(known) == sorted(record["hash"] for record in records(tmp_path / "old"))
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
    assert failed[0]["reason"] == "the search was killed 2 times while it was tried"
    assert machine.names("train").count(killer[0]) == 2
    assert result.trials == 6


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
        "import os, sys\nfrom pathlib import Path\nfrom searching import Machine, search\n"
        "machine = Machine()\n"
        "machine.on_ask = lambda request: os.kill(os.getpid(), 9) if len(machine.names('train')) == 3 else None\n"
        "search(Path(sys.argv[1]), machine, trials=3, latency_budget_ms=None)\n"
    )
    place = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "run")], env=place, check=False)
    before = records(tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "open_storage", storage.open_storage)
        result = search(tmp_path / "run", resume=True, trials=3, latency_budget_ms=None)
    assert ended.returncode == -9
    assert len(before) == 2
    assert records(tmp_path / "run")[:2] == before
    assert result.trials == 3
