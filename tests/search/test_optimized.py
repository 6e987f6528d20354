"""A search with `--optimize`: what is measured and handed over is the inference form, and a run keeps to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl.errors import WrongUse
from archdsl.language.canonical import canonical_hash
from archdsl.render.search import heading, summary
from archdsl.render.verdict import exported_text
from archdsl.search.propose.study_names import name_of
from archdsl.search.report.commands import bench_command, search_command
from archdsl.search.worker.actions import ACTIONS
from tests.support.fake_worker import Machine
from tests.support.screens import text_of
from tests.support.searching import quicken, search, settings
from tests.support.small_networks import small


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


@pytest.mark.parametrize("runtime", ["eager", "onnxruntime"])
def test_every_measurement_and_what_is_told_of_the_winner_is_of_the_form(runtime: str, tmp_path: Path) -> None:
    machine, run = Machine(), tmp_path / "run"
    result = search(run, machine, runtime=runtime, optimize=True, trials=3)
    asked = [request for request in machine.asked if request["do"] in ("measure", "threads", "export", "candidate")]
    assert all(request["setting"]["optimize"] for request in asked)
    assert json.loads((run / "verdict.json").read_text())["conditions"]["optimized"] is True
    assert json.loads((run / "run.json").read_text())["optimize"] is True
    assert "optimized (inference form)" in text_of(summary(result))
    reading = result.verdict.reading
    assert reading is not None
    assert exported_text(reading._replace(conditions={**reading.conditions, "file": {}})).startswith(
        "winner.onnx is the inference form of this network, and its outputs agree"
    )
    assert "'optimize': True" in (run / "run_winner.py").read_text()
    assert "inference form" in (run / "README.txt").read_text()


def test_a_plain_run_says_nothing_of_a_form(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=2)
    assert "optimized" not in json.loads((tmp_path / "run" / "verdict.json").read_text())["conditions"]
    assert "optimize" not in (tmp_path / "run" / "run_winner.py").read_text()


def test_a_run_goes_on_only_as_it_began(tmp_path: Path) -> None:
    search(tmp_path / "run", optimize=True, trials=2)
    with pytest.raises(WrongUse, match="--optimize: True in the run, False now"):
        search(tmp_path / "run", resume=True, trials=3)


def test_the_setting_is_part_of_names_commands_and_headings() -> None:
    plain, form = settings(), settings(optimize=True)
    assert plain.measuring() != form.measuring()
    assert plain.training_key() == form.training_key()
    assert name_of(plain) != name_of(form)
    assert "optimized" in heading(form, None)
    assert "optimized" not in heading(plain, None)
    for command in (search_command(form.model_dump(), "tiny"), bench_command(form.model_dump(), Path("net.json"))):
        assert " --optimize " in f"{command} "
    assert "--optimize" not in search_command(plain.model_dump(), "tiny")


def test_a_worker_exports_and_measures_the_form_of_a_candidate(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra archdsl[onnx] is not installed")
    spec = small("quick")
    setting: dict[str, Any] = {"device": "cpu", "batch": 1, "dtype": "float32", "runtime": "onnxruntime", "threads": 1}
    measured = []
    for optimize in (False, True):
        file = tmp_path / f"{canonical_hash(spec)}-{optimize}.onnx"
        request: dict[str, Any] = {
            "spec": spec.to_json(),
            "file": str(file),
            "setting": setting | {"optimize": optimize},
        }
        ACTIONS["candidate"](request, lambda event: None)
        pace: dict[str, Any] = {"rounds": 3, "warmup_s": 0.0, "settle_s": 0.0, "time_limit_s": 5.0}
        reply: dict[str, Any] = ACTIONS["measure"]({**request, "pace": pace}, lambda event: None)
        measured.append(reply["latency"]["provenance"])
    assert "optimized" not in measured[0]
    assert measured[1]["optimized"] is True
