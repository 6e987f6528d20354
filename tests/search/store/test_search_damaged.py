"""A run's files that hold something else than the run wrote: told in one line with the place, at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl.errors import SearchError
from tests.support.searching import quicken, search


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("clock.json", {"seconds": "x"}, "seconds: Input should be a valid number"),
        ("clock.json", [], "Input should be a valid dictionary"),
        ("noise.json", {}, "gate_ms: Field required"),
        ("known.json", {}, "folders: Field required"),
        ("known.json", [], "Input should be a valid dictionary"),
        ("shared.json", {}, "storage: Field required"),
        ("verdict.json", {"finished": True}, "passed: Field required"),
        ("front.json", 5, "Input should be a valid list"),
    ],
)
def test_a_file_that_is_damaged_is_told_when_a_search_goes_on(
    tmp_path: Path, name: str, content: Any, message: str
) -> None:
    search(tmp_path / "run", trials=2)
    if name not in ("verdict.json", "front.json"):
        (tmp_path / "run" / "verdict.json").unlink()
    (tmp_path / "run" / name).write_text(json.dumps(content))
    with pytest.raises(SearchError, match=rf"{name} is damaged: {message}"):
        search(tmp_path / "run", resume=True, trials=2)


@pytest.mark.parametrize(("line", "message"), [("{}", "number: Field required"), ("5", "Input should be a valid")])
def test_a_line_that_is_no_record_is_told_by_who_goes_on_and_who_takes_over(
    tmp_path: Path, line: str, message: str
) -> None:
    search(tmp_path / "run", trials=2)
    with (tmp_path / "run" / "trials.jsonl").open("a") as file:
        file.write(line + "\n")
    number = len((tmp_path / "run" / "trials.jsonl").read_text().splitlines())
    with pytest.raises(SearchError, match=rf"trials\.jsonl:{number}: not a record: {message}.*; remove the line"):
        search(tmp_path / "run", resume=True, trials=3)
