"""A model saved by archdsl is a SPEC for every command that takes one; what is no such file is refused in one line."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from archdsl.cli.documents import open_specs
from archdsl.compile import build
from archdsl.load.specs import load_spec
from archdsl.weights import save_model
from tests.support.commands import TINY, Run, command_line
from tests.support.places import ROOT

run = pytest.fixture(command_line)

LINES = {
    "check": "check mine.safetensors",
    "new": "new mine.safetensors",
    "show": "show mine.safetensors",
    "cost": "cost mine.safetensors",
    "diff": "diff mine.safetensors litv2_s",
    "bench": "bench mine.safetensors --device cpu --runtime eager --rounds 1 --time-limit 1s --threads 1",
    "export": "export mine.safetensors -o exported.pt2",
    "import": "import mine.safetensors mine.safetensors -o again.safetensors",
    "export-weights": "export-weights mine.safetensors -o published.pth",
}
"""A line of each command that takes a spec or a model."""
PREDICT = "lut predict lit-dat-64 mine.safetensors --device cpu"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`mine.safetensors` in the current folder."""
    monkeypatch.chdir(tmp_path)
    save_model(build(load_spec({**TINY, "weights": "litv2"})), "mine.safetensors")
    return tmp_path / "mine.safetensors"


def test_every_command_that_takes_a_spec_is_tried_here() -> None:
    commands = runpy.run_path(str(ROOT / "docs" / "_extensions" / "command_line.py"))["commands"]()
    taking = {
        name.removeprefix("archdsl ")
        for name, command, context in commands
        if {"SPEC", "SPEC|SPACE", "PATH", "MODEL.safetensors"}
        & {parameter.metavar for parameter in command.get_params(context) if parameter.param_type_name == "argument"}
    }
    assert taking == {*LINES, "lut predict", "train", "score", "look"}, "the last three have tests of their own"


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_model_is_a_spec(run: Run, model: Path, line: str) -> None:
    ended = run(*line.split())
    assert (ended.code, "safetensors:" in ended.err) == (0, False)
    assert "mine" in ended.out or "tiny" in ended.out or ended.out.startswith(("published.pth", "exported.pt2"))


@pytest.mark.parametrize("command", ["export", "import", "export-weights"])
def test_a_file_that_is_there_is_replaced_only_by_force(run: Run, model: Path, command: str) -> None:
    line = LINES[command].split()
    out = Path(line[-1])
    out.write_text("before")
    ended = run(*line)
    assert (ended.code, out.read_text()) == (2, "before")
    assert f"{out} is not replaced: it is there already; add --force, or give another output file" in ended.err
    assert run(*line, "--force").code == 0
    assert out.stat().st_size > len("before")


def test_the_weights_beside_source_are_not_replaced_either(run: Run, model: Path) -> None:
    Path("net.pt").write_text("before")
    ended = run("export", "mine.safetensors", "-o", "net.py")
    assert (ended.code, Path("net.py").exists()) == (2, False)
    assert "net.pt is not replaced" in ended.err


def test_fields_of_a_model_are_set_as_those_of_a_document(run: Run, model: Path) -> None:
    assert run("show", model, "--set", "image=64").out.startswith("tiny: 3x64x64 -> 10 classes")
    (spec,) = open_specs([str(model)], ["classes=7"])
    assert spec == load_spec({**TINY, "weights": "litv2", "classes": 7})


def test_new_writes_the_document_of_a_model_to_be_edited(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.json").write_text(run("new", model, "--name", "copy").out, encoding="utf-8")
    assert load_spec(tmp_path / "copy.json") == load_spec({**TINY, "weights": "litv2", "name": "copy"})
    assert len((tmp_path / "copy.json").read_text(encoding="utf-8").splitlines()) > len(TINY["nodes"])


def foreign(path: Path) -> str:
    path.write_bytes((2).to_bytes(8, "little") + b"{}")
    return "has no spec of archdsl in its header; make one with: archdsl import SPEC FILE -o model.safetensors"


def truncated(path: Path) -> str:
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    return f"is truncated: {len(data) - 1:,} of {len(data):,} bytes are there; copy or download it again"


def of_another_language(path: Path) -> str:
    header = {"__metadata__": {"archdsl": "9", "spec": json.dumps(TINY).replace('"mlp"', '"mlq"')}}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return "nodes[1].type: no such type of node; got \"mlq\"; did you mean 'mlp'?"


@pytest.mark.parametrize("damaged", [foreign, truncated, of_another_language])
@pytest.mark.parametrize("line", [*LINES.values(), PREDICT], ids=[*LINES, "lut predict"])
def test_a_file_that_is_no_model_of_ours_is_refused_in_one_line(
    run: Run, model: Path, line: str, damaged: Callable[[Path], str]
) -> None:
    wanted = f"mine.safetensors: {damaged(model)}\n"
    ended = run(*line.split())
    assert ended.code == 1
    remark = "mine.safetensors: not everything was checked, because of these errors; mend them and check again\n"
    assert (ended.out + ended.err).removesuffix(remark) == wanted


@pytest.mark.parametrize("line", [*LINES.values(), PREDICT], ids=[*LINES, "lut predict"])
def test_a_model_that_is_not_there_is_wrong_use(run: Run, model: Path, line: str) -> None:
    model.unlink()
    ended = run(*line.split())
    assert (ended.code, ended.out) == (2, "")
    assert "no such file: mine.safetensors" in ended.err


def test_an_export_of_an_untrained_network_says_that_its_check_was_repeated_with_random_values(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stem, stage, head = TINY["nodes"]
    document = {**TINY, "nodes": [stem, {**stage, "layer_scale": 1e-6}, head]}
    Path("scaled.json").write_text(json.dumps(document), encoding="utf-8")
    told = run("export", "scaled.json", "-o", "net.py").out.splitlines()
    assert told[2].endswith("as in an untrained network, so the check was repeated")
    assert told[3].startswith("with random values in their place: largest difference ")
