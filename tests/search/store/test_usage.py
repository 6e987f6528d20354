"""The text beside a winner: its indented lines, and no others, are a program."""

from __future__ import annotations

import pytest

from archdsl.search.store.winner_usage import usage


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
