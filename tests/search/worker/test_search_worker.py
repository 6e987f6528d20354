"""The worker process: asked, killed, hung, broken, and never left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archdsl import load_spec
from archdsl.search.policy import SHIPPED
from archdsl.search.worker import process as child
from archdsl.search.worker.machine_options import MachineOptions
from archdsl.search.worker.messages import HelloRequest, MeasuringSetting
from archdsl.search.worker.process import Failed, Hung, Worker, WorkerGone, child_environment
from archdsl.search.worker.torch_faults import is_broken
from tests.support.places import ROOT
from tests.support.processes import children_of


def silent(event: Any) -> None:
    """Nothing is made of what comes before the reply."""


def pid_of(worker: Worker) -> Any:
    """What a reply tells of its process."""
    return worker.exchange({"do": "work"}, 30.0, silent)["pid"]


SCRIPT = """
import json, os, sys, time
print("a library talks", file=sys.stderr)
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "hang":
        time.sleep(60)
    if request["do"] == "die":
        sys.exit("RuntimeError: no more memory of this kind")
    if request["do"] == "kill":
        os.kill(os.getpid(), 9)
    if request["do"] == "progress":
        for step in range(3):
            print(json.dumps({"progress": step}), flush=True)
    broken = request["do"] == "break"
    failed = {"failed": "it broke", "broken": True} if broken else {}
    print(json.dumps({"done": True, "pid": os.getpid(), **failed}), flush=True)
"""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Worker]:
    """A parent's side with a child that needs no torch."""
    script = tmp_path / "child.py"
    script.write_text(SCRIPT)
    monkeypatch.setattr(child, "COMMAND", [sys.executable, str(script)])
    with Worker() as started:
        yield started


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds; a zombie that nobody waits for has ended."""
    for _ in range(200):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.05)
                continue
        return True
    return False


def test_training_threads_stay_awake_for_a_moment_unless_the_user_says_how_they_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy, name = SHIPPED.worker, "GOMP_SPINCOUNT"
    for waiting, runtime, spins in (
        (None, "onnxruntime", str(policy.spins)),
        ("PASSIVE", "onnxruntime", str(policy.spins)),
        ("ACTIVE", "onnxruntime", None),
        (None, "eager", None),
    ):
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        if waiting is not None:
            monkeypatch.setenv("OMP_WAIT_POLICY", waiting)
        worker = MachineOptions().worker("cpu", policy, runtime)()
        assert isinstance(worker, Worker)
        environment = child_environment(worker.environment)
        assert (environment.get(name), environment["OMP_WAIT_POLICY"]) == (spins, waiting or "PASSIVE")


def test_a_worker_answers_and_tells_its_progress(worker: Worker) -> None:
    events: list[Any] = []
    first = worker.exchange({"do": "progress"}, 30.0, lambda reply: events.append(reply["progress"]))
    assert events == [0, 1, 2]
    assert pid_of(worker) == first["pid"]


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        ("hang", Hung, "no answer for 1 s"),
        ("die", WorkerGone, r"the worker ended \(1\): RuntimeError: no more memory of this kind"),
        ("kill", WorkerGone, "the worker was killed by SIGKILL: a library talks"),
        ("break", Failed, "it broke"),
    ],
)
def test_a_worker_that_is_lost_is_told_and_started_again(
    worker: Worker, action: str, error: type[Exception], message: str
) -> None:
    pid = pid_of(worker)
    with pytest.raises(error, match=message):
        worker.exchange({"do": action}, 1.0 if action == "hang" else 30.0, silent)
    assert gone(pid)
    assert pid_of(worker) != pid


def test_a_worker_killed_while_idle_costs_one_request(worker: Worker) -> None:
    pid = pid_of(worker)
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    with pytest.raises(WorkerGone, match="killed by SIGKILL"):
        worker.exchange({"do": "work"}, 30.0, silent)
    assert pid_of(worker) != pid


def test_a_reply_that_nobody_waited_for_answers_nothing_later(worker: Worker) -> None:
    def interrupted(reply: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    pid = pid_of(worker)
    with pytest.raises(KeyboardInterrupt):
        worker.exchange({"do": "progress"}, 30.0, interrupted)
    assert pid_of(worker) != pid


def test_stopping_ends_the_worker_and_may_be_repeated(worker: Worker) -> None:
    worker.stop()
    pid = pid_of(worker)
    worker.stop()
    worker.stop()
    assert gone(pid)


def test_a_lost_gpu_context_breaks_a_worker_and_full_memory_does_not() -> None:
    lost = RuntimeError("CUDA error: an illegal memory access was encountered")
    wrapped = ValueError("the forward pass failed")
    wrapped.__cause__ = lost
    assert is_broken(lost)
    assert is_broken(wrapped)
    assert not is_broken(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not is_broken(ValueError("width"))


def test_the_real_worker_measures_and_says_why_it_cannot() -> None:
    document = load_spec("litv2_s").to_json()
    setting: Any = {"device": "cpu", "batch": 1, "dtype": "float32", "runtime": "graph", "threads": 1}
    with Worker() as worker:
        hello = worker.ask(HelloRequest(MeasuringSetting("cpu", 1, "float32", "eager", 1)), 120.0)
        assert hello.provenance.device == "cpu"
        with pytest.raises(Failed, match="runtime graph replays a CUDA graph and needs a GPU"):
            worker.exchange({"do": "measure", "spec": document, "setting": setting}, 120.0, silent)
        with pytest.raises(Failed, match="KeyError: 'nothing'"):
            worker.exchange({"do": "nothing"}, 120.0, silent)


def test_no_worker_is_left_when_its_parent_is_killed() -> None:
    code = (
        "import time\n"
        "from archdsl.search.worker.process import Worker\n"
        "worker = Worker()\n"
        "try: worker.exchange({'do': 'nothing'}, 120.0, print)\n"
        "except Exception: print('refused', flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "refused\n"
        (pid,) = children_of(parent.pid)
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
    assert gone(pid)


def test_a_worker_ends_with_its_input_whatever_it_is_doing() -> None:
    """Where the kernel does not end it with its parent, it notices that nobody asks any more."""
    document = load_spec("litv2_s").to_json()
    setting = {"device": "cpu", "batch": 64, "dtype": "float32", "runtime": "eager", "threads": 1}
    place = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe, request = subprocess.PIPE, json.dumps({"do": "measure", "spec": document, "setting": setting})
    with subprocess.Popen(child.COMMAND, stdin=pipe, stdout=pipe, env=place, start_new_session=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"ready": True}
        process.stdin.write(request.encode() + b"\n")
        process.stdin.close()
        assert process.wait(60) == -signal.SIGKILL
