"""`archdsl.export`: a file has its name only after it was held against the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

import archdsl
from archdsl.cli import main
from archdsl.compile import Backbone, build
from archdsl.errors import ExportError, WrongUse
from archdsl.exporting.frozen import frozen, perturbed
from archdsl.runtimes import exported
from archdsl.runtimes.exported import export
from archdsl.runtimes.readers import READERS
from archdsl.weights.facts import ModelFacts
from tests.support.exported_source import reader_of_this_process
from tests.support.forked import run_forked
from tests.support.small_networks import FAMILIES, QUICK, equal, images, shaken, small

LOADED = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "archdsl":
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import torch
program = torch.export.load("net.pt2").module()
torch.save(program(torch.load("images.pt")), "logits.pt")
"""


@pytest.fixture
def network() -> Backbone:
    return shaken("plain")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name != "lit_ti" else ()) for name in (*FAMILIES, "mixed")]
)
def test_a_pt2_file_gives_the_same_numbers_at_any_batch(name: str, tmp_path: Path) -> None:
    """Of every family in `make test-all`; `tests/compile` traces them at every run, as pt2 files do."""
    built = shaken(name, most=1)
    done = export(built, tmp_path / "net.pt2", dynamic_batch=True)
    program: Any = torch.export.load(tmp_path / "net.pt2").module()
    for batch in (1, 4):
        assert equal(program(images(batch))[0], built(images(batch)))
    assert (done.format, done.batch, done.largest_error, done.checked_batches) == ("pt2", None, 0.0, (1, 3))


def test_a_pt2_file_is_read_without_archdsl(network: Backbone, tmp_path: Path) -> None:
    export(network, tmp_path / "net.pt2")
    torch.save(images(1, 32, 32), tmp_path / "images.pt")
    assert run_forked("-c", LOADED, folder=tmp_path).returncode == 0
    assert equal(torch.load(tmp_path / "logits.pt")[0], network(images(1, 32, 32)))
    kept = {"spec": "", "features_only": ""}
    torch.export.load(tmp_path / "net.pt2", extra_files=kept)
    assert kept["features_only"] == "false"
    assert '"name":"plain"' in kept["spec"]


def test_a_safetensors_file_of_half_precision_is_a_model_of_ours(tmp_path: Path) -> None:
    done = export(perturbed(build(small("quick"))), tmp_path / "net.safetensors", dtype="float16")
    loaded = archdsl.load_model(tmp_path / "net.safetensors")
    assert next(loaded.parameters()).dtype == torch.float16
    assert 0 < done.largest_error < 1e-2


def test_a_python_file_is_run_without_archdsl_before_it_gets_its_name(network: Backbone, tmp_path: Path) -> None:
    done = export(network, tmp_path / "net.py", facts=ModelFacts(classes=tuple("abcdefghij")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.pt", "net.py"]
    assert done.files == (tmp_path / "net.py", tmp_path / "net.pt")
    assert (done.largest_error, done.batch, done.checked_batches) == (0.0, None, (1, 3))
    assert '"b",' in (tmp_path / "net.py").read_text(encoding="utf-8")


def test_a_python_file_that_needs_archdsl_is_refused(
    network: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(model: Backbone, file: Path, *facts: Any) -> None:
        file.write_text("import archdsl\n", encoding="utf-8")

    monkeypatch.setattr(exported, "write_python", write)
    with pytest.raises(ExportError, match="it does not run without archdsl: ImportError: an exported file must not"):
        export(network, tmp_path / "net.py")
    assert not list(tmp_path.iterdir())


def test_a_network_that_was_cut_gives_the_maps_that_are_left(tmp_path: Path) -> None:
    cut = shaken("lit_ti", most=1)
    maps = [each["module"] for each in cut.feature_info]
    cut.prune_intermediate_layers([1])
    done = export(cut, tmp_path / "net.pt2")
    assert (done.outputs, done.largest_error) == ((maps[1],), 0.0)


def test_a_wrong_file_is_refused_and_removed(
    network: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = frozen
    other = perturbed(build(small("plain")))
    monkeypatch.setattr(exported, "frozen", lambda model, *dtype: right(other if dtype else model, *dtype))
    with pytest.raises(ExportError, match=r"the file is wrong: 'logits' differs by .* float32 allows 0\.0001;"):
        export(network, tmp_path / "net.pt2")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_export_leaves_what_was_there(
    network: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    (tmp_path / "net.pt2").write_text("before")
    monkeypatch.setattr(exported, "difference", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(network, tmp_path / "net.pt2")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("net.pt2", "before")]


def test_a_network_that_gives_nan_is_refused(network: Backbone, tmp_path: Path) -> None:
    network.get_classifier().get_parameter("bias")[0] = float("nan")
    with pytest.raises(ExportError, match="the network gives NaN or infinities in 'logits'"):
        export(network, tmp_path / "net.pt2")


def test_the_network_stays_as_it_is(network: Backbone, tmp_path: Path) -> None:
    network.train().requires_grad_(True)
    before = {name: values.clone() for name, values in network.state_dict().items()}
    export(network, tmp_path / "net.safetensors")
    assert network.training
    assert all(values.requires_grad for values in network.parameters())
    assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"file": "net.bin"}, r"end its name in .onnx, .pt2, .py or .safetensors, or give format$"),
        ({"file": "net.pt2", "format": "onnx"}, r"must end in .onnx"),
        ({"file": "net.onnx", "format": "onyx"}, "unknown format 'onyx'; did you mean 'onnx'"),
        ({"file": "net.onnx", "dtype": "int4"}, "dtype must be float32, float16 or int8; got 'int4'"),
        ({"file": "net.pt2", "dtype": "int8"}, r"dtype int8 needs a file that ends in \.onnx; got format 'pt2'"),
        ({"file": "net.onnx", "batch": 0}, "batch must be a whole number, at least 1; got 0"),
        ({"file": "net.onnx", "batch": "2"}, 'batch must be a whole number, at least 1; got "2"'),
        ({"file": "net.onnx", "dynamic_batch": "no"}, 'dynamic_batch must be True or False; got "no"'),
        ({"file": "net.onnx", "image": (64,)}, "image must be"),
        ({"file": "net.onnx", "image": 32.0}, r"image must be \(height, width\) in pixels, or one side; got 32"),
        ({"file": "net.pt2", "opset": "20"}, 'opset must be a whole number, at least 18; got "20"'),
        ({"file": "net.onnx", "opset": 17}, "opset must be a whole number, at least 18; got 17"),
        ({"file": "torch.py"}, r"torch\.py would hide the module 'torch' from what it imports"),
        ({"file": "copy.py"}, r"copy\.py would hide the module 'copy'"),
        ({"file": "absent/net.py"}, "its folder does not exist"),
        ({"file": "net.py", "facts": ModelFacts(classes=("a",))}, "facts name 1 classes, and the network has 10"),
    ],
)
def test_what_cannot_be_is_said_before_the_work(
    network: Backbone, tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(WrongUse, match=said):
        export(network, tmp_path / arguments.pop("file"), **arguments)


def test_a_folder_is_never_written_over(network: Backbone, tmp_path: Path) -> None:
    (tmp_path / "net.pt").mkdir()
    with pytest.raises(WrongUse, match=r"net\.pt cannot be written: is a folder"):
        export(network, tmp_path / "net.py")
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"]


def test_the_side_of_a_square_is_an_image_size(network: Backbone, tmp_path: Path) -> None:
    assert export(network, tmp_path / "net.safetensors", image=48).image == (3, 48, 48)


def test_the_weights_that_are_read_are_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Source has its weights in a file of the same name that ends in `.pt`, which may be the checkpoint itself."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.json").write_text(json.dumps(QUICK))
    for name, out in (("net.pt", "net.py"), ("mine.safetensors", "mine.safetensors")):
        (tmp_path / name).write_text("weights")
        assert main(["export", "net.json", "--weights", name, "-o", out]) == 2
        assert "is the input file" in capsys.readouterr().err
        assert (tmp_path / name).read_text() == "weights"


def test_facts_of_another_kind_are_refused(network: Backbone, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"export takes facts as archdsl\.weights\.read_facts gives them; got a dict"):
        export(network, tmp_path / "net.onnx", facts={})  # type: ignore[arg-type]


def test_source_of_an_untrained_network_is_held_against_a_perturbed_copy_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READERS, "python", reader_of_this_process)
    assert export(build(small("quick")).eval(), tmp_path / "net.py").perturbed_error == 0.0


def test_what_is_no_model_of_ours_is_named() -> None:
    with pytest.raises(TypeError, match=r"export takes a model that archdsl\.build made"):
        export("litv2_s", "net.onnx")  # type: ignore[arg-type]
