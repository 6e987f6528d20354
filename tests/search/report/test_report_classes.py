"""The winner's accuracy by class in a report: told where the run has it, left out quietly where it has not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl.numbers import accuracy_text, standard_error
from archdsl.render.page.page import html
from archdsl.search.report import read_report
from archdsl.training.accuracy import Evaluation
from tests.support.places import ROOT
from tests.support.reported import copied_run, edit, every_form, recorded, terminal

run = pytest.fixture(copied_run)

COUNTS: dict[str, Any] = {
    "validation": {"ant": [9, 10], "bee": [1, 10], "cat": [0, 5]},
    "held_out": {"ant": [40, 50], "bee": [10, 50]},
}


def with_classes(run: Path, per_class: Any) -> Path:
    edit(run, "verdict.json", lambda verdict: verdict | {"per_class": per_class})
    return run


def test_an_accuracy_is_printed_with_its_standard_error() -> None:
    assert accuracy_text(0.634, 0.015) == "63.4 ± 1.5 %"
    assert accuracy_text(0.634, standard_error(0.634, 1000)) == "63.4 ± 1.5 %"
    assert accuracy_text(1.0, standard_error(1.0, 75)) == "100.0 ± 1.3 %"
    assert standard_error(0.0, 75) == pytest.approx(standard_error(1.0, 75))  # few images do not make it certain
    assert accuracy_text(0.634) == "63.4 %"
    assert accuracy_text(None) == "-"


def test_every_class_is_told_with_its_error_and_their_mean_beside_it(run: Path) -> None:
    report = read_report(with_classes(run, COUNTS))
    shown = terminal(report)
    lines = shown.splitlines()
    first = lines.index("Accuracy by class")
    assert lines[first + 1].split() == ["class", "held-out", "validation"]
    rows = [" ".join(line.split()) for line in lines[first + 2 : first + 5]]
    assert rows == [
        "ant 80.0 ± 5.7 % (40 of 50) 90.0 ± 9.5 % (9 of 10)",
        "bee 20.0 ± 5.7 % (10 of 50) 10.0 ± 9.5 % (1 of 10)",
        "cat - 0.0 ± 15.6 % (0 of 5)",
    ]
    balanced = "alanced accuracy, the mean over 3 classes: 50.0 % on held-out images, 33.3 % on validation images"
    assert balanced in " ".join(shown.split())
    page = html(report)
    assert balanced in page
    assert "80.0 ± 5.7 % (40 of 50)" in page
    assert json.loads(json.dumps(report.as_json()))["verdict"]["balanced"] == pytest.approx(
        {"validation": 1 / 3, "held_out": 0.5}
    )


def test_without_held_out_images_the_validation_images_are_told(run: Path) -> None:
    shown = terminal(read_report(with_classes(run, COUNTS | {"held_out": None})))
    assert "held-out" not in shown[shown.index("Accuracy by class") :]
    assert "33.3 % on validation images" in shown


def test_of_many_classes_the_least_accurate_are_shown_in_the_terminal(run: Path) -> None:
    many = {f"class {number:03}": [number, 200] for number in range(100)}
    report = read_report(with_classes(run, {"validation": many, "held_out": None}))
    shown = terminal(report)
    assert "The 40 least accurate of 100 classes; report.html has all." in shown
    assert "class 039" in shown
    assert "class 040" not in shown
    assert "class 099" in html(report)


def test_an_older_run_is_quiet_about_classes() -> None:
    assert recorded().verdict.per_class == []
    assert "by class" not in every_form(recorded())


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        "x",
        {"validation": []},
        {"validation": {"ant": [11, 10], "bee": [1], "cat": [0, 0], "dog": [True, 2], "eel": "x", "fox": [-1, 2]}},
        {"validation": {"ant": [0.5, 1]}, "held_out": 3},
    ],
)
def test_counts_that_cannot_be_read_are_left_out(run: Path, odd: Any) -> None:
    report = read_report(with_classes(run, odd))
    assert report.verdict.per_class == []
    assert "by class" not in every_form(report)


@pytest.mark.parametrize(("right", "text"), [(0, "0.0 ± 1.9 % (0 of 50)"), (50, "100.0 ± 1.9 % (50 of 50)")])
def test_where_none_or_all_are_right_the_error_is_the_same_everywhere_and_not_zero(
    run: Path, right: int, text: str
) -> None:
    """The share is taken as (k + 1) / (n + 2), as the glossary says."""
    evaluation = Evaluation("", 50, right, {})
    share = (right + 1) / 52
    assert evaluation.error == standard_error(right / 50, 50) == (share * (1 - share) / 50) ** 0.5
    counts = {"ant": [right, 50], "bee": [10, 50]}
    assert text in terminal(read_report(with_classes(run, {"validation": counts, "held_out": None})))
    page = (ROOT / "docs" / "explanation" / "glossary.md").read_text()
    assert "(k + 1) / (n + 2)" in page
    assert "0 of 50 is 0.0 ± 1.9 %" in page
