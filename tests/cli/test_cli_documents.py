"""Commands on documents: `archdsl new`, `zoo`, `show`, `cost` and `schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archdsl import load_spec, zoo
from tests.support.commands import Run, command_line, tiny_document

run = pytest.fixture(command_line)
tiny = pytest.fixture(tiny_document)


@pytest.mark.parametrize("name", ["litv2_s", "lit-dat-64"])
def test_new_prints_the_document_as_shipped(run: Run, name: str) -> None:
    assert run("new", name) == (0, (zoo.text(name) or b"").decode(), "")


@pytest.mark.parametrize("name", ["litv2_s", "lit-dat-64"])
def test_new_renames_and_leaves_the_rest_as_it_is(run: Run, name: str) -> None:
    shipped = (zoo.text(name) or b"").decode()
    assert run("new", name, "--name", "mine.2").out == shipped.replace(f'"name": "{name}"', '"name": "mine.2"', 1)


def test_new_sets_fields(run: Run, tmp_path: Path) -> None:
    ended = run("new", "litv2_s", "--set", "stage3.depth=3", "--set", "image=192", "--name", "mine")
    (tmp_path / "mine.json").write_text(ended.out, encoding="utf-8")
    spec = load_spec(tmp_path / "mine.json")
    assert (spec.name, spec.image, spec.node("stage3").model_dump()["depth"]) == ("mine", 192, 3)
    assert '\n    {"id": "stage3", "type": "hilo", "depth": 3, "heads": 12, "window": 2},\n' in ended.out


def test_zoo_lists_backbones_and_spaces(run: Run) -> None:
    ended = run("zoo")
    assert (ended.code, ended.err) == (0, "")
    assert all(name in ended.out for name in [*zoo.names(), *zoo.spaces()])
    found = json.loads(run("zoo", "--json").out)
    assert [row["name"] for row in found["specs"]] == zoo.names()
    assert found["spaces"] == zoo.spaces()
    row = next(row for row in found["specs"] if row["name"] == "litv2_s")
    assert (row["params"], row["image"], row["paper"]["arxiv"]) == (27_844_000, [224, 224], "2205.13213")


def test_show_draws_in_each_form(run: Run, tiny: Path) -> None:
    assert run("show", tiny).out.startswith("tiny: 3x32x32 -> 10 classes")
    assert run("show", tiny, "--set", "image=64").out.startswith("tiny: 3x64x64 -> 10 classes")
    assert run("show", tiny, "--format", "mermaid").out.startswith("flowchart TD\n")
    assert run("show", tiny, "--format", "dot").out.startswith('digraph "tiny" {\n')


def test_show_gives_the_graph_as_json(run: Run, tiny: Path) -> None:
    found = json.loads(run("show", tiny, "--json").out)
    assert [(node["id"], node["kind"], node["shape"]) for node in found["nodes"]] == [
        ("stem", "stem", "8x8x8"),
        ("stage", "stage", "8x8x8"),
        ("head", "head", "10"),
    ]
    assert found["edges"][0] == {"from": "stem", "to": "stage", "ports": {"pixels": "8x8x8"}}


def test_cost_counts_one_and_several(run: Run, tiny: Path) -> None:
    first = json.loads(run("cost", tiny, "--json").out)
    assert first["name"] == "tiny"
    assert first["params"] == sum(node["params"] for node in first["nodes"])
    several = json.loads(run("cost", tiny, "litv2_s", "--json").out)
    assert several[0] == first
    assert several[1]["macs"] == 3_723_626_496
    ended = run("cost", tiny, "litv2_s")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("in all") >= 2


def test_schema_prints_the_committed_file(run: Run) -> None:
    for kind in ("arch", "space"):
        found = json.loads(run("schema", kind).out)
        assert found["properties"]["kind"]["const"] == kind
