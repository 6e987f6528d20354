"""What one run takes from the cache of another: accuracies, of the same training alone, and no latencies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fake_worker import Machine
from tests.support.searching import Lines, quicken, records, search


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def test_another_run_takes_accuracies_from_the_cache_and_measures_again(tmp_path: Path) -> None:
    search(tmp_path / "one", trials=4)
    machine = Machine()
    lines = Lines()
    result = search(tmp_path / "two", machine, watcher=lines, trials=4)
    assert {trial.outcome for trial in result.records} == {"cached"}
    assert result.winner is not None
    assert machine.names("train") == [result.winner.name]  # for its weights, which the cache does not hold
    assert len(machine.names("measure")) >= 4
    first, two = ([record["accuracy"] for record in records(tmp_path / name)] for name in ("one", "two"))
    assert first == two
    trial_lines = [line for line in lines.told if line.startswith("trial ")]
    assert [line.endswith("% (accuracy from the cache)") for line in trial_lines] == [
        ", accuracy " in line for line in trial_lines
    ]
    assert sum(line.endswith("(accuracy from the cache)") for line in trial_lines) == 4 - sum(
        ": p10" in line for line in trial_lines
    )


def test_other_training_settings_and_damaged_entries_miss_the_cache(tmp_path: Path) -> None:
    search(tmp_path / "one", trials=2, latency_budget_ms=None)
    machine = Machine()
    search(tmp_path / "two", machine, trials=2, epochs=1.0, latency_budget_ms=None)
    assert len(set(machine.names("train"))) == 2
    for number, file in enumerate(sorted((tmp_path / "cache").rglob("*.json"))):
        file.write_text(["{", "[]", '{"accuracy": 1}'][number % 3])
    again = Machine()
    search(tmp_path / "three", again, trials=2, latency_budget_ms=None)
    assert len(set(again.names("train"))) == 2
