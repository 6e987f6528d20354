"""A search as a person sees it: the live view, the plot, the summary, and the command's exit codes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from archdsl.render.candidates import describe
from archdsl.render.search import Display, screen, summary
from archdsl.render.texts import clock
from archdsl.search.store.machine_load import Disturbed
from archdsl.search.store.reading import Reading
from archdsl.search.store.result import Result
from archdsl.search.store.verdict import Verdict
from archdsl.search.store.winner import AttemptSummary, HeldOutAccuracy, Tie, ValidationAccuracy, WinnerAccuracy
from archdsl.search.trial import Trial
from tests.support.displayed import FACTS, FRONT, LONGER, NAMES, state
from tests.support.golden_texts import Golden
from tests.support.screens import text_of, too_wide
from tests.support.searching import settings


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
ONE_PROCESS = "the interval does not show how far processes differ"
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
        (1, f" (measured in one process, since time was short: {ONE_PROCESS})"),
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
        "space tiny: p10 <= 6 ms (given), batch 1, float32, eager, cpu (a machine)",
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
