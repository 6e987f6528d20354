"""A search in int8: the quantised file is what is measured, judged, chosen by its accuracy, and handed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl.render.report_texts import held_out_line
from archdsl.render.search import summary
from archdsl.search.report import read_report
from archdsl.search.worker.actions import ACTIONS
from archdsl.search.worker.process import Failed
from archdsl.weights import save_model
from archdsl.weights.facts import ModelFacts
from tests.support.bright_images import write_bright_images
from tests.support.fake_worker import Machine
from tests.support.screens import text_of
from tests.support.searching import Lines, quicken, search
from tests.support.small_networks import shaken

RUNTIME: dict[str, Any] = {"runtime": "onnxruntime", "dtype": "int8", "threads": 1}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def verdict_in(run: Path) -> dict[str, Any]:
    verdict: dict[str, Any] = json.loads((run / "verdict.json").read_text())
    return verdict


def asked(machine: Machine, *kinds: str) -> list[dict[str, Any]]:
    return [request for request in machine.asked if request["do"] in kinds]


def test_the_verdict_states_the_accuracy_of_the_quantised_file_with_that_of_float32_beside_it(tmp_path: Path) -> None:
    machine, run = Machine(), tmp_path / "run"
    result = search(run, machine, trials=6, **RUNTIME)
    verdict, told = verdict_in(run), text_of(summary(result), width=200)
    assert verdict["verdict"] == "PASS"
    for of in ("validation", "held_out"):
        assert verdict[of]["accuracy"] == pytest.approx(verdict["float32"][of] - 0.1, abs=0.006)
    assert "accuracy of winner.onnx (int8) on 100 held-out images" in told
    assert f"the same weights in float32: {100 * verdict['float32']['held_out']:.1f}" in told
    assert "its accuracy on images was not measured" not in told
    line = held_out_line(read_report(run))
    assert line.startswith("accuracy of winner.onnx (int8) on 100 held-out images")
    assert "the same weights in float32" in line
    requests = asked(machine, "measure", "export", "candidate", "accuracy")
    assert {request["setting"]["dtype"] for request in requests[:-2]} == {"int8"}
    readme = " ".join((run / "README.txt").read_text().split())
    assert "the accuracy that was measured of this very file" in readme
    assert all(request["calibration"]["images"] > 0 for request in asked(machine, "export"))


def test_the_latency_in_float32_stands_beside_the_winners_in_int8(tmp_path: Path) -> None:
    machine, run = Machine(), tmp_path / "run"
    result = search(run, machine, trials=3, **RUNTIME)
    exported, measured = asked(machine, "measure", "export", "candidate", "accuracy")[-2:]
    assert [request["do"] for request in (exported, measured)] == ["candidate", "measure"]
    assert exported["setting"]["dtype"] == measured["setting"]["dtype"] == "float32"
    assert measured["file"] == exported["file"]
    assert not Path(exported["file"]).exists()
    beside = verdict_in(run)["float32"]
    text = f"exported in float32: p10 {beside['latency_ms']:.2f} ms (one short reading of {beside['rounds']} rounds)"
    assert text in " ".join(text_of(summary(result), width=300).split())
    assert text in held_out_line(read_report(run))
    again = search(run, machine, resume=True, trials=3, **RUNTIME)
    assert again.verdict.accuracy == result.verdict.accuracy


def test_where_float32_cannot_be_measured_the_verdict_stands_and_that_is_noted(tmp_path: Path) -> None:
    machine, run, lines = Machine(), tmp_path / "run", Lines()

    def late(request: dict[str, Any]) -> None:
        if request["do"] == "measure" and request["setting"]["dtype"] == "float32":
            raise Failed("it ran out of memory")

    machine.on_ask = late
    result = search(run, machine, trials=3, watcher=lines, **RUNTIME)
    assert result.verdict.verdict == "PASS"
    assert any("its latency in float32 was not measured: it ran out of memory" in line for line in lines.told)
    assert verdict_in(run)["float32"]["latency_ms"] is None
    assert "exported in float32" not in text_of(summary(result), width=300)


def test_the_finalist_whose_file_is_the_most_accurate_wins(tmp_path: Path) -> None:
    exact = search(tmp_path / "exact", Machine(), trials=8, **RUNTIME).verdict
    assert exact.record is not None
    machine, spoilt, lines = Machine(), exact.record.network_hash, Lines()
    machine.lost_in_int8 = lambda network_hash: 0.3 if network_hash == spoilt else 0.0
    result = search(tmp_path / "run", machine, trials=8, watcher=lines, **RUNTIME)
    assert result.verdict.record is not None
    assert result.verdict.record.network_hash != spoilt
    names = [request["file"] for request in asked(machine, "accuracy")]
    assert len(names) == len(set(names)) > 1
    assert any("in int8, " in line and "% in float32" in line for line in lines.told)


def test_a_file_that_quantisation_spoils_is_no_winner(tmp_path: Path) -> None:
    machine = Machine()
    machine.lost_in_int8 = lambda network_hash: 1.0
    result = search(tmp_path / "run", machine, trials=4, **RUNTIME)
    assert result.verdict.verdict == "FAIL"
    assert "is not two standard errors above" in str(result.verdict.reason)


def test_the_accuracy_of_a_backbone_without_head_is_that_of_its_classifier_in_int8(tmp_path: Path) -> None:
    machine, run = Machine(), tmp_path / "run"
    search(run, machine, trials=3, features_only=True, **RUNTIME)
    judged = {request["file"] for request in asked(machine, "accuracy")}
    exported = {request["file"]: request["setting"]["features_only"] for request in asked(machine, "export")}
    assert judged
    assert all(exported[file] is False for file in judged)
    assert any(is_dense for is_dense in exported.values())
    assert not any(Path(file).exists() for file in judged)
    assert verdict_in(run)["float32"] is not None
    assert "states no accuracy, since it gives maps" in " ".join((run / "README.txt").read_text().split())


def test_float32_needs_no_accuracy_of_a_file(tmp_path: Path) -> None:
    machine, run = Machine(), tmp_path / "run"
    search(run, machine, trials=3, runtime="onnxruntime", threads=1)
    assert asked(machine, "accuracy") == []
    assert "float32" not in verdict_in(run)


def test_a_worker_quantises_trained_weights_and_names_images_with_the_file(tmp_path: Path) -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason="the extra archdsl[onnx] is not installed")
    net = shaken("quick")
    write_bright_images(tmp_path / "data.npz", classes=3, count=40, size=32, channels=3)
    save_model(net, tmp_path / "net.safetensors", facts=ModelFacts(classes=tuple("abcdefghij")))
    data: list[Any] = [str(tmp_path / "data.npz"), 32, 0, 20]
    file = tmp_path / "net.onnx"
    setting: dict[str, Any] = {"device": "cpu", "batch": 2, "dtype": "int8", "runtime": "onnxruntime", "threads": 1}
    request: dict[str, Any] = {"weights": str(tmp_path / "net.safetensors"), "file": str(file), "setting": setting}
    calibration: dict[str, Any] = {"data": data, "images": 8}
    exported: dict[str, Any] = ACTIONS["export"]({**request, "calibration": calibration}, lambda event: None)
    assert exported["largest_error"] > 0
    reply: dict[str, Any] = ACTIONS["accuracy"](
        {"file": str(file), "data": data, "setting": setting}, lambda event: None
    )
    validation = reply["validation"]
    assert validation["images"] > 0
    assert 0 <= validation["right"] <= validation["images"]
    assert sum(total for _, total in validation["per_class"].values()) == validation["images"]
    assert stated(file)["validation"]["accuracy"] == validation["right"] / validation["images"]
    assert stated(file)["data"]["name"] == "data.npz"
    written = file.read_bytes()
    ACTIONS["accuracy"]({"file": str(file), "data": data, "setting": setting}, lambda event: None)
    assert file.read_bytes() == written, "its hash stays, by which the verdict names it"


def stated(file: Path) -> dict[str, Any]:
    """The accuracy that an ONNX file says it has."""
    onnx = pytest.importorskip("onnx")
    facts = {each.key: each.value for each in onnx.load(file).metadata_props}
    assert facts["classes"], "what it said before stays"
    accuracy: dict[str, Any] = json.loads(facts["accuracy"])
    return accuracy
