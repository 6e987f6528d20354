"""What executes a network, `runtime`: its defaults, and `mode`, its former name, wherever that is still read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator

import archdsl
from archdsl.errors import MeasureError, SpecError, WrongUse
from archdsl.latency import RUNTIMES, Setting, compare, default_runtime, layers, prepare, tables
from archdsl.load.spaces import parse_space, space_of
from archdsl.reference.jsonschema import space_schema
from archdsl.runtimes import onnxruntime
from archdsl.runtimes.by_name import deployment_runtime, runtime_named, runtime_of
from archdsl.search import run as run_search
from archdsl.search.defaults import settings_of
from archdsl.search.request import SettingsRequest
from tests.support.commands import Run, command_line, tiny_document
from tests.support.searching import SPACE

run = pytest.fixture(command_line)
tiny = pytest.fixture(tiny_document)

LATENCY: dict[str, Any] = {"metric": "latency", "max": 5, "unit": "ms"}
BOTH = ["--device", "cpu", "--runtime", "eager", "--mode", "compile"]
ALIKE = ["--device", "cpu", "--runtime", "graph", "--mode", "graph"]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of which torch says that it has a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


def with_budget(**fields: Any) -> dict[str, Any]:
    return {**SPACE, "budgets": [{**LATENCY, **fields}]}


# ------------------------------------------------------------------------------------------------------------ defaults


@pytest.fixture(params=["installed", "onnx", "onnxscript", "onnxruntime"])
def absent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The package of ONNX Runtime's extra that is not installed, or "installed" where all are."""
    name = str(request.param)
    monkeypatch.setattr(onnxruntime, "find_spec", lambda each: None if each == name else object())
    return name


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has ONNX Runtime's extra, whatever this one has."""
    monkeypatch.setattr(onnxruntime, "find_spec", lambda name: object())
    monkeypatch.setattr(onnxruntime.OnnxRuntime, "package_version", lambda self: "1.0")


def test_calls_from_python_run_modules_on_a_cpu_and_graphs_on_a_gpu(gpu: None) -> None:
    assert [default_runtime(device) for device in ("cpu", "cuda", "cuda:1")] == ["eager", "graph", "graph"]
    assert Setting.checked(None, 1, "float32", None) == ("cuda", 1, "float32", "graph")
    assert Setting.checked("cuda", 1, "float32", "eager").runtime == "eager"
    assert Setting.checked("cpu", 1, "float32", None).runtime == "eager"


def test_what_is_deployed_on_a_cpu_is_onnxruntime_where_all_its_packages_are_installed(absent: str) -> None:
    """Each in a sentence that says why; a package is looked for, and not imported."""
    default = deployment_runtime("cpu", "float32")
    if absent == "installed":
        assert str(default) == "runtime: onnxruntime (installed; the default on a CPU)"
        assert deployment_runtime("cpu", "float16").name == "onnxruntime"
    else:
        remedy = "after pip install 'archdsl[onnx]' it is onnxruntime"
        assert str(default) == f"runtime: eager (the default on a CPU without {absent}; {remedy})"
    refused = "runtime: eager (the default on a CPU for bfloat16, which onnxruntime does not take)"
    assert str(deployment_runtime("cpu", "bfloat16")) == refused
    assert str(deployment_runtime("cuda:1", "float32")) == "runtime: graph (the default on a GPU)"


def test_finding_the_default_imports_none_of_the_packages() -> None:
    code = (
        "import sys; from archdsl.runtimes.by_name import deployment_runtime; deployment_runtime('cpu', 'float32');"
        "assert not {'onnx', 'onnxscript', 'onnxruntime', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_search_takes_the_default_of_its_device_unless_the_space_or_the_user_says_otherwise(
    gpu: None, installed: None
) -> None:
    unnamed = SettingsRequest()
    assert settings_of(space_of(SPACE), unnamed).runtime == "graph"
    assert settings_of(space_of(SPACE), SettingsRequest(device="cpu")).runtime == "onnxruntime"
    assert settings_of(space_of(SPACE), SettingsRequest(device="cpu", dtype="bf16")).runtime == "eager"
    assert settings_of(space_of(with_budget(device="cpu")), unnamed).runtime == "onnxruntime"
    assert settings_of(space_of(with_budget(device="cpu", dtype="bfloat16")), unnamed).runtime == "eager"
    assert settings_of(space_of(SPACE), SettingsRequest(runtime="eager")).runtime == "eager"
    assert settings_of(space_of(with_budget(mode="eager")), unnamed).runtime == "eager"
    assert settings_of(space_of(with_budget(mode="eager")), SettingsRequest(device="cpu")).runtime == "eager"
    assert settings_of(space_of(with_budget(mode="eager")), SettingsRequest(runtime="compile")).runtime == "compile"


@pytest.mark.parametrize("command", ["doctor", "search"])
def test_doctor_and_search_print_the_default_with_its_reason_and_nothing_where_one_is_named(
    command: str, installed: None, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def searched(*_: Any, notes: list[str], **__: Any) -> Any:
        told.extend(notes)
        raise MeasureError("stopped")

    def examined(*_: Any, **__: Any) -> Any:
        raise MeasureError("stopped")

    monkeypatch.setattr("archdsl.search.api.run_search", searched)
    monkeypatch.setattr("archdsl.search.doctor.doctor.examine", examined)
    space = tmp_path / "space.json"
    for document, named, expected in (
        (SPACE, [], ["runtime: onnxruntime (installed; the default on a CPU)"]),
        (SPACE, ["--runtime", "eager"], []),
        (with_budget(runtime="eager"), [], []),
    ):
        space.write_text(json.dumps(document))
        told.clear()
        ended = run(command, space, "--device", "cpu", *named)
        assert ended.err.endswith("stopped\n")
        assert [*told, *(line for line in ended.err.splitlines() if line.startswith("runtime:"))] == expected


def test_bench_and_tables_take_the_default_of_the_device(
    gpu: None, installed: None, run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def stopped(*arguments: Any, **named: Any) -> Any:
        seen.extend([*arguments, *named.values()])
        raise MeasureError("stopped")

    monkeypatch.setattr("archdsl.latency.compare", stopped)
    monkeypatch.setattr("archdsl.latency.tables.load_here", stopped)
    assert run("bench", tiny).err.startswith(
        "runtime: graph (the default on a GPU)\nmeasuring tiny: batch 1, float32, graph ...\n"
    )
    assert run("bench", tiny, "--device", "cpu").err.startswith(
        "runtime: onnxruntime (installed; the default on a CPU)\n"
        "measuring tiny: batch 1, float32, onnxruntime, after an export that takes seconds per network ...\n"
    )
    assert run("bench", tiny, "--mode", "eager").err.startswith("measuring tiny: batch 1, float32, eager ...")
    assert run("lut", "show", "lit-dat-64").err.endswith("stopped\n")
    assert Setting("cuda", 1, "float32", "graph") in seen


def test_a_runtime_is_chosen_by_its_name_and_an_unknown_one_is_refused() -> None:
    assert [runtime_named(name).name for name in RUNTIMES] == [*RUNTIMES]
    assert RUNTIMES == ("eager", "graph", "compile", "onnxruntime", "openvino")
    with pytest.raises(
        MeasureError, match="runtime must be eager, graph, compile, onnxruntime or openvino; got 'fast'"
    ):
        runtime_named("fast")


def test_a_runner_has_run_once_when_it_is_made_and_runs_once_a_call() -> None:
    class Counting(torch.nn.Module):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x

    net = Counting()
    run = runtime_named("eager").runner(net, torch.zeros(1))
    assert net.calls == 1
    run()
    assert net.calls == 2


# -------------------------------------------------------------------------------------------------------- both are said


def test_either_name_is_taken_and_both_where_they_say_the_same() -> None:
    assert (runtime_of(None, None), runtime_of("graph", None), runtime_of(None, "graph")) == (None, "graph", "graph")
    assert runtime_of("graph", "graph") == "graph"
    with pytest.raises(WrongUse, match="runtime 'eager' and mode 'graph' differ; mode is the former name"):
        runtime_of("eager", "graph")


@pytest.mark.parametrize(
    "command",
    [
        ["search", "lit-dat-64"],
        ["doctor", "lit-dat-64", "--no-measure"],
        ["bench", "litv2_s"],
        ["bench", "--layers"],
        ["lut", "build", "lit-dat-64"],
        ["lut", "show", "lit-dat-64"],
        ["lut", "predict", "lit-dat-64", "litv2_s"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_commands_refuse_two_that_differ_and_name_both(
    run: Run, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run(*command, *BOTH)
    assert (ended.code, ended.out) == (2, "")
    assert "'eager' differs from --mode 'compile', its former name; give --runtime alone" in ended.err
    ended = run(*command, *ALIKE)
    assert (ended.code, ended.out) == (1, ""), "a runtime that a CPU does not have"
    assert "runtime graph replays a CUDA graph and needs a GPU" in ended.err
    assert run(*command, "--device", "cpu", "--mode", "graph").err == ended.err
    ended = run(*command, "--runtime", "fast")
    assert ended.code == 2
    assert "unknown runtime 'fast'; known: compile, eager, graph, onnxruntime, openvino" in ended.err


def _module() -> torch.nn.Module:
    return torch.nn.Flatten()


CALLS: list[Callable[..., Any]] = [
    lambda **names: archdsl.measure(_module(), "cpu", image=(1, 2, 2), **names),
    lambda **names: compare({"one": _module()}, "cpu", image=(1, 2, 2), **names),
    lambda **names: prepare(_module(), (1, 2, 2), "cpu", **names),
    lambda **names: layers.bench_layers("cpu", **names),
    lambda **names: tables.build_tables(space_of(SPACE), "cpu", **names),
    lambda **names: run_search(space_of(SPACE), device="cpu", **names),
]


@pytest.mark.parametrize("call", CALLS, ids=["measure", "compare", "prepare", "layers", "tables", "search"])
def test_python_takes_the_former_name_and_refuses_two_that_differ(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongUse, match="runtime 'eager' and mode 'compile' differ"):
        call(runtime="eager", mode="compile")
    for names in ({"runtime": "graph"}, {"mode": "graph"}, {"runtime": "graph", "mode": "graph"}):
        with pytest.raises(MeasureError, match="runtime graph replays a CUDA graph and needs a GPU"):
            call(**names)


def test_the_runtime_is_the_fifth_argument() -> None:
    with pytest.raises(
        MeasureError, match="runtime must be eager, graph, compile, onnxruntime or openvino; got 'fast'"
    ):
        archdsl.measure(_module(), "cpu", 1, "float32", "fast", image=(1, 2, 2))


# ----------------------------------------------------------------------------------------------------------- documents


@pytest.mark.parametrize(
    "fields",
    [
        {"runtime": "graph"},
        {"mode": "graph"},
        {"runtime": "graph", "mode": "graph"},
        {"runtime": None, "mode": "graph"},
        {"mode": None, "runtime": "graph"},
    ],
    ids=str,
)
def test_a_budget_is_read_under_either_name_and_written_as_runtime(fields: dict[str, Any]) -> None:
    space = space_of(with_budget(**fields))
    assert space.budgets[0].runtime == "graph"
    written = space.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert written["budgets"] == [{**LATENCY, "runtime": "graph"}]
    assert space_of(written) == space


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"runtime": "graph", "mode": "eager"},
            "x.json:LINE:4: budgets[0].mode: mode is the former name of runtime, which has another value; "
            'got "eager"; remove mode',
        ),
        (
            {"mode": "fast"},
            'x.json:LINE:12: budgets[0].mode: mode must be "eager", "graph", "compile", "onnxruntime" or "openvino"; '
            'got "fast"; known: compile, eager, graph, onnxruntime, openvino',
        ),
        (
            {"metric": "params", "unit": "M", "mode": "eager"},
            "x.json:LINE:12: budgets[0].mode: only a latency or throughput budget has 'runtime'; remove it",
        ),
    ],
    ids=["both", "unknown", "of params"],
)
def test_a_budget_that_is_wrong_is_told_where_it_is_written(fields: dict[str, Any], said: str) -> None:
    text = json.dumps(with_budget(**fields), indent=1)
    line = next(number for number, each in enumerate(text.splitlines(), 1) if each.lstrip().startswith('"mode"'))
    with pytest.raises(SpecError) as caught:
        parse_space(text.encode(), "x.json")
    assert str(caught.value) == said.replace("LINE", str(line))


def test_the_schema_knows_the_former_name_as_such() -> None:
    definitions: Any = space_schema()["$defs"]
    fields = definitions["Budget"]["properties"]
    former = fields["mode"]
    assert (former["deprecated"], former["description"]) == (True, "the former name of runtime")
    assert former["anyOf"] == fields["runtime"]["anyOf"]
    validator = Draft202012Validator(space_schema())
    validator.validate(with_budget(mode="graph"))
    assert not validator.is_valid(with_budget(mode="fast"))
