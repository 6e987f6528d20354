"""A search as a person sees it: the live view, the plot, the summary, and the command's exit codes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from archdsl.cli import main
from archdsl.load.spaces import load_space
from archdsl.load.specs import spec_of
from archdsl.render.candidates import describe
from archdsl.render.plot import Plot, scatter
from archdsl.render.search import Display, screen, summary
from archdsl.render.texts import clock
from archdsl.render.tried import FEW, few_trials_text
from archdsl.search.store.machine_load import Disturbed
from archdsl.search.store.reading import Reading
from archdsl.search.store.result import Result
from archdsl.search.store.verdict import Verdict
from archdsl.search.store.winner import AttemptSummary, HeldOutAccuracy, Tie, ValidationAccuracy, WinnerAccuracy
from archdsl.search.trial import Trial
from tests.support.displayed import FACTS, FRONT, LONGER, NAMES, state
from tests.support.fake_worker import Machine
from tests.support.golden_texts import Golden
from tests.support.screens import text_of, too_wide
from tests.support.searching import SPACE, quicken, search, settings, trials


class Winner:
    name = NAMES[0]


def result(verdict: Verdict, front: list[Trial], **changes: Any) -> Result:
    return Result(Path("runs/one"), settings(**changes), [*FRONT, LONGER], front, verdict, False, FACTS)


def test_the_live_view_shows_progress_the_best_so_far_the_front_and_the_ladder(golden: Golden) -> None:
    funnel = {"static": 3, "duplicate": 1, "latency": 2, "trained": 5}
    golden("search_live", text_of(screen(state(trials=7, fraction=0.4, front=FRONT, funnel=funnel))))


def test_the_live_view_begins_with_nothing(golden: Golden) -> None:
    golden("search_live_empty", text_of(screen(state(facts=None, phase="starting", doing="loading data"))))


CONDITIONS: dict[str, Any] = {
    "stat": "p50",
    "threads": 1,
    "batch": 1,
    "dtype": "float32",
    "runtime": "eager",
    "device": "cpu",
    "device_name": "a machine",
    "inference_mode": True,
    "environment": {"OMP_WAIT_POLICY": "PASSIVE"},
    "load": 0.42,
    "cpu_share": 0.98,
    "other_cores": 0.1,
    "gpu_processes": None,
}


def reading(value: float = 4.61, **changes: Any) -> Reading:
    ms: dict[str, Any] = {"min": value - 0.2, "p10": value - 0.1, "p50": value, "p90": value + 0.4}
    facts = {"latency_ms": ms, "all_rounds_ms": ms, "rounds": 2100, "undisturbed": 2050, "processes": 3, "calls": 1}
    return Reading(value, (value - 0.05, value + 0.07), **{**facts, "conditions": CONDITIONS, **changes})


def verdict(word: Any, reason: str, **changes: Any) -> Verdict:
    return Verdict(word, reason, Winner(), FRONT[0], **changes)  # type: ignore[arg-type]  # only its name is read


HELD_OUT = HeldOutAccuracy(0.69, 0.0146, 1000, "6 epochs", seeds=2, mean=0.67, least=0.65, most=0.69)
ACCURACY = WinnerAccuracy(HELD_OUT, ValidationAccuracy(0.71, 0.014, 1000, "6 epochs"), chance=0.1)
ATTEMPTS = [
    AttemptSummary(NAMES[1], NAMES[1], "FAIL", "p50 5.31 ms exceeds 5 ms", latency_ms=5.31),
    AttemptSummary(NAMES[0], NAMES[0], "PASS", "p50 4.61 ms lies within 5 ms", latency_ms=4.61),
]
TIE = Tie(NAMES[2], NAMES[2], 1.9, 0.7)


def test_the_summary_names_the_conditions_of_the_verdict_and_why_others_did_not_win(golden: Golden) -> None:
    passed = verdict("PASS", ATTEMPTS[1].reason, reading=reading(), attempts=ATTEMPTS, accuracy=ACCURACY, ties=[TIE])
    golden("search_summary", text_of(summary(result(passed, FRONT, stat="p50"))))


@pytest.mark.parametrize("width", [40, 60])
@pytest.mark.parametrize("word", ["PASS", "UNSURE", "FAIL"])
def test_the_summary_keeps_to_the_width(word: str, width: int) -> None:
    more = {"reading": reading(), "attempts": ATTEMPTS, "accuracy": ACCURACY, "ties": [TIE]}
    shown = summary(result(verdict(word, ATTEMPTS[1].reason, **more), FRONT)._replace(disturbed=Disturbed(7, 9)))
    text = text_of(shown, width)
    assert not too_wide(text, width)
    assert " ".join(ATTEMPTS[1].reason.split()) in " ".join(text.split())


def test_an_unsure_verdict_is_no_pass_and_a_busy_machine_is_told() -> None:
    unsure = verdict("UNSURE", "only 40 of 210 rounds were undisturbed", reading=reading(processes=1))
    text = text_of(summary(result(unsure, [])._replace(disturbed=Disturbed(7, 9))), 200)
    assert f"UNSURE  {NAMES[0]}: only 40 of 210 rounds were undisturbed" in text
    assert "PASS  " not in text
    assert "rounds were undisturbed, in 1 fresh process\n" in text
    assert "7 of 9 readings were disturbed (under 75 % of their rounds were undisturbed)" in text
    assert "runs/one/winner.safetensors" in text


@pytest.mark.parametrize(
    ("processes", "mark"),
    [
        (1, " (measured in one process, since time was short)"),
        (2, " (measured in two processes, since time was short)"),
        (3, ""),
    ],
)
def test_a_verdict_from_fewer_processes_than_three_is_marked(processes: int, mark: str) -> None:
    passed = verdict("PASS", "p50 4.05 ms lies within the budget", reading=reading(processes=processes))
    lines = text_of(summary(result(passed, FRONT)), 200).splitlines()
    assert f"PASS  {NAMES[0]}: p50 4.05 ms lies within the budget{mark}" in lines


@pytest.mark.parametrize(
    ("verdict", "budget", "line"),
    [
        (Verdict("FAIL", "killed", None, None), 5.0, "FAIL  nothing was measured: killed"),
        (
            verdict("FAIL", "p50 5.61 ms [5.56, 5.68] exceeds the budget of 5 ms", reading=reading(5.61)),
            5.0,
            "FAIL  nearest miss tiny-0aaaaaaa: p50 5.61 ms [5.56, 5.68] exceeds the budget of 5 ms",
        ),
        (
            verdict("FAIL", "killed"),
            3.0,
            "FAIL  nearest miss tiny-0aaaaaaa: p10 4.50 ms exceeds the budget of 3 ms",
        ),
        (verdict("FAIL", "no finite loss"), None, "FAIL  nearest miss tiny-0aaaaaaa: no finite loss"),
        (
            verdict("PASS", "p50 3.20 ms [3.1, 3.3]; no latency budget was given", reading=reading(3.2)),
            None,
            "PASS  tiny-0aaaaaaa: p50 3.20 ms [3.1, 3.3]; no latency budget was given",
        ),
        (Verdict(None, "this machine trained", None, None), 5.0, "this machine trained"),
    ],
)
def test_the_verdict_is_one_line(verdict: Verdict, budget: float | None, line: str) -> None:
    text = text_of(summary(result(verdict, [], latency_budget_ms=budget)), width=100)
    assert line in text.splitlines()


def test_the_reason_of_a_failure_is_printed_once() -> None:
    reason = "p50 5.61 ms [5.56, 5.68] exceeds the budget of 5 ms"
    second = "p50 5.92 ms [5.90, 5.95] exceeds the budget of 5 ms"
    attempts = [
        AttemptSummary(NAMES[0], FRONT[0].network_hash, "FAIL", reason, latency_ms=5.61),
        AttemptSummary(NAMES[1], FRONT[1].network_hash, "FAIL", second, latency_ms=5.92),
    ]
    failed = verdict("FAIL", reason, reading=reading(5.61), attempts=attempts)
    text = text_of(summary(result(failed, FRONT, latency_budget_ms=5.0)), width=120)
    assert text.count(reason) == 1
    assert f"{NAMES[1]} is not the winner: {second}" in text


def test_the_accuracy_says_which_file_it_is_of_and_what_is_known_of_the_exported_one() -> None:
    file = {"file": {"sha256": "0" * 64}}
    for conditions, is_exported in ((CONDITIONS, False), (CONDITIONS | file, True)):
        passed = verdict("PASS", "in time", reading=reading(conditions=conditions), accuracy=ACCURACY)
        text = " ".join(text_of(summary(result(passed, FRONT)), width=120).split())
        assert "accuracy of winner.safetensors on 1,000 held-out images" in text
        assert ("but its accuracy on images was not measured" in text) is is_exported
        assert ("runs/one/winner.onnx" in text) is is_exported


@pytest.mark.parametrize(
    "points", [[(1.0, 50.0)], [(1.0, 50.0), (1.0, 50.0)], [(120.0, 0.0), (0.5, 100.0)]], ids=["one", "equal", "far"]
)
def test_any_front_can_be_plotted(points: list[tuple[float, float]]) -> None:
    for limit in (None, 5.0):
        lines = scatter(points, limit).plain.splitlines()
        assert len(lines) == 10
        assert all(len(line) <= 64 for line in lines)
        assert any(ord(char) > 0x2800 for char in "".join(lines))


def test_a_plot_has_a_legend_of_its_axes_and_of_the_marks_that_are_in_it() -> None:
    points = [(1.0, 50.0), (2.0, 60.0)]
    bare = text_of(Plot(points, stat="p10"))
    assert "across: p10 latency, ms per batch; up: proxy accuracy, %" in bare
    assert "⠛ network of the Pareto front\n" in bare
    assert "◆" not in bare
    assert "┊" not in bare
    whole = text_of(Plot(points, 5.0, winner=points[1], stat="p10"))
    assert "⠛ network of the Pareto front; ◆ winner; ┊ budget of 5 ms\n" in whole
    assert whole.count("◆") == 2
    assert whole.count("┊") == 9


def test_seconds_read_as_a_clock() -> None:
    assert [clock(seconds) for seconds in (0, 59.9, 61, 3600, 36061)] == ["0:00", "0:59", "1:01", "1:00:00", "10:01:01"]


def test_a_candidate_reads_as_one_line() -> None:
    assert describe(FRONT[0]) == "61.0 ± 1.5 % at 4.50 ms, 3.10 M params, 250 M MACs"


def test_without_a_terminal_a_line_a_trial_is_printed_after_what_is_searched() -> None:
    console = Console(file=io.StringIO(), width=40, color_system=None)
    with Display(console) as display:
        display(state(facts=None), None)
        display(state(), None)
        display(state(), "trial 0: fine [and] /a/path/that/is/longer/than/the/terminal/is/wide")
    assert console.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "space tiny: p10 <= 6 ms (asked for), batch 1, float32, eager, cpu (a machine)",
        "results are written to runs/one",
        "1:23 trial 0: fine [and] /a/path/that/is/longer/than/the/terminal/is/wide",
    ]


def test_on_a_terminal_a_line_is_broken_between_words() -> None:
    console = Console(file=io.StringIO(), width=40, color_system=None, force_terminal=True, legacy_windows=False)
    with Display(console) as display:
        display(state(), "trial 0: p10 5.41 ms - too slow (gate 4.72 ms = budget 5 ms - 6 % noise)")
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1:23 trial 0: p10 5.41 ms - too slow\n  (gate 4.72 ms = budget 5 ms - 6 %\n  noise)\n" in text


def test_on_a_terminal_the_view_is_live_and_quiet_shows_nothing() -> None:
    for quiet in (False, True):
        console = Console(file=io.StringIO(), width=80, color_system=None, force_terminal=True, legacy_windows=False)
        with Display(console, quiet) as display:
            display(state(front=FRONT), "trial 0: fine")
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert ("best so far" in text) is ("trial 0: fine" in text) is (not quiet)


# ---------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """The command with fake workers."""
    machine = Machine()
    quicken(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(
        "archdsl.search.loop.session.run_search.__defaults__", (False, lambda *_: None, None, machine.worker)
    )
    return machine


def command(*arguments: object) -> int:
    """A search; a new one measures modules, as the fake workers do."""
    named = [] if "--resume" in arguments else ["--runtime", "eager"]
    return main(["search", *[str(argument) for argument in arguments], *named])


def test_the_exit_code_is_the_verdict(fake: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(tmp_path / "run", fake, trials=2)
    assert command("--out", tmp_path / "run", "--resume") == 0
    assert "PASS  tiny-" in capsys.readouterr().out
    assert command("--out", tmp_path / "run") == 2
    assert command("--out", tmp_path / "run", "--resume", "--seed", 3, "--latency-budget", "5.5ms") == 2
    differing = "--latency-budget: 6ms in the run, 5.5ms now; --seed: 0 in the run, 3 now; leave this out to continue"
    assert differing in capsys.readouterr().err
    assert command("--resume") == 2
    assert command("--out", tmp_path / "other", "--resume") == 2
    assert command("lit-dat-64", "--latency-budget", "0.01ms", "--device", "cpu", "--out", tmp_path / "tight") == 1
    assert "FAIL  nearest miss lit-dat-64-" in capsys.readouterr().out
    assert command("--out", tmp_path / "tight", "--resume") == 1


def test_a_search_that_had_ended_says_how_to_continue_it(
    fake: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    search(run, fake, trials=2)
    assert command("--out", run, "--resume") == 0
    shown = capsys.readouterr()
    more = f"archdsl search --out {run} --resume --trials 4"
    assert shown.err == (
        "this search had ended, so nothing was done now and its result stands; to continue it with twice the limits: "
        f"{more}\n"
    )
    assert main(["-q", *more.split()[1:]]) in (0, 1)
    assert len(trials(run)) == 4
    assert command("--out", run, "--resume", "-q") in (0, 1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        (3, "the winner is the best of 3 networks that were tried, out of about 510 in the space; a longer search"),
        (1, "the winner is the best of 1 network that was tried, out of about 510 in the space; a longer search"),
        (FEW, ""),
    ],
)
def test_a_winner_of_few_trials_is_marked(trials: int, said: str) -> None:
    assert few_trials_text(load_space(SPACE), trials)[: len(said)] == said


def test_where_all_networks_were_tried_nothing_is_missing() -> None:
    nodes = [{**SPACE["nodes"][0], "width": 16}, *SPACE["nodes"][1:2], {"id": "head", "type": "mean_head"}]
    space = load_space({**SPACE, "nodes": nodes})
    assert "out of 8 in the space" in few_trials_text(space, 7)
    assert few_trials_text(space, 8) == ""


def test_an_interrupt_is_130_and_still_prints_what_there_is(
    fake: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def on_ask(request: dict[str, Any]) -> None:
        if len(fake.names("train")) == 2:
            fake.on_ask = None
            raise KeyboardInterrupt

    fake.on_ask = on_ask
    assert command("lit-dat-64", "--device", "cpu", "--latency-budget", "100s", "--out", tmp_path / "run") == 130
    out = capsys.readouterr().out
    assert "1 trial until it was interrupted" in out
    assert "PASS  lit-dat-64-" in out


def test_workers_and_earlier_runs_are_for_the_command_line(fake: Machine, tmp_path: Path) -> None:
    asked = ["lit-dat-64", "--device", "cpu", "--latency-budget", "100s", "--workers", "2", "--trials"]
    assert command(*asked, 2, "--out", tmp_path / "first") == 0
    assert command(*asked, 1, "--out", tmp_path / "second", "--from", tmp_path / "first") == 0
    found = [json.loads(line) for line in (tmp_path / "second" / "trials.jsonl").read_text().splitlines()]
    origins = [record["provenance"].get("from") for record in found if record["rung"] != "train_longer"]
    assert sorted(map(str, origins)) == [str(tmp_path / "first")] * 2 + ["None"]


def test_json_says_the_same_for_programs(fake: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(tmp_path / "run", fake, trials=2)
    capsys.readouterr()
    assert command("--out", tmp_path / "run", "--resume", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["passed"] is True
    assert content["space"] == "tiny"
    assert content["trials"] == 2
    assert spec_of(content["winner"]).name == content["winner"]["name"]
