"""Faults of workers and of blocks: a fault costs its trial, or the search stops with one line."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any

import pytest

from archdsl import count as count_
from archdsl.errors import SearchError
from archdsl.search.loop.session import run_search
from archdsl.search.propose import candidates
from archdsl.search.worker import process as child
from archdsl.search.worker.machine_options import MachineOptions
from archdsl.search.worker.messages import HelloRequest, MeasuringSetting
from archdsl.search.worker.process import Failed, Worker
from archdsl.search.worker.slot import WorkerProtocol, usable_bytes
from tests.support.places import ROOT
from tests.support.processes import children_of
from tests.support.searching import RANDOM, Lines, quicken, search, settings
from tests.support.searching import trials as records

HELLO = HelloRequest(MeasuringSetting("cpu", 1, "float32", "eager", 1))
CHILD = """
import ctypes, json, os, signal, sys, time
from pathlib import Path
from archdsl.search.worker import child as worker
from archdsl.search.worker.actions import ACTIONS

FAULTS = ["segfault", "hang", "memory", "gpu", "raise", "nan", "kill", "exit", "babble"]
counter = Path(sys.argv[1])
sys.path.append(sys.argv[2])

def hello(request, say):
    from tests.support.devices import fake_device  # without torch, which takes seconds
    return {"provenance": fake_device().as_json()}

def data(request, say):
    facts = {"describe": "fake", "fingerprint": "0" * 16, "chance": 0.1, "images": 10, "validation": 9, "held_out": 9}
    return {"classes": 10, "channels": 3, **facts}

def measure(request, say):
    stats = {f"{stat}_ms": 1.0 for stat in ("min", "p10", "p50", "p90")}
    facts = {name: request["setting"][name] for name in ("device", "batch", "dtype", "runtime", "threads")}
    return {"latency": {**stats, "unstable": False, "samples_ms": [1.0] * 240, "provenance": facts}}

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
    if request["keep"] and outcome["finished"]:
        from tests.support.fake_weights import fake_named, write_fake_weights
        write_fake_weights(Path(request["keep"]), request, {"validation": fake_named(0.5), "held": fake_named(0.5)})
    return {"outcome": outcome, "threads": 1}

ACTIONS |= {"hello": hello, "data": data, "measure": measure, "train": train}
ACTIONS["prepare"] = lambda request, say: {}
ACTIONS["threads"] = lambda request, say: {"threads": 1}
ACTIONS["score"] = lambda request, say: {"scores": {}, "seconds": {}}
ACTIONS["fault"] = lambda request, say: {"size": len(fault(request["name"]))}
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
    monkeypatch.setattr(child, "COMMAND", [sys.executable, str(script), str(tmp_path / "count"), str(ROOT)])


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_fault_of_a_worker_costs_its_trial_and_is_not_met_again(tmp_path: Path, workers: int) -> None:
    options = MachineOptions(workers, trial_s=8.0, trial_bytes=4e9)
    result = run_search(settings(trials=11), tmp_path / "run", options=options, policy=RANDOM)
    found = records(tmp_path / "run")
    reasons = [str(record["reason"]).partition(" (fault")[0] for record in found if record["outcome"] == "failed"]
    expected = [
        "the worker was killed by SIGSEGV",
        "it took longer than the 8 s that a trial may take",
        "out of memory",
        "out of GPU memory: CUDA out of memory. Tried to allocate 2 GiB",
        "ZeroDivisionError: a third-party block divides",
        "training gave no finite loss",
        "the worker was killed by SIGKILL",
        "the worker ended (1): a third-party block leaves",
        "the worker sent an invalid reply: b'no reply'",
    ]
    assert reasons == expected if workers == 1 else sorted(reasons) == sorted(expected)
    assert len({record["hash"] for record in found}) == result.trials == 11
    assert [record["outcome"] for record in found if record["outcome"] != "failed"] == ["trained", "trained"]
    assert result.verdict.passed


@pytest.mark.usefixtures("faulty")
def test_a_worker_is_refused_more_memory_than_it_may_take_and_begins_anew() -> None:
    before = children_of(os.getpid())
    with Worker(memory_bytes=1 << 29) as worker:
        worker.ask(HELLO, 60.0)
        (pid,) = children_of(os.getpid()) - before
        assert resource.prlimit(pid, resource.RLIMIT_DATA) == (1 << 29, 1 << 29)
        assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"
        with pytest.raises(Failed, match="out of memory"):
            worker.exchange({"do": "fault", "name": "memory"}, 60.0, print)
        assert pid not in children_of(os.getpid())
        worker.ask(HELLO, 60.0)


def data_limit(worker: WorkerProtocol) -> int:
    """Of the child's memory, in bytes."""
    before = children_of(os.getpid())
    worker.ask(HELLO, 60.0)
    (pid,) = children_of(os.getpid()) - before
    worker_limit = resource.prlimit(pid, resource.RLIMIT_DATA)[0]
    worker.stop()
    return worker_limit


@pytest.mark.usefixtures("faulty")
def test_memory_is_shared_out_on_a_cpu_and_left_alone_on_a_gpu() -> None:
    policy = RANDOM.worker
    usable, limit = usable_bytes(policy.memory_share), resource.getrlimit(resource.RLIMIT_DATA)[0]
    assert usable is not None
    assert data_limit(MachineOptions(workers=2).worker("cpu", policy)()) == usable // 2
    assert data_limit(MachineOptions(workers=2).worker("cuda", policy)()) == limit
    assert data_limit(MachineOptions(trial_bytes=5e9).worker("cuda", policy)()) == 5_000_000_000


def test_a_worker_that_cannot_be_started_ends_the_search_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "COMMAND", [str(tmp_path / "nothing")])
    with pytest.raises(SearchError, match="no worker can be started: No such file or directory"):
        run_search(settings(), tmp_path / "run")


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
    lines_of_it = [line for line in lines.told if "ZeroDivisionError: a third-party block divides" in line]
    assert len(lines_of_it) == 1


def test_blocks_that_all_raise_end_the_search_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def count(spec: Any) -> Any:
        raise ZeroDivisionError("a third-party block divides")

    monkeypatch.setattr(candidates, "count", count)
    with pytest.raises(
        SearchError, match=r"none of the networks drawn is valid; a block failed: ZeroDivisionError: a third-par"
    ):
        search(tmp_path / "run")
