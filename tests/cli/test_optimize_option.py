"""`--optimize`: the inference form is measured and exported where that has a meaning, and refused where it has none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import archdsl
from archdsl.cli import main
from archdsl.errors import ExportError, MeasureError, WrongUse
from archdsl.latency import compare
from archdsl.latency.provenance import Noted
from tests.support.commands import TINY, tiny_document

ONCE = ("--device", "cpu", "--threads", "1", "--rounds", "1")

small = pytest.fixture(tiny_document)


def test_bench_measures_the_form_and_says_so(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(small), *ONCE, "--optimize", "--runtime", "eager"]) == 0
    captured = capsys.readouterr()
    assert "eager, optimized, 1 rounds" in " ".join(captured.out.split())


def test_provenance_tells_the_form_apart() -> None:
    """A record without the key is of the plain network."""
    spec = archdsl.load_spec(TINY)
    plain = archdsl.measure(spec, device="cpu", threads=1, rounds=1)
    form = archdsl.measure(spec, device="cpu", threads=1, rounds=1, optimize=True)
    assert "optimized" not in plain.provenance
    assert form.provenance["optimized"] is True
    assert (plain.noted.optimized, form.noted.optimized) == (False, True)
    assert Noted.from_json({}).optimized is False


def test_a_runtime_of_files_measures_the_file_of_the_form(tmp_path: Path) -> None:
    """The file is held against the network itself, and differs from that of the plain network."""
    pytest.importorskip("onnxruntime", reason="the extra archdsl[onnx] is not installed")
    spec = archdsl.load_spec(TINY)
    plain, form = (
        archdsl.measure(spec, device="cpu", runtime="onnxruntime", threads=1, rounds=1, optimize=optimize)
        for optimize in (False, True)
    )
    assert form.provenance["optimized"] is True
    files = [latency.provenance["file"] for latency in (plain, form)]
    assert all(isinstance(file, dict) for file in files)
    assert files[0] != files[1]


def test_a_form_that_differs_is_refused_where_it_alone_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("archdsl.optimizing.inference._difference", lambda *networks: 0.5)
    spec = archdsl.load_spec(TINY)
    said = "the optimized network differs by 0.5 of the largest output"
    with pytest.raises(MeasureError, match=said):
        archdsl.measure(spec, device="cpu", runtime="eager", threads=1, rounds=1, optimize=True)
    with pytest.raises(ExportError, match=said):
        archdsl.export(archdsl.build(spec), tmp_path / "net.pt2", optimize=True)
    assert not (tmp_path / "net.pt2").exists()


def test_layers_have_no_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--layers", "--optimize"]) == 2
    assert "single mixers have no inference form" in " ".join(capsys.readouterr().err.split())


def test_other_modules_have_no_form() -> None:
    import torch

    with pytest.raises(TypeError, match=r"optimize takes a model that archdsl\.build made"):
        compare({"a": torch.nn.ReLU()}, "cpu", image=(3, 8, 8), threads=1, rounds=1, optimize=True)


def test_export_writes_the_form_held_against_the_network(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "net.pt2"
    assert main(["export", str(small), "--optimize", "-o", str(file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["largest_error"] < 1e-4
    assert file.is_file()


@pytest.mark.parametrize(("name", "why"), [("net.py", "the source of"), ("net.safetensors", "the weights of the spec")])
def test_formats_that_hold_the_network_as_declared_have_no_form(
    name: str, why: str, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(small), "--optimize", "-o", str(tmp_path / name)]) == 2
    assert f"is {why}" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / name).exists()
    model = archdsl.build(archdsl.load_spec(TINY))
    with pytest.raises(WrongUse, match="has no inference form"):
        archdsl.export(model, tmp_path / name, optimize=True)


def test_half_precision_states_its_error(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["bench", str(small), *ONCE, "--dtype", "bfloat16", "--json"]
    assert main(options) == 0
    error = json.loads(capsys.readouterr().out)["dtype_errors"].popitem()[1]
    assert 0 < error < 0.1
