"""Reports of runs that were cut off, damaged, or written by a later version."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archdsl.search.report import read_report
from tests.support.reported import copied_run, edit, edit_records, every_form

run = pytest.fixture(copied_run)


def cut_last_line(run: Path) -> None:
    path = run / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-40])


def spoil_a_line(run: Path) -> None:
    path = run / "trials.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], b"\xff{not json", b"[1]", *lines[1:]]))


def from_the_future(run: Path) -> None:
    edit_records(
        run, lambda record: record | {"rung": "hologram", "outcome": "fell", "new": {"a": [1]}, "provenance": {"x": 1}}
    )
    edit(
        run,
        "run.json",
        lambda settings: settings | {"storage": "postgresql://x", "space": {"kind": "space", "version": 9}},
    )
    edit(run, "verdict.json", lambda verdict: verdict | {"attempts": [{"how": "laser"}], "more": None})


def without(*names: str) -> Callable[[Path], None]:
    def remove(run: Path) -> None:
        for name in names:
            (run / name).unlink()

    return remove


def garbage(name: str) -> Callable[[Path], None]:
    def spoil(run: Path) -> None:
        (run / name).write_bytes(b"\x00\xffgarbage" * 300)

    return spoil


def no_numbers(run: Path) -> None:
    path = run / "trials.jsonl"
    text = re.sub(r'"(accuracy|latency|p10_ms|params)": [\d.]+', r'"\1": NaN', path.read_text())
    path.write_text(text.replace('"seconds": ', '"seconds": -Infinity, "was": '))


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a last line cut off": (cut_last_line, "trials.jsonl:20: the last line is cut off"),
    "lines that are no records": (spoil_a_line, "trials.jsonl:2: not a record"),
    "a later version": (from_the_future, "hologram"),
    "killed before the end": (without("verdict.json", "winner.json", "front.json"), "the search has not ended"),
    "no winner": (without("winner.json"), "There is no winner"),
    "no trial": (without("trials.jsonl", "verdict.json", "front.json", "winner.json", "study.db"), "0 trials"),
    "no study": (without("study.db"), "there is no study.db"),
    "no settings": (without("run.json"), "run.json is missing"),
    "no clock": (without("clock.json", "noise.json"), "PASS"),
    "numbers that are none": (no_numbers, "18 trials"),
    **{f"{name} is garbage": (garbage(name), f"{name} cannot be read") for name in ("run.json", "verdict.json")},
    **{f"{name} is garbage": (garbage(name), f"{name} cannot be read") for name in ("front.json", "winner.json")},
    "study.db is garbage": (garbage("study.db"), "study.db cannot be read"),
    "trials.jsonl is garbage": (garbage("trials.jsonl"), "trials.jsonl:1"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_run_is_reported_as_far_as_it_can_be_read(name: str, run: Path) -> None:
    damage, problem = DAMAGES[name]
    damage(run)
    assert problem in every_form(read_report(run))


@pytest.mark.parametrize("odd", [None, "x", -1, 1e300, [], [{}], {}, {"a": None}, True, "\ud800"], ids=repr)
def test_any_value_in_any_field_gives_a_report(odd: Any, run: Path) -> None:
    (run / "study.db").unlink()
    lines = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    trained = next(line for line in lines if line["rung"] == "train")
    spoilt = [trained | {key: odd} for key in trained]
    for part in ("latency", "proxy"):
        facts = trained["provenance"][part]
        spoilt += [trained | {"provenance": trained["provenance"] | {part: facts | {key: odd}}} for key in facts]
    (run / "trials.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in [*lines[-3:], *spoilt]))
    edit(run, "run.json", lambda settings: dict.fromkeys(settings, odd))
    verdict = json.loads((run / "verdict.json").read_text())
    attempts = [verdict["attempts"][0] | {key: odd} for key in verdict["attempts"][0]]
    edit(run, "verdict.json", lambda verdict: verdict | {"attempts": attempts})
    assert "trials" in every_form(read_report(run))
    edit(run, "verdict.json", lambda verdict: dict.fromkeys(verdict, odd))
    assert "trials" in every_form(read_report(run))
