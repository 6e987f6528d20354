"""`archdsl cache` shows what is kept across searches, and clears it and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archdsl.cli import main
from archdsl.files import write_json
from archdsl.latency.tables import kept
from archdsl.search.store import cache


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_an_empty_cache_is_shown_as_such(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"{folder}: empty\n"


def test_it_tells_how_much_is_kept_and_what_that_took(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        cache.put(cache.key(number=number), {"accuracy": 0.5, "seconds": 40.0})
    assert main(["cache"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{folder}: 3 trainings, 102 B"
    assert second.startswith("trainings took 2:00; written ")
    assert main(["cache", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["folder"], found["results"], found["seconds"]) == (str(folder), 3, 120.0)


def test_clearing_removes_the_results_and_leaves_what_others_put_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = cache.key(number=1)
    cache.put(name, {"accuracy": 0.5})
    others = [folder / "notes.json", folder / name[:2] / "mine.json", folder / "lut" / f"{name}.json"]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    assert main(["cache", "clear", "--yes"]) == 0
    assert capsys.readouterr().out == f"removed 1 file from {folder}\n"
    assert cache.get(name) is None
    assert all(path.exists() for path in others)


def test_tables_of_latencies_are_kept_there_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(kept.path("parts", {"device": "cpu"}), {"ms": 1.0}, indent=1)
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"{folder}: 0 trainings, 0 B; 1 file of latencies, 15 B\n"
    assert main(["cache", "clear", "--yes"]) == 0
    assert capsys.readouterr().out == f"removed 1 file from {folder}\n"
    assert kept.files() == []


def test_without_a_terminal_to_ask_on_it_wants_a_yes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = cache.key(number=1)
    cache.put(name, {"accuracy": 0.5})
    assert main(["cache", "clear"]) == 2
    assert "there is no terminal to ask on; add --yes" in capsys.readouterr().err
    assert cache.get(name) is not None


def test_an_empty_cache_is_cleared_without_a_question(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "clear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"folder": str(folder), "removed": 0}


def test_another_word_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "clean"]) == 2
    assert "unknown action 'clean'; did you mean 'clear'?" in capsys.readouterr().err
