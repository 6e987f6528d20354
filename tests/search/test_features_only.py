"""A search for the backbone of dense prediction: what is measured and handed over has no head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl.errors import WrongUse
from archdsl.language.canonical import canonical_hash
from archdsl.load.specs import spec_of
from archdsl.render.search import heading, summary
from archdsl.search.predict.latency_model import table_of
from archdsl.search.propose.study_names import name_of
from archdsl.search.report import read_report
from archdsl.search.report.commands import bench_command, search_command
from archdsl.search.store.winner_usage import maps_of
from archdsl.search.worker.actions import ACTIONS
from tests.support.devices import fake_device
from tests.support.fake_worker import Machine
from tests.support.screens import text_of
from tests.support.searching import quicken, search, settings
from tests.support.small_networks import small


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


@pytest.mark.parametrize("runtime", ["eager", "onnxruntime"])
def test_every_measurement_and_what_is_told_of_the_winner_is_of_the_backbone(runtime: str, tmp_path: Path) -> None:
    machine, run = Machine(), tmp_path / "run"
    result = search(run, machine, runtime=runtime, features_only=True, trials=3)
    kinds = ("measure", "threads", "export", "candidate")
    asked = [request for request in machine.asked if request["do"] in kinds]
    assert all(request["setting"]["features_only"] for request in asked)
    assert json.loads((run / "verdict.json").read_text())["conditions"]["features_only"] is True
    assert json.loads((run / "run.json").read_text())["features_only"] is True
    assert "features only, without head" in text_of(summary(result))
    readme = (run / "README.txt").read_text()
    assert result.verdict.spec is not None
    assert " ".join(f"for one image: {maps_of(result.verdict.spec)}".split()) in " ".join(readme.split())
    assert "Classify" not in readme
    assert "FEATURES_ONLY = True" in (run / "run_winner.py").read_text()
    assert read_report(run).settings["features_only"] is True


def test_a_run_goes_on_only_as_it_began(tmp_path: Path) -> None:
    search(tmp_path / "run", features_only=True, trials=2)
    with pytest.raises(WrongUse, match="--features-only: True in the run, False now"):
        search(tmp_path / "run", resume=True, trials=3)


def test_the_setting_is_part_of_names_commands_and_headings() -> None:
    plain, dense = settings(), settings(features_only=True)
    assert name_of(plain) != name_of(dense)
    assert "features only" in heading(dense, None)
    assert "features only" not in heading(plain, None)
    for command in (
        search_command(dense.model_dump(), "tiny"),
        bench_command(dense.model_dump(), Path("net.json")),
    ):
        assert " --features-only " in f"{command} "
    assert "--features-only" not in search_command(plain.model_dump(), "tiny")


def test_tables_of_classifiers_predict_no_backbone_without_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.search.predict.latency_model.load", lambda *asked: "a table")
    assert str(table_of(settings(), fake_device())) == "a table"
    assert table_of(settings(features_only=True), fake_device()) is None


def test_a_worker_exports_and_measures_a_candidate_without_its_head(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra archdsl[onnx] is not installed")
    pytest.importorskip("onnxruntime", reason="the extra archdsl[onnx] is not installed")
    spec, file = small("quick"), tmp_path / f"{canonical_hash(small('quick'))}.onnx"
    setting: dict[str, Any] = {"device": "cpu", "batch": 1, "dtype": "float32", "runtime": "onnxruntime", "threads": 1}
    request: dict[str, Any] = {"spec": spec.to_json(), "file": str(file), "setting": {**setting, "features_only": True}}
    reply: dict[str, Any] = ACTIONS["candidate"](request, lambda event: None)
    assert reply["bytes"] == file.stat().st_size
    written = file.read_bytes()
    assert ACTIONS["candidate"](request, lambda event: None) == reply
    assert file.read_bytes() == written
    outputs = [output.name for output in onnx.load(file).graph.output]
    assert len(outputs) == len(maps_of(spec_of(spec.to_json())).split("), "))
    assert "logits" not in outputs
    pace: dict[str, Any] = {"rounds": 3, "warmup_s": 0.0, "settle_s": 0.0, "time_limit_s": 5.0}
    measured: dict[str, Any] = ACTIONS["measure"]({**request, "pace": pace}, lambda event: None)
    assert measured["latency"]["provenance"]["features_only"] is True
