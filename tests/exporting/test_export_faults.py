"""An export that cannot end well: one line says why, and nothing stands under the name that was asked for."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
from archdsl.compile import build
from archdsl.errors import ExportError, WrongUse
from archdsl.exporting.frozen import frozen
from archdsl.runtimes.exported import export
from archdsl.runtimes.readers import READERS
from archdsl.weights import save_model
from tests.support.commands import Run, command_line, tiny_document
from tests.support.exported_source import reader_of_this_process
from tests.support.places import ROOT
from tests.support.small_networks import images, shaken, small

run = pytest.fixture(command_line)
tiny = pytest.fixture(tiny_document)

ENDINGS = [".onnx", ".pt2", ".py", ".safetensors"]
FULL = 4096
"""Bytes of a file, after which the disc is full."""


@contextmanager
def full_disc() -> Iterator[None]:
    """No file grows beyond some bytes: the system refuses to write more, as on a full disc."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disc_is_one_line_and_leaves_what_was_there(run: Run, tiny: Path, tmp_path: Path, ending: str) -> None:
    if ending == ".onnx":
        pytest.importorskip("onnxscript", reason="the extra archdsl[onnx] is not installed")
    out = tmp_path / f"net{ending}"
    out.write_text("before")
    with full_disc():
        ended = run("export", tiny, "-o", out, "--force")
    assert ended.code == 1, ended.err
    assert "bug" not in ended.err
    assert "File too large" in ended.err.splitlines()[-1]
    assert out.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({out.name, tiny.name})


KILLED = """
import os, signal, sys
import archdsl
from archdsl.runtimes import exported
exported.difference = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
archdsl.export(archdsl.load_model("net.safetensors"), sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.pt2", "out.py"])
def test_a_kill_before_the_check_ends_leaves_nothing_under_the_name(name: str, tmp_path: Path) -> None:
    save_model(shaken("quick"), tmp_path / "net.safetensors")
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    ended = subprocess.run([sys.executable, "-c", KILLED, name], cwd=tmp_path, env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["net.safetensors"]
    done = export(shaken("quick"), tmp_path / name)
    assert all(path.is_file() for path in done.files)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "net.pt2", "--opset", "20"], "only ONNX has operator versions; got format pt2"),
        (["-o", "net.onnx", "--opset", "17"], "opset must be a whole number, at least 18; got 17"),
        (["-o", "net.onnx", "--opset", "0"], "'--opset'"),
        (["-o", "net.onnx", "--batch", "0"], "'--batch'"),
        (["-o", "net.onnx", "--dtype", "bfloat16"], "dtype must be float32, float16 or int8; got 'bfloat16'"),
        (["-o", "net.onnx", "--format", "pt2"], "the name of a file of format pt2 must end in .pt2; got net.onnx"),
        (
            ["-o", "t.tflite"],
            "the format of t.tflite is not known: end its name in .onnx, .pt2, .py or .safetensors, or give --format",
        ),
        (["-o", "absent/net.onnx"], "its folder does not exist"),
        (["-o", "."], "the format of . is not known"),
        (["-o", "net.onnx", "--weights", "absent.pth"], "absent.pth"),
    ],
)
def test_a_wrong_command_line_is_one_line_before_the_work(
    run: Run, tiny: Path, options: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.parent)
    ended = run("export", tiny, *options)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err.splitlines()[-1]
    assert [path.name for path in tiny.parent.iterdir()] == [tiny.name]


@pytest.fixture
def _read_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Source is run here; that a process without archdsl runs it is held by test_export.py."""
    monkeypatch.setitem(READERS, "python", reader_of_this_process)


@pytest.mark.usefixtures("_read_in_this_process")
@pytest.mark.parametrize("options", [{"dynamic_batch": True}, {"image": (48, 64)}, {"dtype": "float16"}])
@pytest.mark.parametrize("ending", ENDINGS)
def test_maps_are_exported_in_every_format(ending: str, options: dict[str, Any], tmp_path: Path) -> None:
    if ending == ".onnx":
        pytest.skip("the tests of ONNX files have it")
    built = shaken("quick", features_only=True)
    done = export(built, tmp_path / f"maps{ending}", **options)
    assert list(done.outputs) == [each["module"] for each in built.feature_info]
    assert done.largest_error < 1e-2


@pytest.mark.usefixtures("_read_in_this_process")
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_inference_form_is_exported_too(ending: str, tmp_path: Path) -> None:
    if ending == ".onnx":
        pytest.importorskip("onnxscript", reason="the extra archdsl[onnx] is not installed")
    assert export(archdsl.optimize(shaken("quick")), tmp_path / f"net{ending}").largest_error < 1e-4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": 5}, "unknown format"),
        ({"dtype": None}, "dtype must be"),
        ({"batch": True}, "batch must be"),
        ({"batch": 1.0}, "batch must be"),
        ({"image": "64"}, "image must be"),
        ({"image": True}, "image must be"),
        ({"image": (64, 64, 3)}, "image must be"),
        ({"opset": None}, "opset must be"),
        ({"calibration": [torch.zeros(1)], "dtype": "int8"}, "calibration must be tensors of images"),
        ({"calibration": [1], "dtype": "int8"}, "calibration must be tensors of images"),
        ({"calibration": 5, "dtype": "int8"}, "calibration must be tensors of images"),
        ({"calibration": [torch.full((1, 3, 32, 32), float("nan"))], "dtype": "int8"}, "calibration must be images of"),
        ({"calibration": [], "dtype": "int8"}, "calibration must be tensors of images"),
        ({"calibration": [torch.zeros(1, 3, 32, 32)]}, "calibration is for dtype int8"),
    ],
)
def test_arguments_of_other_kinds_are_named(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=said):
        export(shaken("quick"), tmp_path / "net.onnx", **options)
    assert not list(tmp_path.iterdir())


def test_a_file_whose_outputs_have_another_shape_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl.runtimes import exported

    maps = shaken("quick", features_only=True)
    right = frozen
    monkeypatch.setattr(exported, "frozen", lambda model, *dtype: right(maps if dtype else model, *dtype))
    with pytest.raises(ExportError, match=r"the shape of 'logits' is \(1, 32, 4, 4\), not \(1, 10\); nothing was"):
        export(shaken("quick"), tmp_path / "net.pt2")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_read_in_this_process")
def test_a_model_without_a_classifier_gives_its_features(tmp_path: Path) -> None:
    built = build(small("quick"))
    built.reset_classifier(0)
    done = export(built.eval(), tmp_path / "net.py")
    assert done.outputs == ("features",)
    assert json.dumps(done.as_json())
    assert built(images(1, 32, 32)).shape == (1, 32)
