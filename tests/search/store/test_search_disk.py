"""Faults of the disk and of the database: the search stops with one line, and no finished trial is lost."""

from __future__ import annotations

import resource
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from archdsl.errors import SearchError
from archdsl.search.policy.propose import StudyPolicy
from archdsl.search.propose import storage, study
from archdsl.search.store import folder as run_folder
from tests.support.searching import RANDOM, quicken, search, when_training
from tests.support.searching import trials as records
from tests.support.trials import trial


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def test_a_full_disk_ends_the_search_with_one_line_and_loses_no_finished_trial(tmp_path: Path) -> None:
    file, aside = tmp_path / "run" / "trials.jsonl", tmp_path / "aside"

    def fill() -> None:
        file.rename(aside)
        file.symlink_to("/dev/full")

    with pytest.raises(
        SearchError, match=r"No space left on device; the finished trials are in .*; continue with --resume"
    ):
        search(tmp_path / "run", when_training(3, fill), trials=6)
    aside.replace(file)
    before = records(tmp_path / "run")
    result = search(tmp_path / "run", resume=True, trials=6)
    assert len(before) >= 2
    assert records(tmp_path / "run")[: len(before)] == before
    assert result.trials == 6


def test_a_line_that_does_not_fit_on_the_disk_is_not_written_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(tmp_path / "run", trials=2)
    file = tmp_path / "run" / "trials.jsonl"
    before = file.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            run_folder.RunFolder(tmp_path / "run").append(trial(network_hash="9" * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == before


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies in the database of their folder."""
    monkeypatch.setattr(study, "open_storage", storage.open_storage)


@pytest.mark.usefixtures("on_disk")
def test_a_study_that_is_damaged_while_a_trial_runs_stops_with_one_line_and_goes_on_without_it(tmp_path: Path) -> None:
    file = tmp_path / "run" / "study.db"
    machine = when_training(2, lambda: file.write_bytes(b"x" * file.stat().st_size))
    with pytest.raises(SearchError, match=r"the study cannot be reached any more: .*; the finished trials are in"):
        search(tmp_path / "run", machine, trials=5)
    before = records(tmp_path / "run")
    with pytest.raises(SearchError, match=r"study\.db: file is not a database; move it away to continue without"):
        search(tmp_path / "run", resume=True, trials=5)
    file.unlink()
    assert search(tmp_path / "run", resume=True, trials=5).trials == 5
    assert len(before) >= 1
    assert records(tmp_path / "run")[: len(before)] == before


@pytest.mark.usefixtures("on_disk")
def test_a_study_that_another_process_locks_stops_with_one_line_and_goes_on_when_it_is_free(
    tmp_path: Path,
) -> None:
    policy, held = replace(RANDOM, study=StudyPolicy(locked_s=0.05)), list[sqlite3.Connection]()

    def lock() -> None:
        held.append(sqlite3.connect(tmp_path / "run" / "study.db", isolation_level=None))
        held[0].execute("BEGIN EXCLUSIVE")

    with pytest.raises(SearchError, match="the study cannot be reached any more: database is locked; the finished"):
        search(tmp_path / "run", when_training(2, lock), policy=policy, trials=4)
    held[0].close()
    before = records(tmp_path / "run")
    assert search(tmp_path / "run", resume=True, trials=4).trials == 4
    assert records(tmp_path / "run")[: len(before)] == before
