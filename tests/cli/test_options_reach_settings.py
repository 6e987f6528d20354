"""The options of `search`, `doctor` and `proxy-check` are the parameters of the library, and each one arrives there."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from archdsl.cli import main
from archdsl.cli.app import app
from archdsl.search import run as run_search
from archdsl.search.config import Settings
from archdsl.search.proxy_check.api import checked_proxies
from archdsl.search.request import SettingsRequest
from archdsl.search.worker.machine_options import MachineOptions
from tests.support.commands import TINY

SETTINGS: dict[str, tuple[str, Any]] = {
    "latency_budget_ms": ("--latency-budget 7ms", 7.0),
    "latency_share": ("--latency-budget 60%", 0.6),
    "parent": ("--parent none", None),
    "library": ("--library /fitted", "/fitted"),
    "throughput_budget": ("--throughput-budget 50/s", 50.0),
    "params_budget": ("--params-budget 3M", 3e6),
    "macs_budget": ("--macs-budget 1G", 1e9),
    "memory_budget": ("--memory-budget 200MB", 2e8),
    "device": ("--device cpu", "cpu"),
    "batch": ("--batch 4", 4),
    "dtype": ("--dtype bf16", "bfloat16"),
    "runtime": ("--runtime compile", "compile"),
    "mode": ("--mode compile", "compile"),
    "features_only": ("--features-only", True),
    "optimize": ("--optimize", True),
    "target": ("--target ssh://pi@host:22 --runtime onnxruntime", "ssh://pi@host:22"),
    "threads": ("--threads 3", 3),
    "stat": ("--stat p90", "p90"),
    "data": ("--data digits", "digits"),
    "epochs": ("--epochs 0.5", 0.5),
    "images": ("--images 123", 123),
    "trials": ("--trials 45", 45),
    "time_s": ("--time 6m", 360.0),
    "sampler": ("--sampler tpe", "tpe"),
    "seed": ("--seed 9", 9),
}
MACHINE: dict[str, tuple[str, Any]] = {
    "workers": ("--workers 2", 2),
    "trial_time_s": ("--trial-time 2m", 120.0),
    "trial_memory": ("--trial-memory 2GB", 2e9),
    "storage": ("--storage postgresql://me@host/studies", "postgresql://me@host/studies"),
    "role": ("--role train --storage postgresql://me@host/studies", "train"),
}
OTHERS = {"out", "resume", "earlier", "also"}
OTHER_FORMS = {"latency_share"}
"""What an option of another name is read as: --latency-budget."""
AS_SETTING = {"mode": "runtime"}
AS_MACHINE_OPTION = {"trial_time_s": "trial_s", "trial_memory": "trial_bytes"}


def options_of(command: str) -> dict[str, Any]:
    """Names and defaults of a command's options, but for those that every command has."""
    parameters = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]  # it is a group
    return {found.name: found.default for found in parameters if found.name not in ("space", "help", "as_json")}


def parameters_of(function: Callable[..., Any], without: set[str]) -> dict[str, Any]:
    found = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default for parameter in found if parameter.name not in {"space", *without}}


def test_the_options_of_a_search_are_the_parameters_of_run_with_their_defaults() -> None:
    assert options_of("search") == parameters_of(run_search, {"watcher", *OTHER_FORMS})
    assert options_of("search").keys() == {*SETTINGS, *MACHINE, *OTHERS} - OTHER_FORMS


def test_the_options_of_a_proxy_check_are_the_parameters_of_its_function_with_their_defaults() -> None:
    assert options_of("proxy-check") == parameters_of(checked_proxies, {"say"})


def test_every_setting_that_is_not_made_by_the_search_itself_can_be_asked_for() -> None:
    asked = {field.name for field in fields(SettingsRequest)}
    assert asked == {"also", *(AS_SETTING.get(name, name) for name in SETTINGS)}
    by_itself = {
        "space",
        "chosen_threads",
        "least_steps",
        "asked_budgets",
        "trains_parent",
        "fits_library",
        "leaves_space",
    }
    assert set(Settings.model_fields) - asked == by_itself


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a search begins with."""
    found: dict[str, Any] = {}

    def begin(settings: Settings, folder: Path, resume: bool, *_: Any, **named: Any) -> None:
        found.update(settings=settings, folder=folder, resume=resume, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr("archdsl.search.api.run_search", begin)
    monkeypatch.setattr("archdsl.search.defaults.check_library", lambda request, space: None)
    monkeypatch.setattr("archdsl.search.api.require_feasible", lambda settings, policy: None)
    return found


def start(*options: str) -> None:
    device = [] if any("--device" in option for option in options) else ["--device", "cpu"]
    assert main(["search", "lit-dat-64", *device, *(word for option in options for word in shlex.split(option))]) == 130


@pytest.mark.parametrize("name", SETTINGS)
def test_an_option_reaches_the_settings(name: str, begun: dict[str, Any]) -> None:
    option, value = SETTINGS[name]
    start(option)
    assert getattr(begun["settings"], AS_SETTING.get(name, name)) == value


@pytest.mark.parametrize("name", MACHINE)
def test_an_option_of_this_machine_reaches_the_search(name: str, begun: dict[str, Any]) -> None:
    option, value = MACHINE[name]
    start(option)
    options = begun["options"]
    assert isinstance(options, MachineOptions)
    assert getattr(options, AS_MACHINE_OPTION.get(name, name)) == value


def test_networks_named_beside_the_space_reach_the_settings_as_documents(begun: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({**TINY, "name": "mine", "image": 64, "classes": 20}))
    start(f"--also {file}", f"--also {file}")
    assert [document["name"] for document in begun["settings"].also] == ["mine", "mine"]
    assert begun["settings"].also[0]["image"] == 64


def test_folders_reach_the_search(begun: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.search.api.check_folders", lambda folders: None)
    start(f"--out {tmp_path / 'new'}", "--from old", "--from older")
    assert (begun["folder"], begun["resume"], begun["earlier"]) == (tmp_path / "new", False, ["old", "older"])


@pytest.mark.parametrize(
    "name", sorted(set(SETTINGS) - {"trials", "time_s", "sampler", "mode", "target", "parent", "library", *OTHER_FORMS})
)
def test_an_option_of_doctor_reaches_the_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Settings] = []

    def examine(settings: Settings, **_: Any) -> None:
        found.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr("archdsl.search.doctor.doctor.examine", examine)
    option, value = SETTINGS[name]
    assert main(["doctor", "lit-dat-64", "--device", "cpu", *shlex.split(option)]) == 130
    assert getattr(found[0], name) == value


@pytest.mark.parametrize("name", sorted(options_of("proxy-check").keys() & SETTINGS.keys()))
def test_an_option_of_a_proxy_check_reaches_its_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []

    def check(asked: Any, *_: Any) -> None:
        found.append(asked)
        raise KeyboardInterrupt

    monkeypatch.setattr("archdsl.search.proxy_check.api.check", check)
    option, value = SETTINGS[name]
    words = ["--device", "cpu", "--networks", "12", "--seeds", "3", *shlex.split(option)]
    assert main(["proxy-check", "lit-dat-64", *words]) == 130
    assert getattr(found[0].settings, name) == value
    assert (found[0].networks, found[0].seeds) == (12, 3)
