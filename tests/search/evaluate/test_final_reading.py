"""The end of a search: pooled processes of the file that is handed over, and what each verdict leaves behind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archdsl.cli import main
from archdsl.errors import WrongUse
from archdsl.search.api import run
from archdsl.search.evaluate import quiet_moment
from archdsl.search.policy.evaluate import FinalReadingPolicy
from archdsl.search.store.clock import Clock
from archdsl.search.store.result import Result
from archdsl.search.worker.process import Failed
from tests.support.fake_worker import FakeWorker, Machine
from tests.support.searching import RANDOM, Lines, quicken, search

WINNER_FILES = {"winner.json", "winner.safetensors", "run_winner.py", "README.txt"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


class FinalMachine(Machine):
    """A machine whose final readings, of files, are as `final` says: a list of (ms, share disturbed), by process."""

    def __init__(self, *final: tuple[float, float]) -> None:
        super().__init__()
        self.final, self.turns = list(final), list[FakeWorker]()
        """`turns` holds whose turn it was, from the first to the last."""
        self.on_ask = self._ask

    @property
    def taken(self) -> int:
        """Processes that measured a file."""
        return len(set(self.turns))

    def _ask(self, request: dict[str, Any]) -> None:
        if request["do"] == "measure" and request["weights"] is not None:
            self.turns.append(self.askers[-1])
            number = list(dict.fromkeys(self.turns)).index(self.askers[-1])
            self.fixed_ms, self.disturbed = self.final[min(number, len(self.final) - 1)]
        elif request["do"] == "measure":
            self.fixed_ms, self.disturbed = None, 0.0


def ended(folder: Path, machine: Machine, **changes: Any) -> tuple[Result, dict[str, Any]]:
    lines = Lines()
    result = search(folder, machine, watcher=lines, **changes)
    return result, json.loads((folder / "verdict.json").read_text())


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} & (WINNER_FILES | {"nearest.json"})


def test_the_winner_is_measured_in_three_processes_from_the_file_that_is_handed_over(tmp_path: Path) -> None:
    machine = FinalMachine((4.0, 0.0))
    result, outcome = ended(tmp_path / "run", machine)
    final = [request for request in machine.asked if request["do"] == "measure" and request["weights"]]
    assert (len(final), machine.taken) == (18, 3)
    assert {request["gate_ms"] for request in final} == {None}
    assert {(request["pace"]["rounds"], request["pace"]["least_s"]) for request in final} == {(20, 0.5)}
    kept = Path(final[0]["weights"])
    assert (tmp_path / "run" / "winner.safetensors").read_bytes() == kept.read_bytes()
    assert (outcome["verdict"], outcome["passed"], result.verdict.passed) == ("PASS", True, True)
    assert (outcome["value_ms"], outcome["interval_ms"], outcome["latency"]) == (4.0, [4.0, 4.0], 4.0)
    assert (outcome["rounds"], outcome["undisturbed"], outcome["processes"]) == (720, 720, 3)
    assert outcome["latency_ms"]["p50"] == outcome["latency_ms"]["all_rounds"]["p90"] == 4.0
    wanted = {"stat", "threads", "batch", "dtype", "runtime", "device", "inference_mode", "environment", "load"}
    assert outcome["conditions"].keys() >= wanted | {"cpu_share"}
    assert outcome["conditions"]["threads"] == 1
    assert files(tmp_path / "run") == WINNER_FILES
    same = ("verdict", "reason", "value_ms", "interval_ms", "conditions", "ties")
    assert {name: outcome[name] for name in same} == {name: result.as_json()[name] for name in same}


def test_what_exceeds_the_budget_is_not_read_again_and_the_next_is_tried(tmp_path: Path) -> None:
    machine = FinalMachine((9.0, 0.0), (9.0, 0.0), (9.0, 0.0), (4.0, 0.0))
    result, outcome = ended(tmp_path / "run", machine)
    assert [attempt["verdict"] for attempt in outcome["attempts"]] == ["FAIL", "PASS"]
    assert machine.taken == 6
    assert outcome["attempts"][0]["latency"] == 9.0
    assert outcome["attempts"][0]["gate_reading"] < 6.0
    assert "exceeds the budget of 6 ms" in outcome["attempts"][0]["reason"]
    assert result.winner is not None


def test_an_interval_that_contains_the_budget_is_doubled_twice_and_then_left_open(tmp_path: Path) -> None:
    machine = FinalMachine((5.9, 0.0), (6.1, 0.0))
    _, outcome = ended(tmp_path / "run", machine, trials=1)
    assert machine.taken == 12
    assert (outcome["verdict"], outcome["passed"]) == ("UNSURE", False)
    assert outcome["processes"] == 12
    assert files(tmp_path / "run") == WINNER_FILES


def test_a_busy_machine_leaves_it_open_and_the_next_is_not_tried(tmp_path: Path) -> None:
    machine = FinalMachine((4.0, 0.9))
    result, outcome = ended(tmp_path / "run", machine)
    assert (outcome["verdict"], len(outcome["attempts"])) == ("UNSURE", 1)
    assert "undisturbed, fewer than a quarter" in outcome["reason"]
    assert result.winner is not None
    assert files(tmp_path / "run") == WINNER_FILES
    assert main(["search", "--out", str(tmp_path / "run"), "--resume"]) == 1


def test_processes_are_ready_before_the_first_turn_and_then_take_turns(tmp_path: Path) -> None:
    machine = FinalMachine((4.0, 0.0))
    search(tmp_path / "run", machine, trials=1)
    first = next(place for place, request in enumerate(machine.asked) if request["do"] == "prepare")
    assert [request["do"] for request in machine.asked[first:]] == ["prepare"] * 3 + ["measure"] * 18
    a, b, c = machine.askers[first : first + 3]
    assert machine.turns == [a, b, c, b, c, a, c, a, b] * 2


def test_calls_that_last_long_are_measured_in_fewer_longer_turns(tmp_path: Path) -> None:
    machine = FinalMachine((40.0, 0.0))
    machine.speed = 20.0
    search(tmp_path / "run", machine, trials=1, latency_budget_ms=200.0)
    final = [request["pace"] for request in machine.asked if request["do"] == "measure" and request["weights"]]
    assert [(pace["rounds"], pace["least_s"]) for pace in final] == [(30, 1.0)] * 9


def test_without_time_one_process_decides_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes no turns: all its rounds are measured at once, and more of them."""
    machine = FinalMachine((4.0, 0.0))
    leave(machine, "prepare", 5.0, monkeypatch)
    leave(machine, "measure", -1.0, monkeypatch)
    _, outcome = ended(tmp_path / "run", machine, time_s=600.0)
    assert (outcome["processes"], outcome["verdict"]) == (1, "PASS")
    assert machine.asked[-1]["pace"]["rounds"] == 220


def leave(machine: FinalMachine, what: str, seconds: float, patch: pytest.MonkeyPatch, count: int = 1) -> None:
    """Once so many requests of a kind were made of the winner, a search has so many seconds left."""
    before, made = machine.on_ask, [0]

    def on_ask(request: dict[str, Any]) -> None:
        assert before is not None
        before(request)
        made[0] += request["do"] == what and request.get("weights") is not None
        if made[0] == count:
            patch.setattr(Clock, "left", seconds)

    machine.on_ask = on_ask


def test_time_that_ends_between_turns_leaves_the_turns_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FinalMachine((4.0, 0.0))
    leave(machine, "measure", -1.0, monkeypatch, count=10)
    _, outcome = ended(tmp_path / "run", machine, time_s=600.0)
    assert (outcome["processes"], outcome["verdict"], outcome["rounds"]) == (3, "PASS", 10 * 40)


def test_a_turn_has_its_share_of_the_time_that_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FinalMachine((4.0, 0.0))
    leave(machine, "prepare", 36.0, monkeypatch, count=3)
    search(tmp_path / "run", machine, time_s=600.0)
    limits = [
        request["pace"]["time_limit_s"] for request in machine.asked if request.get("weights") and "pace" in request
    ]
    assert limits[0] == 2.0
    assert limits == sorted(limits)


def test_if_nothing_passes_the_first_unsure_one_is_the_winner(tmp_path: Path) -> None:
    around = [(5.9, 0.0), (6.1, 0.0)] * 6
    machine = FinalMachine(*around, (9.0, 0.0))
    _, outcome = ended(tmp_path / "run", machine)
    verdicts = [attempt["verdict"] for attempt in outcome["attempts"]]
    assert verdicts[0] == "UNSURE"
    assert len(verdicts) > 1
    assert set(verdicts[1:]) == {"FAIL"}
    assert (outcome["verdict"], outcome["name"]) == ("UNSURE", outcome["attempts"][0]["name"])


def test_a_winner_that_is_no_better_than_chance_is_none(tmp_path: Path) -> None:
    machine = FinalMachine((4.0, 0.0))
    machine.hidden = 0.9  # the held-out images are named no better than by chance
    result, outcome = ended(tmp_path / "run", machine)
    assert machine.taken == 0
    assert (outcome["verdict"], result.winner) == ("FAIL", None)
    assert "is not two standard errors above 10.0 %, the share of the largest class" in outcome["reason"]
    assert "--epochs" in outcome["reason"]
    assert files(tmp_path / "run") == {"nearest.json"}


def test_ties_are_told(tmp_path: Path) -> None:
    machine = FinalMachine((4.0, 0.0))
    _, outcome = ended(tmp_path / "run", machine)
    assert outcome["ties"]
    assert all(tie.keys() == {"name", "hash", "latency", "validation_accuracy", "error"} for tie in outcome["ties"])
    assert outcome["hash"] not in {tie["hash"] for tie in outcome["ties"]}


def test_a_resumed_search_pools_what_it_read_before_with_what_it_reads_now(tmp_path: Path) -> None:
    """Resuming a network that missed cannot make it pass by a luckier reading."""
    first, outcome = ended(tmp_path / "run", FinalMachine((6.2, 0.0)), trials=1)
    assert outcome["verdict"] == "FAIL"
    machine = FinalMachine((5.0, 0.0))
    _, outcome = ended(tmp_path / "run", machine, resume=True, trials=2)
    again = next(attempt for attempt in outcome["attempts"] if attempt["hash"] == first.records[0].network_hash)
    assert (again["verdict"], again["interval_ms"]) == ("UNSURE", [5.0, 6.2])


def test_a_process_that_fails_costs_what_it_read_and_leaves_what_the_others_read(tmp_path: Path) -> None:
    machine = FinalMachine((4.0, 0.0))
    before = machine.on_ask

    def on_ask(request: dict[str, Any]) -> None:
        assert before is not None
        before(request)
        if request["do"] == "measure" and machine.turns[-1:] == machine.turns[1:2] and len(machine.turns) > 3:
            raise Failed("out of memory")  # in its second turn

    machine.on_ask = on_ask
    lines = Lines()
    search(tmp_path / "run", machine, watcher=lines, trials=1)
    outcome = json.loads((tmp_path / "run" / "verdict.json").read_text())
    assert (outcome["verdict"], outcome["processes"], outcome["rounds"]) == ("PASS", 2, 480)
    assert sum("a further process could not measure it: out of memory" in line for line in lines.told) == 1
    assert machine.stopped >= 3


def test_where_a_busy_machine_rejected_everything_the_verdict_is_unsure_without_a_winner(tmp_path: Path) -> None:
    machine = Machine()
    machine.fixed_ms, machine.disturbed = 50.0, 0.9
    result, outcome = ended(tmp_path / "run", machine, trials=3)
    assert (outcome["verdict"], outcome["passed"], result.winner) == ("UNSURE", False, None)
    assert "is too slow (gate" in outcome["reason"]
    assert outcome["reason"].endswith("24 of 240 rounds were undisturbed, fewer than a quarter")
    assert files(tmp_path / "run") == {"nearest.json"}


def test_an_interrupt_while_the_winner_is_measured_still_ends_with_a_verdict(tmp_path: Path) -> None:
    machine = FinalMachine((4.0, 0.0))
    before = machine.on_ask

    def on_ask(request: dict[str, Any]) -> None:
        assert before is not None
        before(request)
        if machine.taken == 2:
            raise KeyboardInterrupt

    machine.on_ask = on_ask
    result, outcome = ended(tmp_path / "run", machine, trials=2)
    assert result.interrupted
    assert (outcome["verdict"], outcome["finished"]) == ("UNSURE", False)
    inside, more = "it is inside the budget (p10 ", "--resume"
    assert outcome["reason"].startswith(inside)
    assert "but the search was interrupted before it was measured again; to continue: archdsl" in outcome["reason"]
    assert outcome["reason"].endswith(more)
    again = FinalMachine((4.0, 0.0))
    _, outcome = ended(tmp_path / "run", again, resume=True, trials=2)
    assert (outcome["verdict"], outcome["finished"], outcome["processes"]) == ("PASS", True, 3)


def test_a_long_call_waits_for_a_quiet_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = iter([2.5, 2.5, 0.0])
    monkeypatch.setattr(quiet_moment, "other_cores", lambda seconds: next(busy, 0.0))
    monkeypatch.setattr(quiet_moment, "available_cores", lambda: 2)
    policy, doing = replace(RANDOM, final_reading=FinalReadingPolicy(long_call_ms=1.0)), list[str]()
    machine = FinalMachine((4.0, 0.0))
    search(tmp_path / "run", machine, watcher=lambda state, line: doing.append(state.doing), policy=policy, trials=2)
    waits = {text for text in doing if "quiet moment" in text}
    assert waits == {"waiting for a quiet moment: other processes keep 2.5 cores busy"}
    assert next(busy, None) is None  # looked at until it was quiet


def test_where_no_quiet_moment_comes_a_reading_waits_for_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = list[float]()

    def busy(seconds: float) -> float:
        looks.append(seconds)
        return 2.5

    monkeypatch.setattr(quiet_moment, "other_cores", busy)
    monkeypatch.setattr(quiet_moment, "available_cores", lambda: 2)
    policy = replace(RANDOM, final_reading=FinalReadingPolicy(long_call_ms=1.0, most_wait_s=0.0))
    search(tmp_path / "run", FinalMachine((4.0, 0.0)), policy=policy, trials=2)
    assert len(looks) == 1


def test_a_search_too_short_for_anything_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--latency-budget", "5ms", "--time", "5s", "--out", str(tmp_path / "run")]) == 2
    assert "takes longer; give --time 20s or more, and still more on a" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    with pytest.raises(WrongUse, match=r"a time limit of 19 s is too short.*takes longer; give time_s=20 or more"):
        run("lit-dat-64", time_s=19.0, device="cpu")
