"""`archdsl.graph` gives a document as a networkx graph, with the shapes that flow along its edges."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise
from typing import Any

import networkx as nx
import pytest

from archdsl import zoo
from archdsl.compile import build
from archdsl.cost import count
from archdsl.errors import Problem, SpecError
from archdsl.graphs import Links, graph, link, plan
from archdsl.language import plan as planning
from archdsl.language.checking.draft import Draft
from archdsl.load.specs import load_spec, override, spec_of
from archdsl.shape import Map, Tokens
from tests.support.places import SPECS


def small(*nodes: dict[str, Any], **header: Any) -> Any:
    return spec_of(
        {"kind": "arch", "version": 1, "name": "net", "image": 32, "classes": 4, **header, "nodes": [*nodes]}
    )


STEM = {"id": "stem", "type": "patch_stem", "width": 8}
TOKEN = {"id": "stage1", "type": "attention", "depth": 1, "heads": 2, "class_token": True}


def test_a_chain_is_a_path_with_the_shapes_of_the_paper() -> None:
    found = graph(load_spec("litv2_s"))
    assert isinstance(found, nx.DiGraph)
    assert found.name == "litv2_s"
    names = ["stem", "stage1", "merge1", "stage2", "merge2", "stage3", "merge3", "stage4", "head"]
    assert list(found.nodes) == names
    assert list(found.edges) == list(pairwise(names))
    assert {name: found.nodes[name]["shape"] for name in ("stem", "stage2", "stage3", "stage4")} == {
        "stem": Map(96, 56, 56, 4),
        "stage2": Map(192, 28, 28, 8),
        "stage3": Map(384, 14, 14, 16),
        "stage4": Map(768, 7, 7, 32),
    }
    assert found.nodes["stage3"]["type"] == "hilo"
    assert found.nodes["stage3"]["kind"] == "stage"
    assert found.nodes["stage3"]["node"].heads == 12
    assert found.nodes["head"]["shape"] == Tokens(1000)
    assert found.edges["merge2", "stage3"] == {
        "port": "pixels",
        "shape": Map(384, 14, 14, 16),
        "ports": {"pixels": Map(384, 14, 14, 16)},
    }


def test_branches_part_and_meet() -> None:
    found = graph(load_spec(SPECS / "two_branches.json"))
    assert set(found.successors("stem")) == {"local1", "global1"}
    assert set(found.predecessors("join")) == {"local2", "global2"}
    assert found.nodes["join"]["shape"] == Map(128, 8, 8, 8)
    assert [found.edges[source, "join"]["shape"].channels for source in ("local2", "global2")] == [64, 64]
    assert nx.is_directed_acyclic_graph(found)


def test_a_node_is_read_as_often_as_it_is_named() -> None:
    found = graph(load_spec(SPECS / "early_feature.json"))
    assert set(found.successors("stage1")) == {"merge1", "early"}
    assert set(found.successors("stage2")) == {"stage3", "sum"}
    assert list(found.predecessors("sum")) == ["stage3", "early", "stage2"]


def test_ports_are_on_the_edges_that_carry_them() -> None:
    found = graph(small(STEM, TOKEN, {"id": "head", "type": "class_token_head"}))
    assert found.nodes["stage1"]["shapes"] == {"pixels": Map(8, 8, 8, 4), "class": Tokens(8)}
    assert found.nodes["stage1"]["shape"] == Map(8, 8, 8, 4)
    assert found.edges["stage1", "head"] == {"port": "class", "shape": Tokens(8), "ports": {"class": Tokens(8)}}


def test_a_map_added_to_itself_is_one_edge() -> None:
    double = {"id": "double", "type": "add_join", "from": ["stem", "stem.pixels"]}
    found = graph(small(STEM, double, {"id": "head", "type": "mean_head"}))
    assert list(found.edges) == [("stem", "double"), ("double", "head")]


def test_the_order_is_one_in_which_every_node_stands_after_what_it_reads() -> None:
    for name in zoo.names():
        found = graph(load_spec(name))
        order = {node: place for place, node in enumerate(found.nodes)}
        assert all(order[source] < order[reader] for source, reader in found.edges)
        assert [node for node in found if not found.out_degree(node)] == ["head"]
        assert [node for node in found if not found.in_degree(node)] == ["stem"]


def test_static_shapes_follow_the_image() -> None:
    found = graph(override(load_spec("litv2_s"), ["image=[200, 333]"]))
    assert found.nodes["stage1"]["shape"] == Map(96, 50, 84, 4)
    assert found.nodes["stage4"]["shape"] == Map(768, 6, 10, 32)


def test_a_port_is_in_the_plan_as_read_only_where_it_is() -> None:
    steps = {step.node.id: step for step in plan(small(STEM, TOKEN, {"id": "head", "type": "class_token_head"}))}
    assert steps["stage1"].read == {"class"}
    assert steps["stem"].read == {"pixels"}


def test_a_plan_of_features_leaves_out_what_they_do_not_need() -> None:
    spec = load_spec(SPECS / "two_branches.json")
    early = spec.model_copy(update={"features": ("local1",)})
    assert [step.node.id for step in plan(early, features_only=True)] == ["stem", "local1"]
    assert [step.node.id for step in plan(spec, features_only=True) if step.feature] == ["global1", "stage2"]


def test_features_are_any_nodes_with_a_map_and_come_in_the_order_of_the_document() -> None:
    spec = override(load_spec(SPECS / "two_branches.json"), ['features=["stage2", "join", "local1"]'])
    model = build(spec, features_only=True)
    assert [info["module"] for info in model.feature_info] == ["local1", "join", "stage2"]


def test_a_spec_made_in_python_that_does_not_hold_together_has_no_graph() -> None:
    spec = load_spec("litv2_s")
    headless = spec.model_copy(update={"nodes": spec.nodes[:-1]})
    with pytest.raises(SpecError, match="exactly one head is needed"):
        graph(headless)


def test_linking_and_shape_flow_run_once_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    linked = list[str]()

    def counting(draft: Draft, problems: list[Problem]) -> list[Links | None]:
        linked.append("again")
        return link(draft, problems)

    monkeypatch.setattr(planning, "link", counting)
    spec = load_spec("dualvit_s")
    count(spec), graph(spec), plan(spec, features_only=True)
    assert linked == ["again"]
    assert plan(spec) is plan(spec)


def test_what_is_worked_out_of_a_document_is_no_part_of_it() -> None:
    spec, fresh = load_spec("litv2_s"), load_spec("litv2_s")
    steps, shape = plan(spec), plan(spec)[-1].inputs[0]
    assert (spec, hash(spec), spec.__getstate__()) == (fresh, hash(fresh), fresh.__getstate__())
    halved = spec.model_copy(update={"image": 112})
    assert plan(halved)[-1].inputs[0] != shape
    assert plan(spec) is steps
    for again in (copy.copy(spec), copy.deepcopy(spec), pickle.loads(pickle.dumps(spec))):
        assert plan(again) == steps
