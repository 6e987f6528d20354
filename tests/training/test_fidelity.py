"""The length of a training: enough steps whatever the size of the data, and a batch that grows on CUDA alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archdsl.search.config import Settings
from archdsl.search.defaults import settings_of
from archdsl.search.loaded_data import DataFacts, DataRequest
from archdsl.search.proxy_check import api as proxy_check
from archdsl.search.proxy_check.check import Check
from archdsl.search.report.commands import search_command
from archdsl.search.request import SettingsRequest
from archdsl.search.store import cache
from archdsl.search.store.cache import training_key
from archdsl.training.fidelity import LEAST_STEPS, Fidelity, batch_on, fidelity_of, length_note
from tests.support.fake_worker import Machine
from tests.support.searching import SPACE, Lines, quicken, records, search, settings

DATA = DataFacts(20, 3, 2000, 100, 100, 0.05, "fake", "0", DataRequest("fake", 32, 0, 2000), "2")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def asked(tmp_path: Path, epochs: float | None = None) -> Settings:
    """The settings of a search as a user asks for it."""
    file = tmp_path / "tiny.json"
    file.write_text(json.dumps(SPACE))
    return settings_of(file, SettingsRequest(device="cpu", epochs=epochs))


@pytest.mark.parametrize(
    ("images", "text", "steps"),
    [
        (240, "10 epochs of 240 images (150 steps)", 150),
        (250, "9.6 epochs of 250 images (150 steps)", 150),
        (271, "8.9 epochs of 271 images (151 steps)", 151),
        (1, "2400 epochs of 1 image (150 steps)", 150),
        (1100, "2.2 epochs of 1,100 images (151 steps)", 151),
        (1200, "2 epochs of 1,200 images", 150),
        (2000, "2 epochs of 2,000 images", 250),
        (50_000, "2 epochs of 2,000 images", 250),
    ],
)
def test_small_data_is_read_more_often_until_there_are_150_steps(
    tmp_path: Path, images: int, text: str, steps: int
) -> None:
    fidelity = fidelity_of(asked(tmp_path), images)
    assert (str(fidelity), fidelity.steps) == (text, steps)


@pytest.mark.parametrize("images", [2, 3, 17, 239, 240, 241, 777, 1199])
def test_there_are_never_fewer_steps_and_finalists_train_three_times_longer(tmp_path: Path, images: int) -> None:
    asked_for = asked(tmp_path)
    short, longer = fidelity_of(asked_for, images), fidelity_of(asked_for, images, 3.0)
    assert short.steps >= LEAST_STEPS
    assert longer.epochs == pytest.approx(3 * short.epochs)
    assert longer.steps == pytest.approx(3 * short.steps, abs=2)


def test_epochs_that_are_asked_for_hold_with_a_warning(tmp_path: Path) -> None:
    asked_for = asked(tmp_path, epochs=2.0)
    assert fidelity_of(asked_for, 240) == Fidelity(2.0, 240)
    note = length_note(asked_for, 240)
    assert note is not None
    assert note.startswith("warning: 2 epochs of 240 images is only 30 steps of training")
    assert "--epochs 10" in note
    assert length_note(asked_for, 2000) is None
    assert length_note(asked(tmp_path), 2000) is None
    assert "10 epochs of 240 images (150 steps)" in str(length_note(asked(tmp_path), 240))


def test_a_search_trains_so_long_and_says_so(tmp_path: Path) -> None:
    machine, lines = Machine(), Lines()
    search(tmp_path, machine, watcher=lines, least_steps=150, trials=3, latency_budget_ms=None)
    epochs = [request["epochs"] for request in machine.asked if request["do"] == "train"]
    assert set(epochs) == {240.0, 720.0}
    assert any("240 epochs of 10 images (150 steps)" in line for line in lines.told)
    fidelities = {record["provenance"]["proxy"]["fidelity"] for record in records(tmp_path)}
    assert fidelities == {"240 epochs of 10 images (150 steps)", "720 epochs of 10 images (450 steps)"}


def test_an_older_run_goes_on_with_its_own_epochs_and_the_warning(tmp_path: Path) -> None:
    search(tmp_path / "run", Machine(), trials=2, latency_budget_ms=None)
    written = json.loads((tmp_path / "run" / "run.json").read_text())
    del written["least_steps"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(written))
    machine, lines = Machine(), Lines()
    search(tmp_path / "run", machine, resume=True, watcher=lines, trials=4, latency_budget_ms=None)
    assert {request["epochs"] for request in machine.asked if request["do"] == "train"} == {2.0, 6.0}
    assert any(line.startswith("warning: 2 epochs of 10 images is only 1 step of training") for line in lines.told)


def test_a_proxy_check_trains_as_long_as_finalists_are_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tiny.json"
    file.write_text(json.dumps(SPACE))
    checks: list[Check] = []
    monkeypatch.setattr(proxy_check, "check", lambda asked, *_, **__: checks.append(asked))
    for epochs in (None, 6.0):
        proxy_check.checked_proxies(file, device="cpu", epochs=epochs)
    whole, short = (check.settings for check in checks)
    assert fidelity_of(whole, 240) == fidelity_of(asked(tmp_path), 240, 3.0)
    assert fidelity_of(whole, 2000) == fidelity_of(asked(tmp_path), 2000, 3.0)
    assert fidelity_of(short, 240).steps == 90


@pytest.mark.parametrize(
    ("device", "epochs", "images", "batch"),
    [
        ("cpu", 100.0, 2000, 16),
        ("cuda", 2.0, 2000, 16),  # 125 steps of 32
        ("cuda:1", 6.0, 2000, 64),  # 188 steps of 64, 94 of 128
        ("cuda", 2.4, 2000, 32),  # exactly 150 steps of 32
        ("cuda", 1.0, 38_400, 256),  # exactly 150
        ("cuda", 100.0, 50_000, 256),
        ("cuda", 0.1, 100, 16),
    ],
)
def test_on_cuda_the_batch_grows_as_long_as_150_steps_remain(
    device: str, epochs: float, images: int, batch: int
) -> None:
    assert batch_on(device, epochs, images) == batch
    assert Fidelity(epochs, images, batch).steps >= LEAST_STEPS or batch == 16


def test_the_batch_is_chosen_by_what_is_asked_and_named() -> None:
    fidelity = fidelity_of(settings(), 2000, 3.0, lambda device, epochs, images: 64)
    assert str(fidelity) == "6 epochs of 2,000 images (188 steps of 64)"


def test_what_the_cache_knows_is_named_by_epochs_and_batch() -> None:
    searched = settings(images=3000)
    keys = {training_key("a", searched, replace(DATA, images=images)) for images in (240, 2000)}
    keys |= {
        training_key("a", searched, DATA, 3.0),
        training_key("a", searched.model_copy(update={"epochs": 1.0}), DATA),
    }
    assert len(keys) == 3  # the number of images is the data's fingerprint
    small = replace(DATA, images=240)
    assert training_key("a", settings(least_steps=150), small) == training_key("a", settings(epochs=10.0), small)
    facts: dict[str, Any] = {
        "network": "a",
        "training": searched.training_key(),
        "data": "0",
        "epochs": 2.0,
        "device": "cpu",
        "torch": "2",
    }
    assert training_key("a", searched, DATA) == cache.key(**facts, recipe=2)  # as earlier versions named it
    on_cuda = settings(device="cuda", epochs=6.0)
    facts |= {"training": on_cuda.training_key(), "epochs": 6.0, "device": "cuda", "batch": 64}
    assert training_key("a", on_cuda, DATA) == cache.key(**facts, recipe=2)


def test_the_command_that_repeats_a_search_names_epochs_only_where_they_were_asked_for(tmp_path: Path) -> None:
    assert "--epochs" not in search_command(asked(tmp_path).model_dump(), "tiny")
    assert "--epochs 2" in search_command(asked(tmp_path, epochs=2.0).model_dump(), "tiny")
