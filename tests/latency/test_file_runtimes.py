"""ONNX Runtime and OpenVINO: the network is exported, held against itself, and that very file is measured."""

from __future__ import annotations

import gc
import importlib.util
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
from archdsl.errors import MeasureError, WrongSetting, WrongUse
from archdsl.exporting.frozen import Float32Interface, perturbed
from archdsl.exporting.onnx_file import write_onnx
from archdsl.files import sha256_of
from archdsl.json_types import JsonObject, number_in, object_in, text_in
from archdsl.latency import Setting, compare
from archdsl.latency.tables import build_tables
from archdsl.load.spaces import load_space
from archdsl.runtimes import by_name
from archdsl.runtimes.by_name import runtime_named
from archdsl.runtimes.eager import Eager
from archdsl.runtimes.exported import export
from archdsl.runtimes.file_runtime import FilePass
from archdsl.runtimes.onnxruntime import OnnxRuntime
from archdsl.runtimes.openvino import OpenVino
from tests.support.commands import Run, command_line
from tests.support.exported_once import convert_once
from tests.support.small_networks import images, shaken, small

run = pytest.fixture(command_line)
converted_once = pytest.fixture(autouse=True)(convert_once)

NAMES = [
    pytest.param(name, marks=pytest.mark.skipif(not importlib.util.find_spec(name), reason=f"{name} is not installed"))
    for name in ("onnxruntime", "openvino")
]
QUICK: dict[str, Any] = {"rounds": 3, "least_s": 0.0}


@pytest.mark.parametrize("name", NAMES)
def test_the_provenance_names_the_file_its_versions_and_what_is_in_force(name: str) -> None:
    latency = archdsl.measure(small("plain"), "cpu", runtime=name, threads=1, **QUICK)
    facts = latency.provenance
    assert min(latency.samples) > 0
    assert (facts["runtime"], facts["threads"]) == (name, 1)
    file = object_in(facts["file"])
    assert len(text_in(file["sha256"])) == 64
    assert {name, "onnx", "torch"} <= set(object_in(file["versions"]))
    options: dict[str, JsonObject] = {
        "onnxruntime": {"spinning": False, "threads": 1},
        "openvino": {"enable_cpu_pinning": "False"},
    }
    assert options[name].items() <= object_in(file["options"]).items()


def test_a_signal_after_openvino_ended_its_sessions_reaches_python() -> None:
    """With a core for each session the stack of signal handlers was freed, where the processor has AMX."""
    pytest.importorskip("openvino", reason="openvino is not installed")
    runtime, built = runtime_named("openvino"), shaken("plain")
    first, second = (runtime.runner(built, images(1, 32, 32)) for _ in range(2))
    del first, second
    gc.collect()
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_openvino_computes_in_float32_though_it_would_take_bfloat16_by_itself() -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    facts = archdsl.measure(small("plain"), "cpu", runtime="openvino", threads=1, **QUICK).provenance
    hint = text_in(object_in(object_in(facts["file"])["options"])["inference_precision_hint"]).lower()
    assert "float" in hint
    assert "bf" not in hint


def test_openvino_is_right_where_its_own_reader_of_torchs_graphs_is_wrong(tmp_path: Path) -> None:
    """Deformable attention behind deformable merges: off by 7e-2 from a graph of torch, right as ONNX."""
    pytest.importorskip("openvino", reason="openvino is not installed")
    built, x = shaken("sampling"), images(1)
    export(built, tmp_path / "net.onnx")
    (logits,) = OpenVino().open(tmp_path / "net.onnx", 1).outputs(x)
    assert torch.allclose(logits, built(x), rtol=0, atol=1e-4 * float(built(x).abs().max()))


@pytest.mark.parametrize("name", NAMES)
def test_a_session_gives_what_the_network_gives_on_any_number_of_threads(name: str) -> None:
    built, x = shaken("quick"), images(1, 32, 32)
    torch.set_num_threads(1)
    runtime = runtime_named(name)
    once = runtime.runner(built, x)
    assert isinstance(once, FilePass)
    twice = runtime.with_threads(once, 2)
    assert isinstance(twice, FilePass)
    for opened in (once, twice):
        (logits,) = opened.session.outputs(x)
        assert torch.allclose(logits, built(x), rtol=0, atol=1e-4 * float(built(x).abs().max()))
    assert once.session.options() != twice.session.options()
    assert once.file == twice.file


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_file_is_never_measured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(net: Float32Interface, *arguments: Any, **options: Any) -> Any:
        other = Float32Interface(perturbed(archdsl.build(small("plain"))), net.dtype).eval()
        return write_onnx(other, *arguments, **options)

    monkeypatch.setattr("archdsl.exporting.onnx_file.write_onnx", write)
    with pytest.raises(MeasureError, match=rf"runtime {name}: the file is wrong: 'logits' differs by"):
        archdsl.measure(small("plain"), "cpu", runtime=name, threads=1, **QUICK)


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_file_is_measured_as_it_is(name: str, tmp_path: Path) -> None:
    export(shaken("plain"), tmp_path / "net.onnx", batch=2)
    latency = archdsl.measure(tmp_path / "net.onnx", "cpu", 2, runtime=name, threads=1, **QUICK)
    assert object_in(latency.provenance["file"])["sha256"] == sha256_of(tmp_path / "net.onnx")
    assert latency.provenance["image"] == [3, 32, 32]
    with pytest.raises(WrongSetting, match="is for a batch of 2; got batch 1"):
        archdsl.measure(tmp_path / "net.onnx", "cpu", runtime=name)
    with pytest.raises(MeasureError, match="runtime eager runs no files"):
        archdsl.measure(tmp_path / "net.onnx", "cpu", runtime="eager")
    (tmp_path / "no.onnx").write_text("no network")
    with pytest.raises(MeasureError, match=r"no\.onnx: is no ONNX file of one tensor of images"):
        archdsl.measure(tmp_path / "no.onnx", "cpu", runtime=name)
    with pytest.raises(MeasureError, match=r"absent\.onnx: cannot be read: No such file"):
        archdsl.measure(tmp_path / "absent.onnx", "cpu", runtime=name)


@pytest.mark.parametrize(
    ("shape", "kind", "said"),
    [
        (
            [1, 3, "h", "w"],
            "FLOAT",
            r"reads images of no fixed size, \(C, H, W\) of \(3, any, any\); export it for one",
        ),
        ([1, 3, 0, 8], "FLOAT", r"reads images of no fixed size, \(C, H, W\) of \(3, any, 8\)"),
        ([1, 3, 8, 8], "UINT8", "reads images of uint8; give a file that reads float"),
        ([1, 3, 8, 8], "FLOAT16", "reads images of float16; give a file that reads float"),
        ([1, 3], "FLOAT", "is no ONNX file of one tensor of images"),
    ],
)
def test_a_file_of_others_is_measured_on_images_of_one_size_in_float32(
    shape: list[int | str], kind: str, said: str, tmp_path: Path
) -> None:
    """Of a size that may change there is no latency: that of an empty image was measured."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    value = onnx.helper.make_tensor_value_info
    of = getattr(onnx.TensorProto, kind)
    node = onnx.helper.make_node("Add", ["x", "x"], ["y"])
    graph = onnx.helper.make_graph([node], "twice", [value("x", of, shape)], [value("y", of, shape)])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "twice.onnx")
    with pytest.raises(MeasureError, match=said):
        archdsl.measure(tmp_path / "twice.onnx", "cpu", runtime="onnxruntime", threads=1, **QUICK)


@pytest.mark.parametrize("name", NAMES)
def test_backbones_without_a_head_are_measured(name: str) -> None:
    measured = compare({"a": small("plain")}, "cpu", runtime=name, threads=1, features_only=True, **QUICK)
    assert number_in(object_in(measured.first.provenance["file"])["bytes"]) > 0


def test_what_a_runtime_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("onnxruntime"):
        with pytest.raises(
            MeasureError, match="runtime onnxruntime takes dtype float32, float16 or int8; got bfloat16"
        ):
            Setting.checked("cpu", 1, "bfloat16", "onnxruntime")
    with pytest.raises(MeasureError, match="runtime openvino runs on a CPU here; got device cuda"):
        runtime_named("openvino").check("cuda", "float32")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MeasureError, match=r"needs the package openvino; pip install 'archdsl\[openvino\]'"):
        Setting.checked("cpu", 1, "float32", "openvino")


@pytest.mark.parametrize(
    "command", [["bench", "lit_s"], ["search", "lit-dat-64", "--time", "20s"], ["doctor", "lit-dat-64"]]
)
@pytest.mark.parametrize(("name", "dtype"), [("onnxruntime", "bfloat16"), ("openvino", "float16")])
def test_a_dtype_that_a_file_runtime_never_takes_is_a_wrong_command_line(
    run: Run, command: list[str], name: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run(*command, "--device", "cpu", "--runtime", name, "--dtype", dtype)
    assert (ended.code, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert line.startswith(f"runtime {name} takes dtype float32")
    assert line.endswith(f"; got {dtype}")
    assert list(tmp_path.iterdir()) == []


def test_tables_of_parts_hold_for_eager_and_graph_alone(run: Run) -> None:
    with pytest.raises(WrongUse, match="tables hold for runtimes that run a network part by part; compile fuses parts"):
        build_tables(load_space("lit-dat-64"), "cpu", runtime="compile")
    for name in ("compile", "onnxruntime", "openvino"):
        ended = run("lut", "build", "lit-dat-64", "--device", "cpu", "--runtime", name)
        if importlib.util.find_spec(name) or name == "compile":
            assert (ended.code, ended.out) == (2, "")
            assert f"{name} " in ended.err
            assert "use eager or graph" in ended.err


class Counting(Eager):
    """What an installed package might add."""

    name = "counting"


class Unnamed(Eager):
    """A runtime that forgot its name."""

    name = None  # type: ignore[assignment]  # as a package without types may have it


class Spaced(Eager):
    """A runtime whose name no command line can hold."""

    name = "a b"


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Lets installed packages add runtimes: classes of this module, by name."""

    def add(*names: str) -> None:
        entries = [EntryPoint(name.lower(), f"{__name__}:{name}", "archdsl.runtimes") for name in names]
        monkeypatch.setattr(by_name, "entry_points", lambda group: entries)
        by_name.runtimes.cache_clear()

    yield add
    by_name.runtimes.cache_clear()


def test_an_installed_package_adds_a_runtime(added: Callable[..., None]) -> None:
    added("Counting", "Absent")
    with pytest.warns(UserWarning, match=r"runtime 'absent' .* is left out: AttributeError"):
        assert "counting" in by_name.runtimes()
    latency = archdsl.measure(small("plain"), "cpu", runtime="counting", threads=1, **QUICK)
    assert latency.provenance["runtime"] == "counting"


@pytest.mark.parametrize("name", ["Unnamed", "Spaced"])
def test_a_runtime_whose_name_is_none_spoils_no_other(name: str, added: Callable[..., None]) -> None:
    added(name)
    with pytest.warns(UserWarning, match=rf"runtime '{name.lower()}' .* is left out: .*name"):
        assert tuple(by_name.runtimes()) == by_name.RUNTIMES


def fails(*_: Any) -> Any:
    raise ValueError("no licence\nfor it")


@pytest.mark.parametrize(
    ("part", "behaviour"),
    [
        ("check", fails),
        ("check", lambda *_: sys.exit(3)),
        ("for_setting", fails),
        ("begin", fails),
        ("runner", fails),
        ("runner", lambda *_: None),
        ("facts", fails),
        ("facts", lambda *_: {"engine": {1, 2}}),
        ("facts", lambda *_: None),
    ],
)
def test_an_error_in_an_added_runtime_is_told_as_that_of_its_package(
    part: str, behaviour: Callable[..., Any], added: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    added("Counting")
    monkeypatch.setattr(Counting, part, behaviour)
    with pytest.raises(MeasureError, match="runtime counting, which is none of archdsl's own, failed: ") as caught:
        archdsl.measure(small("plain"), "cpu", runtime="counting", threads=1, **QUICK)
    assert "\n" not in str(caught.value)


def test_an_added_runtime_cannot_say_that_it_is_another(
    added: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    added("Counting")
    monkeypatch.setattr(Counting, "facts", lambda *_: {"runtime": "eager", "threads": 64, "engine": "7"})
    facts = archdsl.measure(small("plain"), "cpu", runtime="counting", threads=1, **QUICK).provenance
    assert (facts["runtime"], facts["threads"], facts["engine"]) == ("counting", 1, "7")


class Unpacked(OnnxRuntime):
    """Of a package that is not there, and that no extra of archdsl installs."""

    name, package, extra = "unpacked", "not-there", ""

    def package_version(self) -> str:
        raise ImportError


def test_the_package_of_an_added_runtime_is_installed_by_its_own_name(added: Callable[..., None]) -> None:
    added("Unpacked")
    with pytest.raises(MeasureError, match=r"runtime unpacked needs the package not-there; pip install not-there$"):
        Setting.checked("cpu", 1, "float32", "unpacked")
