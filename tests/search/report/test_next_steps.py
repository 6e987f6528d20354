"""What a report says to do next: for each verdict sentences with figures, and commands that are understood."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from archdsl.cli import main
from archdsl.render.page.page import html
from archdsl.render.prose import command_lines, command_words
from archdsl.search.report import Report, read_report
from archdsl.search.report.facts import NextStep
from tests.support.reported import Page, copied_run, edit, edit_records, terminal

run = pytest.fixture(copied_run)

MS = {"min": 8.9, "p10": 9.0, "p50": 9.4, "p90": 9.9}
READING = {
    "value_ms": 9.0,
    "interval_ms": [8.8, 9.23],
    "latency_ms": {**MS, "all_rounds": MS},
    "rounds": 210,
    "undisturbed": 40,
    "processes": 3,
    "calls": 1,
    "conditions": {"batch": 1, "dtype": "float32", "runtime": "eager", "device": "cpu"},
}


def ends_with(run: Path, word: str, reason: str, **more: Any) -> Report:
    changes = {"verdict": word, "passed": word == "PASS", "reason": reason, **more}
    edit(run, "verdict.json", lambda verdict: verdict | changes)
    for name in ("winner.safetensors", "run_winner.py"):
        if word == "FAIL":
            (run / "winner.json").unlink(missing_ok=True)
        else:
            (run / name).touch()
    return read_report(run)


def passed(run: Path) -> Report:
    return ends_with(run, "PASS", "p10 1.89 ms lies within the budget of 9 ms")


def unsure(run: Path) -> Report:
    return ends_with(run, "UNSURE", "the interval contains the budget of 9 ms", **READING)


def failed(run: Path) -> Report:
    edit_records(run, lambda record: record | {"latency": 10 + record["latency"], "inside_budget": False})
    return ends_with(run, "FAIL", "p10 11.89 ms exceeds the budget of 9 ms", latency=11.9, attempts=[])


def interrupted(run: Path) -> Report:
    (run / "verdict.json").unlink()
    return read_report(run)


def options(steps: list[NextStep], said: str) -> list[str]:
    """The words of the only command whose sentence says so."""
    (step,) = [step for step in steps if said in step.text]
    return shlex.split(step.command)


def after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def test_a_winner_is_loaded_measured_again_and_compared(run: Path) -> None:
    steps = passed(run).next_steps
    written = ["archdsl", "export", str(run / "winner.safetensors"), "-o", str(run / "winner.py")]
    assert options(steps, "needs no archdsl") == written
    assert options(steps, "three fresh processes") == ["python", str(run / "run_winner.py")]
    assert options(steps, "random weights")[:3] == ["archdsl", "bench", str(run / "winner.json")]
    more = options(steps, "larger limits")
    assert (after(more, "--trials"), after(more, "--time")) == ("48", "840s")
    assert "--resume" in more


def test_a_ranking_within_its_error_asks_for_more_epochs(run: Path) -> None:
    again = options(passed(run).next_steps, "twice the epochs")
    assert after(again, "--epochs") == "2"

    def clear(record: dict[str, Any]) -> dict[str, Any]:
        is_best = record["hash"] == "2af8e78d1d4f06fc" and record["rung"] != "train_longer"
        return record | {"accuracy": 0.9} if is_best else record

    edit_records(run, clear)
    assert not [step for step in read_report(run).next_steps if "epochs" in step.text]


def test_an_unsure_verdict_asks_for_quiet_another_runtime_or_a_budget_that_the_interval_keeps(run: Path) -> None:
    steps = unsure(run).next_steps
    assert options(steps, "quieter machine") == ["python", str(run / "run_winner.py")]
    assert after(options(steps, "runtime onnxruntime"), "--runtime") == "onnxruntime"
    assert after(options(steps, "ends at 9.23 ms"), "--latency-budget") == "9.3ms"


def test_a_failure_names_the_nearest_budget_longer_search_another_runtime_and_other_spaces(run: Path) -> None:
    report = failed(run)
    steps = report.next_steps
    nearest = min(trial.latency for trial in report.trials if trial.latency is not None)
    budget = float(after(options(steps, "lowest latency that was measured"), "--latency-budget").removesuffix("ms"))
    assert report.noise is not None
    assert nearest <= budget * (1 - report.noise)  # the gate of a search under that budget lets it through
    assert budget < 1.1 * nearest / (1 - report.noise)
    assert after(options(steps, "larger limits"), "--time") == "840s"
    assert after(options(steps, "runtime onnxruntime"), "--runtime") == "onnxruntime"
    assert options(steps, "without training anything")[:2] == ["archdsl", "doctor"]
    assert options(steps, "another space") == ["archdsl", "zoo"]


def test_a_failure_that_is_none_of_latency_names_no_budget(run: Path) -> None:
    steps = ends_with(run, "FAIL", "no finite loss", latency=None, attempts=[]).next_steps
    assert steps
    assert not [step for step in steps if "lowest latency" in step.text]


def with_library(run: Path, least_ms: float, latency_ms: float = 8.95) -> Report:
    """Of a run with a budget of 9 ms that made a library, whose fastest network is predicted to take so long."""
    points = [{"cost": 20.0}, {"cost": least_ms}]
    front = {"metric": "latency", "parent": 20.0, "points": points}
    (run / "library").mkdir(exist_ok=True)
    (run / "library" / "index.json").touch()
    (run / "library.json").write_text(json.dumps({"facts": {"front": front}}))
    edit(run, "run.json", lambda settings: settings | {"parent": "/big.safetensors", "fits_library": True})
    return ends_with(run, "PASS", "p10 8.95 ms lies within the budget of 9 ms", latency=latency_ms)


def test_a_faster_network_is_derived_from_the_library_where_it_gives_one(run: Path) -> None:
    words = options(with_library(run, 2.0).next_steps, "Derive a faster network")
    assert after(words, "--latency-budget") == "4.5ms"
    assert after(words, "--library") == str(run / "library")
    assert after(words, "--parent") == str(run / "parent.safetensors")
    words = options(with_library(run, 6.0).next_steps, "Derive a faster network")
    assert after(words, "--latency-budget") == "6.3ms"
    assert after(words, "--library") == str(run / "library")
    words = options(with_library(run, 8.8).next_steps, "Derive a faster network from the same parent, with")
    assert after(words, "--latency-budget") == "4.5ms"
    assert after(words, "--parent") == "/big.safetensors"
    assert "--library" not in words
    words = options(with_library(run, 0.5, latency_ms=3.0).next_steps, "Derive a faster network")
    assert after(words, "--latency-budget") == "1.5ms"  # than the winner, which uses a third of the budget


def test_a_throughput_budget_stays_one(run: Path) -> None:
    edit(run, "run.json", lambda settings: settings | {"throughput_budget": 1000 / 9})
    words = options(failed(run).next_steps, "images/s")
    assert "--latency-budget" not in words
    nearest = min(trial.latency for trial in read_report(run).trials if trial.latency is not None)
    assert float(after(words, "--throughput-budget").removesuffix("/s")) <= 1000 / nearest


def test_another_latency_budget_takes_the_place_of_one_in_percent_of_the_parents(run: Path) -> None:
    edit(run, "run.json", lambda settings: settings | {"latency_share": 0.6})
    words = options(unsure(run).next_steps, "the lowest of two digits that this network meets")
    assert after(words, "--latency-budget") == "9.3ms"
    assert words.count("--latency-budget") == 1


def test_more_time_is_more_than_the_search_has_used(run: Path) -> None:
    edit(run, "verdict.json", lambda verdict: verdict | {"seconds": 1000.0})
    assert after(options(passed(run).next_steps, "larger limits"), "--time") == "2000s"


def slow_and_disturbed(run: Path) -> Report:
    reason = "p10 20.00 ms is too slow (gate 8.74 ms), but only 4 of 579 rounds were undisturbed"
    edit_records(run, lambda record: record | {"latency": 10 + record["latency"], "inside_budget": False})
    more = {"passed": False, "reason": reason, "latency": 20.0, "attempts": [], "value_ms": None}
    edit(run, "verdict.json", lambda verdict: verdict | {"verdict": "UNSURE"} | more)
    (run / "winner.json").rename(run / "nearest.json")
    return read_report(run)


def test_an_unsure_network_that_seems_too_slow_is_not_trained_again(run: Path) -> None:
    report = slow_and_disturbed(run)
    assert f"UNSURE  nearest miss {report.verdict.name}: p10 20.00 ms is too slow" in terminal(report, 300)
    steps = report.next_steps
    assert "--resume" in options(steps, "on a quieter machine")
    assert options(steps, "lowest latency that was measured")
    assert not [step for step in steps if "trained again" in step.text or "bench" in step.command]


def test_a_search_that_has_not_ended_goes_on(run: Path) -> None:
    (first, *_) = interrupted(run).next_steps
    assert shlex.split(first.command) == ["archdsl", "search", "--out", str(run), "--resume"]


def test_a_run_without_settings_suggests_nothing(run: Path) -> None:
    (run / "run.json").unlink()
    report = read_report(run)
    assert report.next_steps == []
    assert "What next" not in terminal(report) + html(report)


@pytest.mark.parametrize("end", [passed, unsure, failed, interrupted])
def test_every_printed_command_is_understood(
    end: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def reached(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    for name in ("search.api.run", "latency.compare", "search.doctor.doctor.examine", "runtimes.exported.export"):
        monkeypatch.setattr(f"archdsl.{name}", reached)
    report = end(run)
    monkeypatch.chdir(tmp_path)
    commands = [step.command for step in report.next_steps] + [command for _, command in report.reproduce]
    for command in commands:
        words = shlex.split(command)
        assert "\n" not in command
        if words[0] == "archdsl":
            code = {"zoo": 0, "export": 1, "train": 1}.get(words[1], 130)  # the weights are empty
            assert main(words[1:]) == code, command
        else:
            assert words == ["python", str(run / "run_winner.py")]


def test_the_steps_stand_in_the_terminal_and_on_the_page_as_they_are_computed(run: Path) -> None:
    report = failed(run)
    page = "".join(Page(html(report)).texts)
    shown = terminal(report, 60)
    for step in report.next_steps:
        assert step.text in page
        assert step.command in page
        assert " ".join(step.text.split()) in " ".join(shown.split())
        assert "\n".join(command_lines(step.command, 60)) in shown


@pytest.mark.parametrize("width", [20, 40, 60, 100])
def test_a_command_is_broken_so_that_a_shell_reads_the_same(width: int) -> None:
    code = "import sys\nprint(sys.argv[1])"
    words = [
        "python",
        "-c",
        code,
        "a b",
        "it's",
        "--option",
        "its value",
        "/a/long/path/to/a/file.json",
        ">",
        "out.json",
    ]
    command = " ".join(shlex.quote(word) if word != ">" else word for word in words)
    assert " ".join(command_words(command)) == command
    lines = command_lines(command, width)
    ends = "\n".join(lines).replace(" \\\n", " ")
    assert shlex.split(ends) == words
    wide = [line.removesuffix(" \\") for line in lines if len(line) > width]
    assert all(len(command_words(line)) <= 2 for line in wide), wide  # a word, or an option with its value
