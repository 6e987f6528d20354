"""`mode`, the former name of `runtime`, wherever it is still read: in calls, commands and documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator

import archdsl
from archdsl.errors import MeasureError, SpecError, WrongUse
from archdsl.latency import compare, layers, prepare, tables
from archdsl.load.spaces import parse_space, space_of
from archdsl.reference.jsonschema import space_schema
from archdsl.runtimes.by_name import runtime_of
from archdsl.search import run as run_search
from tests.support.commands import Run, command_line
from tests.support.searching import SPACE

run = pytest.fixture(command_line)


LATENCY: dict[str, Any] = {"metric": "latency", "max": 5, "unit": "ms"}
BOTH = ["--device", "cpu", "--runtime", "eager", "--mode", "compile"]


ALIKE = ["--device", "cpu", "--runtime", "graph", "--mode", "graph"]


def with_budget(**fields: Any) -> dict[str, Any]:
    return {**SPACE, "budgets": [{**LATENCY, **fields}]}


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
            'got "fast"',
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
