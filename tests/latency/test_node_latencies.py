"""`archdsl show --latency`: every node is measured on what it reads, in the setting that is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from archdsl import build, count, load_spec
from archdsl.json_types import JsonObject
from archdsl.latency.nodes import _inputs, node_latencies
from archdsl.latency.result import Comparison, Latency
from archdsl.render.node_latencies import latency_table
from tests.support.commands import Run, command_line, tiny_document
from tests.support.drawn import document
from tests.support.screens import text_of

run = pytest.fixture(command_line)
tiny = pytest.fixture(tiny_document)
CONDITIONS: JsonObject = {"batch": 2, "dtype": "float32", "runtime": "onnxruntime", "device": "cpu", "threads": 1}


def test_a_node_is_measured_on_what_it_reads_in_the_network() -> None:
    nodes: list[dict[str, Any]] = [
        {"id": "stem", "type": "patch_stem", "width": 8},
        {"id": "left", "type": "mlp", "depth": 1},
        {"id": "right", "type": "mlp", "depth": 1, "from": "stem"},
        {"id": "both", "type": "add_join", "from": ["left", "right"]},
        {"id": "head", "type": "mean_head"},
    ]
    model = build(document(nodes)).eval()
    with torch.inference_mode():
        read = _inputs(model, x := torch.randn(1, 3, 32, 32))
        stem, left, right = (model.get_submodule(name) for name in ("stem", "left", "right"))
        assert torch.equal(read["stem"][0], x)
        assert torch.equal(read["right"][0], stem(x))
        assert torch.equal(read["both"][0], left(stem(x)))
        assert torch.equal(read["both"][1], right(stem(x)))


def test_shares_are_of_the_sum_of_all_nodes(tiny: Path) -> None:
    spec = load_spec(tiny)
    measured = node_latencies(spec, "cpu", 2, 1, rounds=2, warmup_s=0.0)
    assert list(measured.nodes) == [node.id for node in spec.nodes]
    assert all(ms > 0 for ms in [*measured.nodes.values(), measured.whole_ms])
    facts = json.loads(json.dumps(measured.as_json()))
    assert sum(node["share"] for node in facts["nodes"].values()) == pytest.approx(1)
    assert [facts["provenance"][name] for name in ("runtime", "batch", "threads")] == ["eager", 2, 1]


def test_in_another_runtime_a_node_is_the_difference_that_it_makes_to_the_network(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is measured up to a node gives what later nodes read; the nodes add up to the network."""
    spec, asked = load_spec(tiny), dict[str, Any]()
    took = {"stem": 2.0, "stage": 5.0, "head": 4.5}

    def compare(networks: dict[str, torch.nn.Module], *setting: object, **more: object) -> Comparison:
        asked.update(networks=networks, setting=setting, image=more["image"])
        latencies = {name: Latency(name, (took[name],), {"runtime": "onnxruntime"}) for name in networks}
        return Comparison("p50", latencies, latencies["stem"])

    monkeypatch.setattr("archdsl.latency.nodes.compare", compare)
    measured = node_latencies(spec, "cpu", 2, 1, runtime="onnxruntime")
    assert measured.nodes == {"stem": 2.0, "stage": 3.0, "head": -0.5}
    assert (measured.whole_ms, measured.sum_ms, measured.way) == (4.5, 4.5, "difference")
    assert asked["setting"] == ("cpu", 2, "float32", "onnxruntime", 1)
    networks, x = asked["networks"], torch.randn(1, *asked["image"])
    with torch.inference_mode():
        stem, stage, logits = (networks[name](x) for name in took)
        model = networks["head"].model
        assert torch.equal(stage, model.stage(stem))
        assert torch.equal(logits, model(x))
    assert "The whole network: p50 4.500 ms per batch, which the nodes add up to." in " ".join(
        text_of(latency_table(spec, count(spec), measured._replace(origin=CONDITIONS)), 100).split()
    )


@pytest.mark.slow
def test_the_network_up_to_a_node_is_measured_as_an_exported_file(run: Run, tiny: Path) -> None:
    ended = run("show", tiny, "--latency", "--runtime", "onnxruntime", "--threads", "1", "--rounds", "3", "--json")
    facts = json.loads(ended.out)["latency"]
    assert facts["way"] == "difference"
    assert sum(node["ms"] for node in facts["nodes"].values()) == pytest.approx(facts["ms"])
    assert facts["provenance"]["runtime"] == "onnxruntime"


def test_show_prints_the_shares_and_their_conditions(run: Run, tiny: Path) -> None:
    asked = ("show", tiny, "--latency", "--device", "cpu", "--threads", "1", "--rounds", "2")
    ended = run(*asked)
    assert ended.code == 0
    assert "measuring tiny" in ended.err
    assert all(node.id in ended.out for node in load_spec(tiny).nodes)
    assert "runtime eager, device cpu, 1 thread. Another" in " ".join(ended.out.split())
    assert set(json.loads(run(*asked, "--json").out)["latency"]["nodes"]) == {n.id for n in load_spec(tiny).nodes}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--latency", "--runtime", "onnx"], "unknown runtime 'onnx'; known: compile"),
        (["--latency", "--format", "svg"], "latencies are printed as text or JSON"),
        (["--threads", "1"], "it says how to measure; add --latency"),
        (["--latency", "--rounds", "0"], "'0' is not a whole number"),
    ],
)
def test_what_does_not_go_with_it_is_refused(run: Run, tiny: Path, arguments: list[str], message: str) -> None:
    ended = run("show", tiny, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in " ".join(ended.err.split())


def test_a_space_is_not_measured(run: Run) -> None:
    ended = run("show", "lit-dat-64", "--latency")
    assert (ended.code, ended.out) == (2, "")
    assert "a backbone is measured; this is a search space" in ended.err
