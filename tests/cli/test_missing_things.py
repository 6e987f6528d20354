"""What is named and is not there ends with 2, whichever option names it; 1 is left for what was tried and failed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.commands import Run, command_line, tiny_document

run = pytest.fixture(command_line)
tiny = pytest.fixture(tiny_document)

UNKNOWN_NAME, NO_FILE, NO_FOLDER = 'no such zoo name: "nowhere"', "no such file: ", "no such folder: nowhere"
NO_DATA, NO_CUDA = "no data set 'nowhere'", "torch sees no device cuda here; use cpu"

MISSING = {
    "check nowhere": UNKNOWN_NAME,
    "check nowhere.json": NO_FILE,
    "show nowhere": UNKNOWN_NAME,
    "show nowhere.json": NO_FILE,
    "show tiny.json --latency --device cuda": NO_CUDA,
    "cost nowhere": UNKNOWN_NAME,
    "cost nowhere.safetensors": NO_FILE,
    "diff tiny.json nowhere": UNKNOWN_NAME,
    "diff nowhere.json tiny.json": NO_FILE,
    "diff tiny.json tiny.json --measure --device cuda": NO_CUDA,
    "new nowhere": UNKNOWN_NAME,
    "bench nowhere": UNKNOWN_NAME,
    "bench nowhere.onnx": NO_FILE,
    "bench tiny.json --device cuda": NO_CUDA,
    "bench tiny.json -o nowhere/a.json": "nowhere/a.json cannot be written",
    "search nowhere": UNKNOWN_NAME,
    "search nowhere.json": NO_FILE,
    "search lit-dat-64 --data nowhere": NO_DATA,
    "search lit-dat-64 --data ./nowhere": "./nowhere: no such file or folder",
    "search lit-dat-64 --data nowhere.npz": "nowhere.npz: no such file or folder",
    "search lit-dat-64 --device cuda": NO_CUDA,
    "search lit-dat-64 --parent nowhere.safetensors": NO_FILE,
    "search --parent nowhere.pth": NO_FILE,
    "search lit-dat-64 --also nowhere": UNKNOWN_NAME,
    "search lit-dat-64 --also nowhere.json": NO_FILE,
    "search lit-dat-64 --from nowhere": NO_FOLDER,
    "search --out nowhere --resume": NO_FOLDER,
    "score tiny.json --like nowhere": NO_FOLDER,
    "score tiny.json --like tiny.json": "tiny.json holds no run",
    "doctor nowhere": UNKNOWN_NAME,
    "doctor nowhere.json": NO_FILE,
    "doctor lit-dat-64 --data nowhere": NO_DATA,
    "doctor lit-dat-64 --device cuda": NO_CUDA,
    "proxy-check nowhere": UNKNOWN_NAME,
    "proxy-check lit-dat-64 --data nowhere": NO_DATA,
    "proxy-check lit-dat-64 --device cuda": NO_CUDA,
    "proxy-check lit-dat-64 --from nowhere": NO_FOLDER,
    "proxy-check lit-dat-64 --from .": ". holds no check",
    "proxy-check lit-dat-64 --out nowhere --resume": NO_FOLDER,
    "train nowhere -o a.safetensors": UNKNOWN_NAME,
    "train nowhere.json -o a.safetensors": NO_FILE,
    "train tiny.json --data nowhere -o a.safetensors": NO_DATA,
    "train tiny.json --device cuda -o a.safetensors": NO_CUDA,
    "train tiny.json --weights nowhere.pth -o a.safetensors": NO_FILE,
    "train tiny.json --teacher nowhere.safetensors -o a.safetensors": NO_FILE,
    "train tiny.json --freeze nowhere -o a.safetensors": "the network has no node of that name",
    "train tiny.json -o nowhere/a.safetensors": "its folder does not exist",
    "train tiny.json -o a.safetensors --resume": "nothing to resume",
    "report nowhere": NO_FOLDER,
    "report .": ". holds no run",
    "import nowhere tiny.json -o a.safetensors": UNKNOWN_NAME,
    "import lit_s nowhere.pth -o a.safetensors": NO_FILE,
    "import lit_s nowhere.pth --partial -o a.safetensors": NO_FILE,
    "import lit_s tiny.json --partial --parent nowhere -o a.safetensors": UNKNOWN_NAME,
    "export nowhere -o a.onnx": UNKNOWN_NAME,
    "export nowhere.safetensors -o a.onnx": NO_FILE,
    "export tiny.json --weights nowhere.pth -o a.onnx": NO_FILE,
    "export tiny.json -o nowhere/a.onnx": "its folder does not exist",
    "export-weights nowhere.safetensors -o a.pth": NO_FILE,
    "look nowhere --image tiny.json -o a.png": UNKNOWN_NAME,
    "look tiny.json --weights nowhere.pth --image tiny.json -o a.png": NO_FILE,
    "library build nowhere -o a": NO_FILE,
    "lut build nowhere": UNKNOWN_NAME,
    "lut build lit-dat-64 --device cuda": NO_CUDA,
    "lut show nowhere": UNKNOWN_NAME,
    "lut show lit-dat-64 --device cuda": NO_CUDA,
    "lut predict lit-dat-64 nowhere": UNKNOWN_NAME,
    "lut predict nowhere tiny.json": UNKNOWN_NAME,
    "library build nowhere.safetensors -o a": NO_FILE,
    "library build tiny.json -o nowhere/a": "nowhere/a cannot be made: its folder does not exist",
    "library build tiny.json -o tiny.json": "tiny.json is a file",
    "library build tiny.json -o a --space nowhere": UNKNOWN_NAME,
    "library build tiny.json -o a --device cuda": NO_CUDA,
    "library show nowhere": NO_FOLDER,
}  # fmt: skip


@pytest.mark.parametrize("line", MISSING)
def test_what_is_not_there_ends_with_2(
    line: str, run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ended = run(*line.split())
    assert (ended.code, ended.out) == (2, "")
    assert MISSING[line] in ended.err
    assert sorted(tmp_path.iterdir()) == [tiny]


def test_a_table_that_was_not_built_yet_ends_with_1(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path))
    ended = run(*["lut", "show", "lit-dat-64", "--device", "cpu", "--threads", "1"])
    assert ended.code == 1
    assert "build it: archdsl lut build lit-dat-64 --device cpu" in ended.err
