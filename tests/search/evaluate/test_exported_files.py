"""Exported files of candidates: written once, bounded in number and size, and gone after the search."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from archdsl import load_spec, override
from archdsl.search.evaluate.exported_files import FOLDER, ExportedFiles
from archdsl.search.policy.evaluate import ExportedFilesPolicy
from tests.support.fake_worker import Machine
from tests.support.searching import quicken, search

SPECS = [override(load_spec("litv2_s"), [f"stage3.depth={depth}"]) for depth in range(1, 6)]


def kept(run: Path) -> int:
    return len(list((run / FOLDER).iterdir()))


def test_a_search_exports_no_candidate_twice_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    run, machine = tmp_path / "run", Machine()
    (run / FOLDER).mkdir(parents=True)
    (run / FOLDER / "of a search that was killed.onnx").write_text("")
    machine.disturbed = 0.9  # each trial is read twice
    result = search(run, machine, runtime="onnxruntime", trials=6)
    assert result.verdict.spec is not None
    measured = [request for request in machine.asked if request["do"] == "measure" and request["weights"] is None]
    assert max(Counter(machine.exported).values()) == 1
    assert len(machine.exported) <= 7 < len(measured)
    assert {request["file"] for request in measured} == {str(file) for file in machine.exported}
    assert not (run / FOLDER).exists()


def test_runtimes_of_modules_export_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    machine = Machine()
    search(tmp_path / "run", machine, trials=2)
    assert machine.exported == []
    assert all(request["file"] is None for request in machine.asked if request["do"] == "measure")


def test_the_files_used_the_longest_ago_are_removed_but_none_that_is_in_use(tmp_path: Path) -> None:
    files = ExportedFiles(tmp_path, ExportedFilesPolicy(most=2))
    with files.using(SPECS[0]) as first:
        first.write_text("first")
        for spec in SPECS[1:]:
            with files.using(spec) as file:
                file.write_text("another")
        assert first.is_file()
        assert kept(tmp_path) == 2
    with files.using(SPECS[0]) as again:
        assert again == first


def test_files_take_no_more_room_than_the_policy_allows(tmp_path: Path) -> None:
    files = ExportedFiles(tmp_path, ExportedFilesPolicy(most_bytes=25))
    for spec in SPECS:
        with files.using(spec) as file:
            file.write_bytes(bytes(10))
    assert kept(tmp_path) == 2
    files.remove()
    assert not (tmp_path / FOLDER).exists()
