"""int8 in the runtimes that run files: the file is quantised, and it is that file which is measured."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl.errors import ExportError, MeasureError, WrongUse
from archdsl.exporting.int8 import quantize_calibrated
from archdsl.latency import Comparison, Setting
from archdsl.latency.measuring import export_seeded
from archdsl.runtimes.exported import export
from archdsl.runtimes.openvino import OpenVino
from archdsl.search.defaults import settings_of
from archdsl.search.request import SettingsRequest
from archdsl.spaces.space import Space
from tests.support.benched import synthetic
from tests.support.commands import Run, command_line
from tests.support.exported_once import convert_once
from tests.support.searching import SPACE
from tests.support.small_networks import images, shaken, small

run = pytest.fixture(command_line)
converted_once = pytest.fixture(autouse=True)(convert_once)

NEEDED = {"onnxruntime": ["onnxruntime"], "openvino": ["openvino", "nncf"]}
NAMES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            not all(importlib.util.find_spec(package) for package in packages), reason=f"{packages} are not installed"
        ),
    )
    for name, packages in NEEDED.items()
]
INTEGER = {"onnxruntime": "MatMulInteger", "openvino": "QuantizeLinear"}


def operators(file: Path) -> set[str]:
    onnx = pytest.importorskip("onnx")
    return {node.op_type for node in onnx.load(file).graph.node}


@pytest.mark.parametrize("name", NAMES)
def test_a_candidate_is_quantised_as_its_runtime_runs_it_fast(name: str, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    export_seeded(small("quick"), file, Setting.checked("cpu", 1, "int8", name))
    assert INTEGER[name] in operators(file)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    latency = archdsl.measure(file, "cpu", dtype="int8", runtime=name, threads=1, rounds=3, least_s=0.0)
    assert latency.provenance["dtype"] == "int8"


def test_runtimes_of_modules_refuse_int8_as_a_wrong_command_line(run: Run) -> None:
    with pytest.raises(WrongUse, match="runtime eager has no dtype int8: exported files alone are quantised"):
        Setting.checked("cpu", 1, "int8", "eager")
    for command in (["bench", "lit_ti"], ["search", "lit-dat-64", "--latency-budget", "5ms"]):
        ended = run(*command, "--device", "cpu", "--dtype", "int8", "--runtime", "compile")
        assert (ended.code, ended.out) == (2, "")
        assert "use --runtime onnxruntime or openvino" in ended.err


def test_a_budget_of_a_space_may_be_for_int8(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    budget = {"metric": "latency", "max": 2, "unit": "ms", "device": "cpu", "dtype": "int8"}
    space = Space.model_validate({**SPACE, "budgets": [budget]})
    chosen = settings_of(space, SettingsRequest())
    assert (chosen.dtype, chosen.runtime, chosen.latency_budget_ms) == ("int8", "onnxruntime", 2.0)
    assert settings_of(space, SettingsRequest(dtype="float32")).dtype == "float32"
    (tmp_path / "tiny.json").write_text(json.dumps({**SPACE, "budgets": [budget | {"runtime": "eager"}]}))
    ended = run("search", tmp_path / "tiny.json", "--out", tmp_path / "run")
    assert ended.code == 2
    assert "runtime eager has no dtype int8" in ended.err
    assert not (tmp_path / "run").exists()


def test_openvino_names_the_extra_that_int8_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "nncf" else find(name))
    with pytest.raises(MeasureError, match=r"needs the package nncf for dtype int8; pip install 'archdsl\[int8\]'"):
        Setting.checked("cpu", 1, "int8", "openvino")


def test_a_file_of_float32_is_wrong_before_it_is_quantised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

    def wrong(*_: Any) -> None:
        raise ExportError("the file is wrong")

    monkeypatch.setattr("archdsl.runtimes.verify.refuse", wrong)
    with pytest.raises(MeasureError, match="runtime onnxruntime: the file is wrong"):
        export_seeded(small("quick"), tmp_path / "net.onnx", Setting.checked("cpu", 1, "int8", "onnxruntime"))
    assert list(tmp_path.iterdir()) == []


def test_calibration_keeps_what_the_file_says_of_itself_and_its_answers_roughly(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    for package in NEEDED["openvino"]:
        pytest.importorskip(package, reason=f"{package} is not installed")
    whole, quantized, x = tmp_path / "whole.onnx", tmp_path / "net.onnx", images(1, 32, 32)
    export(shaken("quick"), whole)
    quantize_calibrated(whole, quantized, [x.numpy()])
    assert onnx.load(quantized).metadata_props == onnx.load(whole).metadata_props
    runtime = OpenVino()
    (exact,), (rounded,) = (runtime.open(file, 1).outputs(x) for file in (whole, quantized))
    assert 0 < float((exact - rounded).abs().max()) < 0.5 * float(exact.abs().max())


def test_bench_measures_float32_beside_int8(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    asked: list[str] = []

    def compared(items: Any, device: str, batch: int, dtype: str, *_: Any, **__: Any) -> Comparison:
        asked.append(dtype)
        return synthetic()

    monkeypatch.setattr("archdsl.latency.compare", compared)
    few = ["--device", "cpu", "--runtime", "onnxruntime", "--json"]
    for dtype, wanted in (("int8", ["int8", "float32"]), ("float32", ["float32"])):
        asked.clear()
        ended = run("bench", "lit_ti", *few, "--dtype", dtype)
        assert ended.code == 0, ended.err
        assert asked == wanted
        assert ("float32" in json.loads(ended.out)) is (dtype == "int8")
