"""The commands in a report ask for the same search again."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from archdsl.cli import main
from archdsl.load.spaces import load_space
from archdsl.search.config import Settings
from archdsl.search.defaults import settings_of
from archdsl.search.report import read_report
from archdsl.search.report.commands import search_command
from archdsl.search.request import SettingsRequest
from tests.support.reported import RECORDED, copied_run, edit, recorded

run = pytest.fixture(copied_run)


def test_the_commands_to_reproduce_ask_for_the_same_search(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def remember(space: str, **given: Any) -> None:
        asked.update(given, space=space)
        raise KeyboardInterrupt

    monkeypatch.setattr("archdsl.search.api.run", remember)
    command = dict(recorded().reproduce)["search again"]
    assert main(shlex.split(command)[1:]) == 130
    space = asked.pop("space")
    named = {field.name for field in fields(SettingsRequest)}
    request = SettingsRequest(**{name: value for name, value in asked.items() if name in named})
    before = Settings(**json.loads((RECORDED / "run.json").read_text()))
    assert settings_of(space, request).differences(before) == []


def test_a_shipped_space_is_named_and_not_written_out(run: Path) -> None:
    shipped = load_space("lit-dat-64").model_dump(mode="json", by_alias=True, exclude_unset=True)
    edit(run, "run.json", lambda settings: settings | {"space": shipped})
    (what, command), *_ = read_report(run).reproduce
    assert what == "search again"
    assert command.startswith("archdsl search lit-dat-64 ")


def test_a_run_under_a_throughput_budget_is_reproduced_under_it() -> None:
    command = search_command({"latency_budget_ms": 40.0, "throughput_budget": 200.0, "batch": 8}, "x")
    assert command == "archdsl search x --throughput-budget 200/s --batch 8 --parent none"


def test_a_budget_in_percent_is_also_given_in_the_milliseconds_that_it_was(run: Path) -> None:
    edit(run, "run.json", lambda settings: settings | {"latency_share": 0.6, "latency_budget_ms": 0.4032})
    commands = dict(read_report(run).reproduce)
    assert " --latency-budget 60% " in commands["search again"]
    (said,) = [said for said in commands if "60 % of the parent's latency were 0.4032 ms in this run" in said]
    assert " --latency-budget 0.4032ms " in commands[said]


@pytest.mark.parametrize("budget", [0.1 + 0.2, 5.0, 1e-3, 1234567.891])
def test_a_budget_keeps_all_its_digits(budget: float) -> None:
    words = shlex.split(search_command({"latency_budget_ms": budget}, "x"))
    assert float(words[words.index("--latency-budget") + 1].removesuffix("ms")) == budget


def test_a_space_of_ones_own_is_read_from_the_settings_of_the_run(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(run, "run.json", lambda settings: settings | {"space": settings["space"] | {"name": "my-own"}})
    words = shlex.split(dict(read_report(run).reproduce)["search again"])
    assert words[:3] == ["archdsl", "search", str(run / "run.json")]
    written = json.loads((run / "run.json").read_text())["space"]
    assert load_space(words[2]) == load_space(written)
    assert main(["new", words[2]]) == 0
    assert json.loads(capsys.readouterr().out) == written
    edit(run, "run.json", lambda settings: settings | {"space": settings["space"] | {"image": "x"}})
    assert main(["check", words[2]]) == 1
    assert capsys.readouterr().out.startswith(f"{words[2]}: image: image must be an integer")


def test_the_recorded_settings_are_those_of_today() -> None:
    Settings.model_validate_json((RECORDED / "run.json").read_bytes())
