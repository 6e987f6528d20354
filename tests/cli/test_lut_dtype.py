"""`archdsl lut` and data types that its parts have not."""

from __future__ import annotations

import pytest

from tests.support.commands import Run, command_line

run = pytest.fixture(command_line)


@pytest.mark.parametrize("command", ["build", "show", "predict"])
def test_int8_is_pointed_to_a_command_that_takes_it(command: str, run: Run) -> None:
    network = ["lit_ti"] if command == "predict" else []
    ended = run("lut", command, "lit-dat-64", *network, "--dtype", "int8")
    assert (ended.code, ended.out) == (2, "")
    assert "measure whole networks: archdsl bench SPEC --dtype int8" in " ".join(ended.err.split())
