"""The text beside a winner: its indented lines, and no others, are a program."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from archdsl.search.store.verdict import Verdict
from archdsl.search.store.winner import HeldOutAccuracy, ValidationAccuracy, WinnerAccuracy
from archdsl.search.store.winner_usage import stated, training_further, usage
from tests.support.searching import settings


@pytest.mark.parametrize("is_exported", [True, False])
@pytest.mark.parametrize("maps", [None, "stage1 (64, 56, 56)"])
def test_the_indented_lines_are_a_program(is_exported: bool, maps: str | None) -> None:
    lines = usage("a-network", is_exported, maps).splitlines()
    program = "\n".join(line[4:] for line in lines if line.startswith("    "))
    assert program.startswith("import ")
    compile(program, "README.txt", "exec")
    assert max(map(len, lines)) <= 120


def test_the_accuracy_is_said_to_be_of_the_file_that_it_was_measured_of() -> None:
    measured = "the accuracy that was measured of this very file"
    not_measured = "Of winner.onnx itself no accuracy was measured"
    exported, quantised = usage("a", True), usage("a", True, is_quantised=True)
    assert (measured in exported, not_measured in exported) == (False, True)
    assert (measured in quantised, not_measured in quantised) == (True, False)
    assert "accuracy in" not in usage("a", False)


def test_the_figures_of_a_winner_are_one_line() -> None:
    held = WinnerAccuracy(held_out=HeldOutAccuracy(0.673, 0.044))
    validation = WinnerAccuracy(validation=ValidationAccuracy(0.5, 0.02, 600, "1 epoch"))
    asked, free = settings(latency_budget_ms=0.5, stat="p50"), settings(latency_budget_ms=None)

    def line(accuracy: WinnerAccuracy | None) -> str:
        return stated(Verdict("PASS", None, None, None, accuracy=accuracy, stored_latency=0.432), asked)

    assert line(held) == "p50 0.43 ms (PASS, budget 0.5 ms), 67.3 ± 4.4 % on held-out images"
    assert line(validation) == "p50 0.43 ms (PASS, budget 0.5 ms), 50.0 ± 2.0 % on validation images"
    assert line(None) == "p50 0.43 ms (PASS, budget 0.5 ms)"
    assert stated(Verdict("PASS", None, None, None), free) == "(PASS, no latency budget)"
    lines = usage("a-network", True, figures=line(held)).splitlines()
    assert lines[:3] == ["a-network, the winner of this search", line(held), ""]
    assert usage("a-network", True).splitlines()[1] == ""


def test_the_command_that_trains_further_names_the_data_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my photos").mkdir()
    (tmp_path / "digits").mkdir()  # the built-in set has this name

    def data_of(name: str, time_s: float | None = 90.0) -> list[str]:
        (line,) = (line for line in training_further(name, time_s).splitlines() if "archdsl train" in line)
        assert not line.startswith("    ")
        words = shlex.split(line)
        return [words[words.index(option) + 1] for option in ("--data", "--time")]

    assert data_of("my photos") == [str(tmp_path / "my photos"), "90s"]
    assert data_of("digits", None) == ["digits", "600s"]
    assert data_of("hf:farm") == ["hf:farm", "90s"]
