"""The commands in a report ask for the same search again."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from archdsl.cli import main
from archdsl.load.spaces import load_space
from archdsl.search.config import Settings
from archdsl.search.defaults import settings_of
from archdsl.search.report import Report, read_report
from archdsl.search.report.commands import search_command
from archdsl.search.request import SettingsRequest
from tests.support.reported import RECORDED, copied_run, edit, recorded

run = pytest.fixture(copied_run)


def test_the_commands_to_reproduce_ask_for_the_same_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, Any] = {}

    def remember(space: str, **given: Any) -> None:
        asked.update(given, space=space)
        raise KeyboardInterrupt

    monkeypatch.setattr("archdsl.search.api.run", remember)
    monkeypatch.chdir(write_space(recorded(), tmp_path))
    command = dict(recorded().reproduce)["search again"]
    assert main(shlex.split(command)[1:]) == 130
    space = asked.pop("space")
    named = {field.name for field in fields(SettingsRequest)}
    request = SettingsRequest(**{name: value for name, value in asked.items() if name in named})
    assert settings_of(space, request) == Settings(**json.loads((RECORDED / "run.json").read_text()))


def write_space(report: Report, folder: Path) -> Path:
    """The folder, with the searched space in it, as the report's first command writes it."""
    first = shlex.split(dict(report.reproduce)["write the space to a file"])
    code, file = first[: first.index(">")], first[first.index(">") + 1]
    done = subprocess.run([sys.executable, *code[1:]], capture_output=True, text=True, check=True)
    (folder / file).write_text(done.stdout)
    return folder


def test_a_shipped_space_is_named_and_not_written_out(run: Path) -> None:
    shipped = load_space("lit-dat-64").model_dump(mode="json", by_alias=True, exclude_unset=True)
    edit(run, "run.json", lambda settings: settings | {"space": shipped})
    (what, command), *_ = read_report(run).reproduce
    assert what == "search again"
    assert command.startswith("archdsl search lit-dat-64 ")


def test_a_run_under_a_throughput_budget_is_reproduced_under_it() -> None:
    command = search_command({"latency_budget_ms": 40.0, "throughput_budget": 200.0, "batch": 8}, "x")
    assert command == "archdsl search x --throughput-budget 200/s --batch 8"


@pytest.mark.parametrize("budget", [0.1 + 0.2, 5.0, 1e-3, 1234567.891])
def test_a_budget_keeps_all_its_digits(budget: float) -> None:
    words = shlex.split(search_command({"latency_budget_ms": budget}, "x"))
    assert float(words[words.index("--latency-budget") + 1].removesuffix("ms")) == budget


def test_a_space_of_ones_own_is_written_out_first(run: Path, tmp_path: Path) -> None:
    edit(run, "run.json", lambda settings: settings | {"space": settings["space"] | {"name": "my own; rm -rf"}})
    report = read_report(run)
    name = "my own; rm -rf.json"
    space = json.loads((write_space(report, tmp_path) / name).read_text())
    assert space == json.loads((run / "run.json").read_text())["space"]
    assert shlex.split(dict(report.reproduce)["search again"])[2] == f"./{name}"


def test_the_recorded_settings_are_those_of_today() -> None:
    Settings.model_validate_json((RECORDED / "run.json").read_bytes())
