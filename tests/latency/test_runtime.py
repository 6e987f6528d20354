"""What executes a network, `runtime`, and its defaults."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
from archdsl.errors import MeasureError
from archdsl.latency import RUNTIMES, Setting, default_runtime
from archdsl.load.spaces import space_of
from archdsl.runtimes import onnxruntime
from archdsl.runtimes.by_name import deployment_runtime, runtime_named
from archdsl.search.defaults import settings_of
from archdsl.search.request import SettingsRequest
from tests.support.commands import Run, command_line, tiny_document
from tests.support.searching import SPACE

run = pytest.fixture(command_line)
tiny = pytest.fixture(tiny_document)

LATENCY: dict[str, Any] = {"metric": "latency", "max": 5, "unit": "ms"}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of which torch says that it has a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


def with_budget(**fields: Any) -> dict[str, Any]:
    return {**SPACE, "budgets": [{**LATENCY, **fields}]}


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


def test_the_runtime_is_the_fifth_argument() -> None:
    with pytest.raises(
        MeasureError, match="runtime must be eager, graph, compile, onnxruntime or openvino; got 'fast'"
    ):
        archdsl.measure(torch.nn.Flatten(), "cpu", 1, "float32", "fast", image=(1, 2, 2))
