"""What the README shows is what happens. `--overwrite` renews the output of its commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.shown import ROOT, Session, blocks

README = ROOT / "README.md"


def test_everything_in_the_readme_runs_and_prints_what_stands_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    request: pytest.FixtureRequest,
) -> None:
    renewed = Session(tmp_path, monkeypatch, capfdbinary).renewed(README)
    if request.config.getoption("--overwrite"):
        README.write_text(renewed)
    assert renewed == README.read_text(), "if this is meant, run pytest with --overwrite"


def test_the_readme_is_short_and_shows_the_main_job_on_its_first_screens() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 130
    search = next(block for block in blocks(README) if block.text.startswith("$ archdsl search --latency-budget"))
    assert search.line <= 40
