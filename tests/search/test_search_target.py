"""A search that measures on another machine: the setting, what it hands over, and a machine that is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import archdsl.search
from archdsl.errors import ConnectionLost, SearchError, WrongUse
from archdsl.render.doctor import report as doctor_report
from archdsl.render.search import heading, summary
from archdsl.search.propose.study_names import name_of
from archdsl.search.report.commands import bench_command, search_command
from archdsl.search.worker import there
from archdsl.search.worker.events import DeviceBusy, Event
from archdsl.search.worker.process import TargetLost
from archdsl.search.worker.slot import DeviceLocks, WorkerSlot
from tests.support.examining import examined
from tests.support.fake_worker import Machine
from tests.support.screens import text_of
from tests.support.searching import after, quicken, search, settings, trials
from tests.support.ssh_server import server, use

URL = "ssh://pi@board"
THERE: dict[str, Any] = {"target": URL, "runtime": "onnxruntime"}


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


@pytest.mark.usefixtures("_quick")
def test_every_measurement_is_made_there_and_the_run_says_so(tmp_path: Path) -> None:
    machine, run = Machine(), tmp_path / "run"
    result = search(run, machine, trials=2, device="cuda", **THERE)
    measured = [request["setting"] for request in machine.asked if request["do"] in ("measure", "threads")]
    assert {(setting["device"], setting["target"]) for setting in measured} == {("cpu", URL)}
    assert {request["device"] for request in machine.asked if request["do"] == "train"} == {"cuda"}
    assert json.loads((run / "verdict.json").read_text())["conditions"]["target"] == URL
    assert f"holds for {URL} (a machine)" in (run / "README.txt").read_text()
    assert f"'target': '{URL}'" in (run / "run_winner.py").read_text()
    assert URL in (run / "report.html").read_text()
    assert f"device {URL} (a machine)" in " ".join(text_of(summary(result)).split())


def test_an_examination_measures_exported_files_there_and_trains_here() -> None:
    machine = Machine()
    found = examined(measure=True, machine=machine, device="cuda", **THERE)
    measured = [request for request in machine.asked if request["do"] in ("measure", "threads")]
    assert {(each["setting"]["device"], each["setting"]["target"]) for each in measured} == {("cpu", URL)}
    assert [each["file"] for each in measured] == [str(file) for file in machine.exported]
    assert not any(file.exists() for file in machine.exported)
    assert {each["device"] for each in machine.asked if each["do"] == "pace"} == {"cuda"}
    assert f"{URL} (a machine)" in text_of(doctor_report(found, []))


def test_an_examination_that_loses_its_machine_ends_with_the_cause() -> None:
    machine, _ = after(2, "measure", TargetLost(f"{URL}: the machine cannot be reached"))
    with pytest.raises(SearchError, match="the machine cannot be reached"):
        examined(measure=True, machine=machine, **THERE)


@pytest.mark.usefixtures("_quick")
def test_a_run_goes_on_only_where_it_was_measured(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=2, **THERE)
    with pytest.raises(WrongUse, match=f"--target: {URL} in the run"):
        search(tmp_path / "run", resume=True, trials=3, runtime="onnxruntime")


def test_the_target_is_part_of_names_commands_and_headings() -> None:
    here, elsewhere = settings(runtime="onnxruntime"), settings(**THERE)
    assert name_of(here) != name_of(elsewhere)
    assert here.measuring() != elsewhere.measuring()
    assert URL in heading(elsewhere, None)
    facts = settings(device="cuda", **THERE).model_dump()
    assert f"--target {URL}" in search_command(facts, "tiny")
    assert f"--device cpu --batch 1 --dtype float32 --runtime onnxruntime --stat p10 --target {URL}" in bench_command(
        facts, Path("net.json")
    )


@pytest.mark.usefixtures("_quick")
def test_a_search_that_loses_its_machine_ends_with_the_cause_and_goes_on_later(tmp_path: Path) -> None:
    machine, _ = after(6, "measure", TargetLost(f"{URL}: the machine cannot be reached"))
    with pytest.raises(SearchError, match=r"cannot be reached; the search ended after \d trials?: .* --resume"):
        search(tmp_path / "run", machine, trials=8, **THERE)
    assert not (tmp_path / "run" / "verdict.json").exists()
    before = trials(tmp_path / "run")
    search(tmp_path / "run", resume=True, trials=8, **THERE)
    assert 0 < len(before) < len(trials(tmp_path / "run"))
    assert not [trial for trial in trials(tmp_path / "run") if trial["outcome"] == "failed"]


def test_a_lost_machine_is_tried_again_and_that_is_no_search_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(there, "_PAUSES_S", (0.0, 0.0))
    said: list[Event] = []
    left = [ConnectionLost("lost"), ConnectionLost("lost")]

    def ask() -> int:
        if left:
            raise left.pop()
        return 7

    assert there._until_reached(ask, said.append) == 7
    assert [type(event) for event in said] == [DeviceBusy, DeviceBusy]
    left += [ConnectionLost("lost")] * 3
    with pytest.raises(ConnectionLost):
        there._until_reached(ask, said.append)


def test_others_go_on_computing_here_while_one_measures_there() -> None:
    held: list[bool] = []

    class Held:
        def ask(self, *asked: Any) -> Any:
            raise AssertionError

        def stop(self) -> None: ...

        def hold(self, still: bool) -> None:
            held.append(still)

    for asked, expected in ((settings(**THERE), []), (settings(), [True, False])):
        locks = DeviceLocks()
        first, _ = (WorkerSlot(Held(), asked, locks) for _ in range(2))
        with locks.exclusive(first):
            pass
        assert held == expected


@pytest.mark.parametrize("runtime", ["eager", "graph"])
def test_a_runtime_that_measures_here_alone_is_wrong_use(runtime: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="--target: runtime"):
        archdsl.search.run("lit-dat-64", runtime=runtime, target=URL, device="cpu", out=tmp_path / "run")


@pytest.mark.slow
def test_a_search_through_ssh_hands_over_what_was_measured_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    space = tmp_path / "space.json"
    stem, merge = {"id": "stem", "type": "patch_stem", "width": 16}, {"id": "merge1", "type": "conv_merge", "width": 32}
    stage = {"id": "stage2", "type": "mlp", "depth": {"$int": [1, 2]}}
    nodes = [stem, merge, stage, {"id": "head", "type": "mean_head"}]
    space.write_text(json.dumps({"kind": "space", "version": 1, "name": "two", "image": 32, "nodes": nodes}))
    with server() as running:
        use(running, monkeypatch)
        run = tmp_path / "run"
        archdsl.search.run(
            space, latency_budget_ms=100.0, target=running.url, device="cpu", trials=1, seed=0, images=2000, out=run
        )
        conditions = json.loads((run / "verdict.json").read_text())["conditions"]
        assert conditions["target"] == running.url
        assert conditions["file"]["versions"]["onnxruntime"]
        again = subprocess.run([sys.executable, run / "run_winner.py", "--once"], capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        assert running.left == []
