"""The time of a search: what is kept for its end, what is said where it is short, and a verdict that it leaves open."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archdsl.cli import main
from archdsl.render.search import summary
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.finalists import Finalists
from archdsl.search.evaluate.finish import settle
from archdsl.search.evaluate.rungs import load_data
from archdsl.search.evaluate.time_plan import after_training, at_the_start
from archdsl.search.loaded_data import DataRequest
from archdsl.search.policy import SHIPPED
from archdsl.search.report import read_report
from archdsl.search.store.clock import Clock
from archdsl.search.store.folder import RunFolder
from archdsl.search.trial import Trial
from archdsl.search.worker.process import OutOfTime
from tests.support.devices import fake_device
from tests.support.fake_worker import Machine
from tests.support.reported import terminal
from tests.support.screens import text_of
from tests.support.searching import RANDOM, Lines, quicken, search, settings


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def at(now: float, **changes: Any) -> Clock:
    """A clock that stands so many seconds after the start."""
    return Clock(settings(**changes), SHIPPED, started=0.0, now=lambda: now)


def test_the_time_to_train_the_likely_winner_again_is_kept_and_ends_the_search_earlier() -> None:
    """Of 200 s, 150 are for the search and 27 for three processes that measure."""
    assert at(100.0, time_s=200.0).left_to_train == 73.0
    for now, is_over in ((100.0, False), (140.0, True)):
        clock = at(now, time_s=200.0)
        assert not clock.search_is_over
        clock.keep_for_retraining(33.0)
        assert clock.left_to_train == 173.0 - now - 33.0
        assert clock.search_is_over is (now == 140.0) is is_over


def test_no_time_is_kept_where_it_would_not_do() -> None:
    clock = at(100.0, time_s=200.0)
    clock.keep_for_retraining(74.0)
    assert clock.left_to_train == 73.0
    unlimited = at(100.0, trials=3, time_s=None)
    unlimited.keep_for_retraining(74.0)
    assert unlimited.left_to_train is None
    assert not unlimited.search_is_over


def short_of_time(request: dict[str, Any]) -> None:
    if request["do"] == "train":
        raise OutOfTime


def test_a_network_that_time_leaves_without_weights_is_unsure_and_longer_time_hands_it_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(tmp_path / "first", trials=2)
    machine, folder = Machine(), tmp_path / "again"
    machine.on_ask = short_of_time
    result = search(folder, machine, trials=2, time_s=100.0)
    outcome = json.loads((folder / "verdict.json").read_text())
    assert (outcome["verdict"], outcome["passed"], outcome["value_ms"]) == ("UNSURE", False, None)
    assert {attempt["verdict"] for attempt in outcome["attempts"]} == {"UNSURE"}
    reason = (
        "but its weights are not here, since its accuracy came from the cache, which keeps no weights, and there was "
        f"no time to train it again; give more time: archdsl search --out {folder} --resume --time 200s"
    )
    assert reason in outcome["reason"]
    assert (folder / "nearest.json").is_file()
    assert not (folder / "winner.json").exists()
    assert main(["search", "--out", str(folder), "--resume"]) == 1
    shown = " ".join(capsys.readouterr().out.split()).replace(" \\ ", " ")
    assert "UNSURE tiny-" in shown
    assert "nearest miss" not in shown
    assert shown.count(reason) == 1
    report = terminal(read_report(folder))
    assert "nearest miss" not in report
    assert f"archdsl search --out {folder} --resume --time 200s" in " ".join(report.split()).replace(" \\ ", " ")
    trained = Machine()
    longer = search(folder, trained, resume=True, trials=2, time_s=200.0)
    assert longer.verdict.verdict == "PASS"
    assert longer.winner is not None
    assert trained.names("train")[-1] == longer.winner.name
    assert (folder / "winner.safetensors").is_file()
    assert "UNSURE" in text_of(summary(result))


def opened(folder: Path, lines: Lines, machine: Machine, seconds: float) -> Context:
    """A search of which the best network's weights are gone, as its trainings took so long; it has 100 s."""
    context = Context(settings(time_s=100.0), RANDOM, RunFolder(folder), lines, True, new_worker=machine.worker)
    context.clock = Clock(context.settings, RANDOM)
    context.data = load_data(machine.worker(), DataRequest("fake", 32, 0, 2000), fake_device(), RANDOM.silence)
    context.records = [lasting(record, seconds) for record in context.records]
    context.update_front()
    best = Finalists(context).ranked()[0].network_hash
    for file in (folder / "weights").glob(f"{best}-*"):
        file.unlink()
    return context


def lasting(record: Trial, seconds: float) -> Trial:
    return record if record.training is None else replace(record, training=replace(record.training, seconds=seconds))


def test_a_network_whose_weights_are_here_goes_before_one_that_there_is_no_time_to_train_again(tmp_path: Path) -> None:
    search(tmp_path)
    machine = Machine()
    context = opened(tmp_path, Lines(), machine, seconds=1e6)
    first = Finalists(context).ranked()[0].network_hash
    verdict = settle(context, Finalists(context))
    assert verdict.verdict == "PASS"
    assert verdict.record is not None
    assert verdict.record.network_hash != first
    assert not machine.names("train")


def test_the_time_is_kept_as_long_as_the_weights_are_not_here(tmp_path: Path) -> None:
    search(tmp_path)
    context = opened(tmp_path, Lines(), Machine(), seconds=20.0)
    assert context.clock.left_to_train == pytest.approx(75.0, abs=5.0)
    Finalists(context).keep_time()
    assert context.clock.left_to_train == pytest.approx(75.0 - 26.0, abs=5.0)  # a process starts in 6 s
    assert settle(context, Finalists(context)).verdict == "PASS"
    Finalists(context).keep_time()
    assert context.clock.left_to_train == pytest.approx(75.0, abs=5.0)


def test_longer_trainings_are_announced_once_when_the_first_begins(tmp_path: Path) -> None:
    lines = Lines()
    search(tmp_path, watcher=lines)
    announced = [line for line in lines.told if "times as long" in line]
    assert announced == ["finalists are trained 3 times as long, while there is time"]
    assert lines.told[lines.told.index(announced[0]) + 1].startswith("finalist tiny-")


def test_where_no_longer_training_fits_one_line_says_so(tmp_path: Path) -> None:
    search(tmp_path)
    lines = Lines()
    context = opened(tmp_path, lines, Machine(), seconds=1000.0)
    context.records = context.trials
    Finalists(context).train()
    (line,) = lines.told
    assert line.startswith("no finalist is trained 3 times as long: that takes about 3000 s, and ")
    assert line.endswith(" s are left for it")


def test_a_time_that_is_short_of_the_plan_is_said_at_the_start() -> None:
    assert at_the_start(at(5.0, time_s=600.0), SHIPPED) is None
    assert at_the_start(at(5.0, time_s=None), SHIPPED) is None
    assert at_the_start(at(5.0, time_s=60.0), SHIPPED) == (
        "60 s are short: candidates are tried until 45 s, no time is kept for training finalists longer, "
        "the winner may be measured in 1 instead of 3 processes"
    )


def test_what_fits_is_said_once_the_length_of_a_training_is_known() -> None:
    assert after_training(at(20.0, time_s=600.0), SHIPPED, 11.0) is None
    assert after_training(at(20.0, time_s=None), SHIPPED, 11.0) is None
    assert after_training(at(20.0, time_s=90.0), SHIPPED, 11.0) == (
        "one training takes 11 s: there is time for at most 4 more, and none for training a finalist 3 times as long "
        "(about --time 4m is needed)"
    )
    assert after_training(at(20.0, time_s=240.0), SHIPPED, 11.0) is None
