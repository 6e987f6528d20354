"""`archdsl import` and `archdsl export-weights`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from archdsl.cli import main
from archdsl.compile import Backbone, build
from archdsl.load.specs import load_spec
from archdsl.weights import export_weights, load_model, write_published
from tests.support.commands import Ended, Run
from tests.support.weights import model, published, same


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A run of the command line in this process."""
    return lambda *arguments: Ended(main([str(argument) for argument in arguments]), *capsys.readouterr())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a spec and its published checkpoint, as the current one."""
    built = model()
    (tmp_path / "small.json").write_text(json.dumps(built.spec.to_json()), encoding="utf-8")
    torch.save({"model": published(built), "epoch": 3}, tmp_path / "small.pth")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "way"),
    [
        ("lit_ti", "their.pth is of fcvit_tiny: archdsl import fcvit_tiny their.pth -o a.safetensors"),
        ("fcvit_tiny --set stage4.depth=1", "their.pth is of fcvit_tiny as it was published; add --partial to take"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused_with_its_name(run: Run, folder: Path, line: str, way: str) -> None:
    write_published(build(load_spec("fcvit_tiny")), folder / "their.pth")
    spec, *more = line.split()
    ended = run("import", spec, "their.pth", "-o", "a.safetensors", *more)
    assert (ended.code, ended.out) == (1, "")
    assert way in ended.err
    assert "--partial to take over what fits" in ended.err
    assert not (folder / "a.safetensors").exists()


def test_import_writes_a_model_and_says_what_it_did(run: Run, folder: Path) -> None:
    ended = run("import", "small.json", "small.pth", "-o", "small.safetensors")
    assert (ended.code, ended.err) == (0, "")
    params = sum(parameter.numel() for parameter in model().parameters()) / 1e6
    assert ended.out == (
        f"small.safetensors: small, 85 tensors of {params:.2f} M params, from names of litv2 in model\n"
    )
    again: Backbone = load_model(folder / "small.safetensors")
    assert torch.equal(again.state_dict()["head.fc.bias"], published(model())["head.bias"])


def test_a_warning_of_initial_weights_names_the_trained_ones_beside_the_spec(run: Run, folder: Path) -> None:
    ended = run("export", "small.json", "-o", "initial.safetensors")
    warning = "warning: the file gets initial weights, from a fixed seed"
    assert (ended.code, ended.err.splitlines()[0]) == (0, f"{warning}; give trained ones with --weights")
    assert run("import", "small.json", "small.pth", "-o", "small.safetensors").code == 0
    ended = run("export", "./small.json", "-o", "initial.safetensors", "--force")
    beside = "though trained weights lie beside it: export small.safetensors instead"
    assert ended.err.splitlines()[0] == f"{warning}, {beside}"
    assert "warning" not in run("export", "small.safetensors", "-o", "trained.safetensors").err


def test_import_for_another_size_and_other_classes(run: Run, folder: Path) -> None:
    line = "import small.json small.pth -o fine.safetensors --set image=96 --classes 7 --seed 5"
    ended = run(*line.split())
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[1:] == [
        "resized: stage2.blocks.0.mixer.bias.table: 15x15 -> 23x23",
        "new: head.fc.weight",
        "new: head.fc.bias",
    ]
    first = (folder / "fine.safetensors").read_bytes()
    assert run(*line.split(), "--force").code == 0
    assert (folder / "fine.safetensors").read_bytes() == first
    built = load_model("fine.safetensors")
    assert (built.spec.image, built.spec.classes) == (96, 7)


def test_import_tells_the_same_to_programs(run: Run, folder: Path) -> None:
    ended = run("import", "small.json", "small.pth", "-o", "a.safetensors", "--set", "image=96", "--json")
    facts = json.loads(ended.out)
    assert (facts["file"], facts["name"], facts["tensors"], facts["container"]) == (
        "a.safetensors",
        "small",
        85,
        "model",
    )
    assert facts["resized"] == [{"name": "stage2.blocks.0.mixer.bias.table", "old": [15, 15], "new": [23, 23]}]
    assert len(facts["sha256"]) == 64


def test_import_remarks_on_what_was_cast_left_out_or_odd(run: Run, folder: Path) -> None:
    half = {f"backbone.{name}": tensor.half() for name, tensor in published(model()).items() if "index" not in name}
    half["backbone.norm.bias"][0] = float("inf")
    torch.save({"state_dict": half | {"neck.bias": torch.ones(1)}, "state_dict_ema": half}, "half.pth")
    ended = run("import", "small.json", "half.pth", "-o", "half.safetensors")
    assert ended.code == 0
    assert ended.out.endswith("from names of litv2 in state_dict under backbone.\n")
    assert ended.err.splitlines() == [
        "cast from float16: 85 tensors",
        "the file also has weights under state_dict_ema (--key)",
        "1 tensor beside the backbone was left out: neck",
        "warning: NaN or infinities in 1 tensor, e.g. head.norm.bias",
    ]
    quiet = run("-q", "import", "small.json", "half.pth", "-o", "half.safetensors", "--force")
    assert (quiet.code, quiet.err) == (0, "")


def test_import_takes_a_size_that_was_not_square(run: Run, folder: Path) -> None:
    assert run("import", "small.json", "small.pth", "-o", "wide.safetensors", "--set", "image=[64, 96]").code == 0
    line = "import small.json wide.safetensors -o again.safetensors"
    refused = run(*line.split())
    assert refused.code == 1
    assert "say which image size its tables were made for" in refused.err
    assert run(*line.split(), "--image", "64x96").code == 0


def test_import_takes_the_dense_form(run: Run, folder: Path) -> None:
    line = "import small.json FILE -o dense.safetensors --features-only"
    ended = run(*line.replace("FILE", "small.pth").split())
    assert (ended.code, ended.err) == (0, "4 tensors beside the backbone were left out: norm, head\n")
    assert ended.out.splitlines()[1:] == [
        f"new: stage{stage}.out_norm.pixels.{kind}" for stage in (2, 3) for kind in ("weight", "bias")
    ]
    torch.save(export_weights(build(model().spec, features_only=True)), "dense.pth")
    assert run(*line.replace("FILE", "dense.pth").split(), "--force").code == 0
    assert load_model("dense.safetensors").features_only


def test_what_stands_beside_a_detectors_backbone_is_one_line(run: Run, folder: Path) -> None:
    state = {f"backbone.{name}": tensor for name, tensor in published(model()).items()}
    heads = ("neck", "rpn_head", "roi_head", "mask_head", "loss", "other")
    state |= {f"{head}.{index}.weight": torch.ones(1) for head in heads for index in range(500)}
    torch.save({"state_dict": state, "meta": {}}, "detector.pth")
    ended = run("import", "small.json", "detector.pth", "-o", "a.safetensors")
    assert (ended.code, ended.err) == (
        0,
        "3000 tensors beside the backbone were left out: neck, rpn_head, roi_head, mask_head, loss, ... (6 parts)\n",
    )


def test_a_key_names_a_nested_set_or_a_prefix(run: Run, folder: Path) -> None:
    state = published(model())
    average = {f"ema_model.{name}": tensor + 1 for name, tensor in state.items()}
    best = {name: tensor + 2 for name, tensor in state.items()}
    torch.save({"run": {"last": state, "best": best}, "flat": average}, "sets.pth")
    line = "import small.json sets.pth -o a.safetensors"
    said = 'weights that fit are under 2 keys: "run.last", "run.best"; choose one with archdsl import --key ('
    assert said in run(*line.split()).err
    for key, value in (("run.best", 2), ("flat.ema_model", 1), ("ema_model", 1)):
        assert run(*line.split(), "--key", key, "--force").code == 0
        assert torch.equal(load_model("a.safetensors").state_dict()["head.fc.bias"], state["head.bias"] + value)


def test_export_gives_the_published_names_again(run: Run, folder: Path) -> None:
    assert run("import", "small.json", "small.pth", "-o", "small.safetensors").code == 0
    ended = run("export-weights", "small.safetensors", "-o", "published.pth")
    assert ended == (0, "published.pth: small, 85 tensors under the names of litv2\n", "")
    state = torch.load("published.pth", weights_only=True)["model"]
    tensors = published(model())
    assert same(state, {name: tensors[name] for name in tensors if "index" not in name and "tracked" not in name})
    facts = json.loads(run("export-weights", "small.safetensors", "-o", "p.safetensors", "--json").out)
    assert facts == {"file": "p.safetensors", "name": "small", "tensors": 85}


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("import small.json none.pth -o a.safetensors", 2, "no such file: none.pth"),
        ("import lit_z small.pth -o a.safetensors", 2, "no such zoo name"),
        ("import small.json small.pth", 2, "Missing option '--out' / '-o'"),
        ("import small.json small.pth -o a.pth", 2, "a.pth must end in .safetensors"),
        ("import small.json small.pth -o no/a.safetensors", 2, "cannot be written: its folder does not exist"),
        ("import small.json small.pth -o a.safetensors --classes 0", 2, "'0' is not a whole number from 1 to 100000"),
        ("import small.json small.pth -o a.safetensors --image 3x", 2, "'3x' is not an image size; write e.g. 384 or"),
        ("import small.json small.pth -o a.safetensors --image 64,96", 2, "use 64x96 (height x width)"),
        ("import small.json small.pth -o a.safetensors --key ema", 1, 'there is no key "ema"'),
        ("import small.json small.pth -o a.safetensors --set classes=7", 1, "set classes=10 to keep its classifier"),
        ("import small.json . -o a.safetensors", 1, ".: is not a file but a folder"),
        ("import small.json small.json -o a.safetensors", 1, "small.json: is not a checkpoint"),
        ("import small.json empty.pth -o a.safetensors", 1, "empty.pth: is empty"),
        ("export-weights small.pth -o small.pth", 2, "small.pth is the input file; give another output file"),
        ("export-weights small.pth -o a.pth", 1, "small.pth: is not a safetensors file"),
        ("export-weights none.safetensors -o a.pth", 2, "no such file: none.safetensors"),
        ("export-weights small.safetensors -o .", 2, "cannot be written: is a folder"),
    ],
)
def test_what_cannot_be_done_is_told_without_a_traceback(
    run: Run,
    folder: Path,
    line: str,
    code: int,
    message: str,
) -> None:
    (folder / "empty.pth").touch()
    ended = run(*line.split())
    assert (ended.code, ended.out) == (code, "")
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert not list(folder.glob("a.*"))


def test_a_hostile_file_is_refused_in_one_line(run: Run, folder: Path) -> None:
    (folder / "bad.pth").write_bytes(b"\x80\x02cos\nsystem\nX\x09\x00\x00\x00mkdir ran\x85R.")
    ended = run("import", "lit_s", "bad.pth", "-o", "a.safetensors")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (1, "", 1)
    assert ended.err.startswith('bad.pth: it names "os.system", which no checkpoint of weights needs: refused')
    assert not (folder / "ran").exists()


def test_the_spec_in_a_file_is_the_document_with_what_was_set(run: Run, folder: Path) -> None:
    assert run("import", "small.json", "small.pth", "-o", "a.safetensors", "--set", "name=mine").code == 0
    assert load_model("a.safetensors").spec.name == "mine"
    assert load_spec("./small.json").name == "small"
