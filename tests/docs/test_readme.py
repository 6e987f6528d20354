"""What the README shows is what the commands print. `--overwrite` renews it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.shown import ROOT, blocks, enter, hold_commands

README = ROOT / "README.md"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a reader has it, with the README's document as my_net.json."""
    enter(tmp_path, {"my_net": blocks(README, "json")[0]}, monkeypatch)
    return tmp_path


def test_every_command_in_the_readme_prints_what_stands_there(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes], request: pytest.FixtureRequest
) -> None:
    assert hold_commands(README, capfdbinary, request.config.getoption("--overwrite")) >= 5


def test_the_python_in_the_readme_runs(folder: Path) -> None:
    found = blocks(README, "python")
    assert found
    for code in found:
        exec(compile(code, "README.md", "exec"), {})
