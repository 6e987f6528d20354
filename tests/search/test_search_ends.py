"""How a search ends: with a winner that keeps its promise or a nearest miss, after failures, or interrupted."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archdsl import load_spec
from archdsl.render.report_texts import verdict_line
from archdsl.render.search import how_to_continue, summary
from archdsl.search.policy.evaluate import GivingUpPolicy
from archdsl.search.report import read_report
from archdsl.search.store.winner_files import WINNER_FILES
from archdsl.search.worker.process import Failed, WorkerGone
from tests.support.fake_worker import Machine
from tests.support.screens import text_of
from tests.support.searching import RANDOM, Lines, after, quicken, search, trials


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def test_if_the_first_of_the_front_fails_the_next_is_tried(tmp_path: Path) -> None:
    machine = Machine()
    first: list[str] = []

    def on_ask(request: dict[str, Any]) -> None:
        if machine.stopped and request["do"] == "measure":
            first.append(request["spec"]["name"])
            machine.speed = 5.0 if request["spec"]["name"] == first[0] else 1.0

    machine.on_ask = on_ask
    result = search(tmp_path / "run", machine, trials=12)
    assert [attempt.verdict for attempt in result.verdict.attempts] == ["FAIL", "PASS"]
    assert first.count(first[0]) == 18  # six turns of each of three processes; what fails is not read again
    assert load_spec(tmp_path / "run" / "winner.json").name != first[0]


def test_if_none_holds_there_is_no_winner_but_a_nearest_miss(tmp_path: Path) -> None:
    machine = Machine()
    search(tmp_path / "run", machine, trials=6)
    assert (tmp_path / "run" / "winner.json").exists()
    machine.stopped = 0

    def on_ask(request: dict[str, Any]) -> None:
        machine.speed = 10.0 if machine.stopped and request["do"] == "measure" else 1.0

    machine.on_ask, machine.name = on_ask, "another machine"  # whose readings are not pooled with the first one's
    result = search(tmp_path / "run", machine, resume=True, trials=8)
    assert not result.verdict.passed
    assert result.winner is None
    assert result.verdict.verdict == "FAIL"
    assert load_spec(tmp_path / "run" / "nearest.json").name == result.verdict.spec.name  # type: ignore[union-attr]
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert not left & {"winner.json", "winner.safetensors", "run_winner.py", "README.txt"}
    assert result.verdict.latency == min(attempt.latency_ms or 0.0 for attempt in result.verdict.attempts)
    assert not (tmp_path / "run" / "winner.json").exists()
    assert result.verdict.spec is not None
    assert result.as_json()["nearest_miss"] == result.verdict.spec.to_json()


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
    assert {trial.reason for trial in result.records} == {"training gave no finite loss"}
    assert result.verdict.reason == "training gave no finite loss"
    assert not result.verdict.passed


def test_when_everything_fails_the_search_gives_up(tmp_path: Path) -> None:
    policy = replace(RANDOM, giving_up=GivingUpPolicy(most_failures=3))
    machine, lines = Machine(), Lines()

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == "train":
            raise Failed("CUDA error: unspecified launch failure")

    machine.on_ask = on_ask
    result = search(tmp_path / "run", machine, policy=policy, trials=50, watcher=lines)
    assert result.trials == 3
    assert "the last 3 networks failed, the last one because: CUDA error" in lines.told[-1]


def test_an_interrupted_search_ends_with_what_there_is(tmp_path: Path) -> None:
    machine, _ = after(4, "train", KeyboardInterrupt())
    result = search(tmp_path / "run", machine, trials=50)
    assert result.interrupted
    assert result.verdict.passed
    assert result.trials == len(trials(tmp_path / "run"))
    assert load_spec(tmp_path / "run" / "winner.json") == result.winner


def test_one_that_is_interrupted_before_a_trial_says_so_and_how_to_continue(tmp_path: Path) -> None:
    machine, _ = after(0, "measure", KeyboardInterrupt())
    result = search(tmp_path / "run", machine, trials=4)
    assert (result.interrupted, result.trials) == (True, 0)
    command = f"archdsl search --out {tmp_path / 'run'} --resume"
    assert result.verdict.reason == f"the search was interrupted before its first trial; to continue: {command}"
    assert result.verdict.verdict == "UNSURE"  # nothing shows that no network is inside the budget
    printed = text_of(summary(result), 200)
    assert "UNSURE  nothing was measured: the search was interrupted" in printed
    assert "FAIL" not in printed
    assert printed.count(command) == 1
    report = read_report(tmp_path / "run")
    assert " ".join(verdict_line(report).split()) in " ".join(printed.split())
    assert [step.command for step in report.next_steps] == [command]
    assert how_to_continue(result) == f"interrupted; to continue: {command}"
    assert search(tmp_path / "run", resume=True, trials=4).trials == 4


def test_a_search_that_is_resumed_without_time_keeps_what_stands(tmp_path: Path) -> None:
    machine, _ = after(3, "train", KeyboardInterrupt())
    lines = Lines()
    search(tmp_path / "run", machine, trials=50, time_s=600.0)
    stands = len(trials(tmp_path / "run"))
    clock = json.loads((tmp_path / "run" / "clock.json").read_text())
    (tmp_path / "run" / "clock.json").write_text(json.dumps(clock | {"seconds": 1000.0}))
    result = search(tmp_path / "run", resume=True, trials=50, time_s=600.0, watcher=lines)
    assert result.trials == stands
    command = (
        f"archdsl search --out {tmp_path / 'run'} --resume --time 200"  # and a second or more: twice what it has used
    )
    used_up = "no network is tried: the time limit of 600 s is used up"
    said = f"{used_up}; the {stands} trials so far stand; to continue: {command}"
    assert any(line.startswith(said) for line in lines.told)


def test_a_search_that_is_resumed_with_time_for_its_end_says_what_the_rest_is_for(tmp_path: Path) -> None:
    machine, _ = after(3, "train", KeyboardInterrupt())
    lines = Lines()
    search(tmp_path / "run", machine, trials=50, time_s=600.0)
    clock = json.loads((tmp_path / "run" / "clock.json").read_text())
    (tmp_path / "run" / "clock.json").write_text(json.dumps(clock | {"seconds": 500.0}))
    search(tmp_path / "run", resume=True, trials=50, time_s=600.0, watcher=lines)
    (told,) = [line for line in lines.told if line.startswith("no network is tried")]
    assert " s that are left of 600 s are for finishing the best; the " in told


def test_an_interrupt_while_the_winner_is_exported_leaves_no_winner_files(
    tmp_path: Path,
) -> None:
    run, runtime = tmp_path / "run", dict[str, Any](runtime="onnxruntime", threads=1)
    machine, _ = after(0, "export", KeyboardInterrupt())
    assert search(run, machine, trials=4, **runtime).interrupted
    assert not any((run / name).exists() for name in WINNER_FILES)
    assert not [path.name for path in run.rglob("*.onnx")]
    assert search(run, resume=True, trials=4, **runtime).verdict.passed
    assert (run / "winner.onnx").is_file()


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
