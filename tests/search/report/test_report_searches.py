"""The report and the study that a search leaves, however it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from archdsl.search.loop import session as runner
from archdsl.search.policy import Policy
from archdsl.search.propose import study
from archdsl.search.propose.storage import open_storage
from archdsl.search.report import read_report
from tests.support.fake_worker import Machine
from tests.support.reported import every_form
from tests.support.searching import quicken, search


def test_a_search_writes_its_report_and_the_report_of_each_end_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    search(tmp_path / "passed")
    assert "PASS" in (tmp_path / "passed" / "report.html").read_text()
    search(tmp_path / "failed", latency_budget_ms=0.5, trials=3)
    assert "FAIL  nearest miss" in (tmp_path / "failed" / "report.html").read_text()
    every_form(read_report(tmp_path / "failed"))


def test_an_interrupted_search_is_reported_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    machine = Machine()

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == "train" and len(machine.names("train")) == 3:
            machine.on_ask = None
            raise KeyboardInterrupt

    machine.on_ask = on_ask
    search(tmp_path / "run", machine)
    assert "until it was interrupted" in every_form(read_report(tmp_path / "run"))


def test_a_fault_of_the_report_is_told_and_costs_no_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    lines: list[str] = []

    def broken(folder: Path, policy: Policy) -> None:
        raise ValueError("of no\nkind")

    monkeypatch.setattr(runner, "read_report", broken)
    result = search(tmp_path / "run", trials=2, watcher=lambda _, line: lines.append(line or ""))
    assert result.verdict.passed
    assert lines[-1] == "no report.html was written: of no kind"


def test_a_study_carries_what_a_dashboard_shows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(study, "open_storage", open_storage)
    result = search(tmp_path / "run", trials=12)
    found = optuna.load_study(study_name="search", storage=f"sqlite:///{tmp_path}/run/study.db")
    assert found.metric_names == ["proxy accuracy", "latency, ms"]
    assert found.user_attrs["space"] == "tiny"
    assert found.user_attrs["latency budget, ms"] == 6.0
    by_hash = {trial.user_attrs["hash"]: trial.user_attrs for trial in found.trials if "hash" in trial.user_attrs}
    for record in result.records[:12]:
        attributes = by_hash[record.network_hash]
        assert attributes["name"] == record.name
        assert attributes["latency_ms"] == record.latency_ms
        assert attributes.get("accuracy") == record.accuracy
        assert attributes.get("reason") == record.reason
    report = read_report(tmp_path / "run")
    assert report.refused == ""
    assert report.importance[1].trials == 12
    assert report.importance[1].shares
