"""`archdsl report` prints the report, writes the page and exports it; what it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from archdsl.cli import main
from tests.support.reported import Page, copied_run

run = pytest.fixture(copied_run)


def test_the_command_prints_the_report_and_writes_the_page(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run)]) == 0
    said = capsys.readouterr()
    assert "PASS  lit-dat-64-" in said.out
    assert said.err == f"wrote {run}/report.html: this report as an HTML page\n"
    Page((run / "report.html").read_text())


def test_the_command_exports_and_with_json_writes_nothing_unasked(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, sheet = tmp_path / "page.html", tmp_path / "sheet.csv"
    assert main(["-q", "report", str(run), "--json", "--csv", str(sheet)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["verdict"]["passed"] is True
    assert facts["trials"][0]["provenance"]["latency"]["provenance"]["torch"]
    assert facts["winner"]["kind"] == "arch"
    assert not (run / "report.html").exists()
    assert len(sheet.read_text().splitlines()) == 22
    assert main(["-q", "report", str(run), "--html", str(page)]) == 0
    assert page.exists()
    assert not (run / "report.html").exists()


def test_a_folder_that_is_no_run_is_wrong_use(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run.parent / "rum")]) == 2
    assert capsys.readouterr().err == f"no such folder: {run.parent}/rum; did you mean {run}?\n"
    for age, name in enumerate(["a", "b", "c", "d"]):
        (run.parent / name).mkdir()
        (run.parent / name / "run.json").write_text("{}")
        os.utime(run.parent / name / "run.json", (age, age))
    os.utime(run / "run.json", (9, 9))
    assert main(["report", str(run.parent / "20261128")]) == 2
    newest = f"{run}, {run.parent}/d, {run.parent}/c"
    assert capsys.readouterr().err == f"no such folder: {run.parent}/20261128; the newest runs there: {newest}\n"
    assert main(["report", str(run.parent)]) == 2
    assert "holds no run: run.json and trials.jsonl are not there" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_fails_only_where_it_was_asked_for(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "report.html").mkdir()
    assert main(["report", str(run)]) == 0
    assert "cannot write " in capsys.readouterr().err
    assert main(["report", str(run), "--html", str(run / "none" / "page.html")]) == 1
    assert "none" in capsys.readouterr().err
