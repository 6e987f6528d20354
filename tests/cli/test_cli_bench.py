"""`archdsl bench`: what it measures, and the names and devices that it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from archdsl import load_spec
from archdsl.cli.bench import labelled
from archdsl.cli.options import check_device
from archdsl.errors import MeasureError
from archdsl.runtimes.setting import Setting
from tests.support.commands import Run, command_line, tiny_document

run = pytest.fixture(command_line)
tiny = pytest.fixture(tiny_document)


def test_bench_measures_side_by_side(run: Run, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    few = ["--device", "cpu", "--runtime", "eager", "--threads", "1", "--rounds", "3", "--time-limit", "2s"]
    few += ["--batch", "2"]
    ended = run("bench", tiny, tiny, *few, "--json", "-o", out)
    assert ended.code == 0, ended.err
    assert ended.err.startswith(f"measuring {tiny}, {tiny} #2: batch 2")
    found = json.loads(ended.out)
    assert found == json.loads(out.read_text(encoding="utf-8"))
    assert [item["name"] for item in found["items"]] == [str(tiny), f"{tiny} #2"]
    assert found["unstable"] is True
    assert found["again"]["name"] == "A/A"
    facts = found["items"][0]["provenance"]
    assert (facts["device"], facts["batch"], facts["threads"], facts["rounds"]) == ("cpu", 2, 1, 3)
    ended = run("-q", "bench", tiny, *few)
    assert ended.err == ""
    assert "A/A" in ended.out
    assert "Unstable" in ended.out


def test_bench_measures_layers_beside_what_is_printed_of_them(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    few = ["--device", "cpu", "--threads", "1", "--rounds", "3", "--time-limit", "1s", "--batch", "1"]
    ended = run("bench", "--layers", *few, "--json", "-o", out)
    assert ended.code == 0, ended.err
    assert ended.err.startswith("measuring MSA, HiLo")
    found = json.loads(ended.out)
    assert found == json.loads(out.read_text(encoding="utf-8"))
    first = found["items"][0]
    assert (first["name"], first["params"], first["published"]["cpu_images_per_second"]) == ("MSA", 2362368, 505)
    assert first["images_per_second"] == pytest.approx(1e3 / first[f"{found['stat']}_ms"])
    assert first["provenance"]["image"] == [14, 14, 768]
    assert found["published"]["gpu"] == "NVIDIA GeForce RTX 3090"
    ended = run("-q", "bench", "--layers", *few)
    assert ended.err == ""
    assert "10900X  3090  here" in ended.out


def test_a_measurement_that_cannot_be_made_ends_with_1(run: Run, tiny: Path) -> None:
    ended = run("bench", tiny, "--device", "cpu", "--runtime", "graph")
    assert (ended.code, ended.out) == (1, "")
    assert "runtime graph replays a CUDA graph and needs a GPU" in ended.err


def test_labels_are_names_else_arguments_else_numbered() -> None:
    first, other = load_spec("lit_s"), load_spec("litv2_s")
    assert list(labelled([first, other], ["lit_s", "litv2_s"])) == ["lit_s", "litv2_s"]
    assert list(labelled([first, first, other], ["lit_s", "a/lit.json", "litv2_s"])) == [
        "lit_s",
        "a/lit.json",
        "litv2_s",
    ]
    assert list(labelled([first, first, first], ["lit_s"] * 3)) == ["lit_s", "lit_s #2", "lit_s #3"]


def test_an_exported_file_is_measured_as_it_is(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, asked = tmp_path / "w.onnx", dict[str, Any]()
    file.write_bytes(b"onnx")

    def compare(items: dict[str, Any], device: str, batch: int, dtype: str, runtime: str, *_: Any, **__: Any) -> None:
        asked.update(items, device=device, runtime=runtime)
        raise MeasureError("measured")

    monkeypatch.setattr("archdsl.runtimes.setting.Setting.checked", lambda *asked: Setting(*asked))
    monkeypatch.setattr("archdsl.latency.compare", compare)
    ended = run("bench", file)
    assert (ended.code, ended.err.splitlines()[-1]) == (1, "measured")
    assert asked == {str(file): file, "device": "cpu", "runtime": "onnxruntime"}
    for option in (["--set", "image=64"], ["--features-only"]):
        ended = run("bench", file, *option)
        assert ended.code == 2
        assert "an exported file cannot be changed; give its spec" in " ".join(ended.err.split())
    ended = run("bench", tmp_path / "other.onnx")
    assert (ended.code, ended.err) == (2, f"no such file: {tmp_path / 'other.onnx'}\n")


@pytest.mark.parametrize("device", [None, "cpu", "cuda", "cuda:1"])
def test_a_device_is_taken_as_written(device: str | None) -> None:
    assert check_device(device) == device


@pytest.mark.parametrize(("device", "remedy"), [("cuda:", "write cuda:0"), ("cuda:x", "write cuda:0"), ("gpu", "cpu")])
def test_what_is_no_device_is_refused(device: str, remedy: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"unknown device '{device}'; .*{remedy}"):
        check_device(device)


def test_more_threads_than_cores_are_warned_of_once_unless_another_machine_measures(
    run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archdsl.timing.cores.physical_cores", lambda: 2)
    few = ("bench", tiny, "--device", "cpu", "--runtime", "eager", "--rounds", "1", "--time-limit", "1s")
    assert run(*few, "--threads", "3").err.count("warning: this machine has 2 physical cores; 3 threads wait") == 1
    assert "physical cores;" not in run(*few, "--threads", "2").err
    elsewhere = run("bench", tiny, "--threads", "3", "--target", "ssh://nobody@127.0.0.1:1")
    assert elsewhere.code == 1
    assert "warning" not in elsewhere.err
