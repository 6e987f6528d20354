"""`archdsl import --partial`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from archdsl.cli import main
from archdsl.load.specs import override
from archdsl.weights import load_model, read_facts, save_model
from archdsl.weights.facts import ModelFacts
from tests.support.commands import Ended, Run
from tests.support.heirs import tiny, trained
from tests.support.weights import model, published


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A run of the command line in this process."""
    return lambda *arguments: Ended(main([str(argument) for argument in arguments]), *capsys.readouterr())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A published checkpoint with its spec, a trained model of ours, and a spec that is cut from it."""
    built = model()
    (tmp_path / "small.json").write_text(json.dumps(built.spec.to_json()), encoding="utf-8")
    torch.save({"model": published(built)}, tmp_path / "small.pth")
    facts = ModelFacts(classes=("ant", "bee", "cat", "dog"))
    save_model(trained(tiny()).float(), tmp_path / "parent.safetensors", facts=facts)
    (tmp_path / "cut.json").write_text(json.dumps(tiny("stage2.depth=2").to_json()), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_of_ours_is_cut_and_the_report_says_what_became_of_every_block(run: Run, folder: Path) -> None:
    ended = run("import", "cut.json", "parent.safetensors", "--partial", "-o", "cut.safetensors")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == "cut.safetensors: tiny"
    assert lines[1].startswith("tiny from parent.safetensors: 100.0% copied of ")
    assert "  stage2.blocks.1  <- stage2.blocks.3  20 copied" in lines
    assert lines[-1].startswith("dropped: stage2.blocks.1, stage2.blocks.2 (")
    built, parent = load_model("cut.safetensors"), load_model("parent.safetensors")
    assert torch.equal(built.state_dict()["head.fc.weight"], parent.state_dict()["head.fc.weight"])
    assert read_facts("cut.safetensors").classes == ("ant", "bee", "cat", "dog")


def test_the_report_for_programs(run: Run, folder: Path) -> None:
    ended = run(
        "import", "cut.json", "parent.safetensors", "--partial", "--classes", "4", "-o", "cut.safetensors", "--json"
    )
    told = json.loads(ended.out)
    assert (told["file"], told["from"], told["notes"]) == (
        "cut.safetensors", "parent.safetensors", ["classifier: new, as asked for"],
    )  # fmt: skip
    sums = {state: one["parameters"] for state, one in told["sums"].items() if state != "dropped"}
    assert sum(sums.values()) == told["parameters"]
    assert {"name": "stage2.blocks.1", "parent": "stage2.blocks.3"} in told["blocks"]
    assert read_facts("cut.safetensors").classes is None


def test_a_published_checkpoint_of_a_spec_that_is_named(run: Run, folder: Path) -> None:
    changed = override(model().spec, ["stage1.mlp.ratio=2", "image=96", "classes=3"])
    (folder / "changed.json").write_text(json.dumps(changed.to_json()), encoding="utf-8")
    line = "import changed.json small.pth --partial --parent small.json -o changed.safetensors"
    ended = run(*line.split())
    assert (ended.code, ended.err) == (0, "")
    assert "resized" in ended.out.splitlines()[1]
    assert "cropped" in ended.out.splitlines()[1]
    first = (folder / "changed.safetensors").read_bytes()
    assert run(*line.split(), "--force").code == 0
    assert (folder / "changed.safetensors").read_bytes() == first


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("cut.json parent.safetensors --parent cut.json", 2, "says what --partial takes over from; add --partial"),
        ("cut.json cut.json --partial", 1, "cut.json: is not a checkpoint"),
        ("cut.json absent.pth --partial", 2, "no such file: absent.pth"),
        ("cut.json small.pth --partial --parent absent.json", 2, "no such file: absent.json"),
        ("cut.json parent.safetensors --partial --set channels=1", 1, "reads 1 channels, the parent 3; set channels=3"),
    ],
)
def test_wrong_uses_are_told_and_nothing_is_written(run: Run, folder: Path, line: str, code: int, told: str) -> None:
    ended = run("import", *line.split(), "-o", "out.safetensors")
    assert ended.code == code
    assert told in ended.err
    assert not (folder / "out.safetensors").exists()
