"""What a whole document costs: branches that wait for each other, maps that are handed out."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from archdsl.compile import build
from archdsl.cost import count
from archdsl.errors import SpecError
from archdsl.language.document import Spec
from archdsl.load.specs import load_spec, spec_of
from tests.support.meta_counter import count_module

Raw = dict[str, Any]

STEM: Raw = {"id": "stem", "type": "patch_stem", "width": 16, "patch": 2}
HEAD: Raw = {"id": "head", "type": "mean_head"}


def merge(name: str, width: int, **fields: Any) -> Raw:
    return {"id": name, "type": "deformable_merge", "width": width, **fields}


def join(name: str, kind: str, *sources: str) -> Raw:
    return {"id": name, "type": f"{kind}_join", "from": list(sources)}


def branching(kind: str, draw: random.Random) -> Spec:
    """A document of that kind whose heaviest node is anywhere, and that hands out any of its maps."""

    def stage(name: str, **fields: Any) -> Raw:
        drawn = {"heads": draw.choice([1, 4, 16]), "depth": draw.choice([1, 2])}
        out_norm = draw.choice(["never", "features", "always"])
        return {"id": name, "type": "attention", **drawn, "out_norm": out_norm, **fields}

    other: Raw = {"from": "stem"}
    nodes = {
        "two scales": lambda: [
            *(stage("s1"), merge("m1", 32), stage("s2"), merge("m2", 32, **{"from": "s1"}), stage("s3")),
            *(join("j", draw.choice(["add", "concat"]), *draw.choice([("s2", "s3"), ("s3", "m1", "s2")])), stage("s4")),
        ],
        "three branches": lambda: [
            *(stage("s1"), stage("s2", **other), stage("s3", **other), join("j", "add", "s2", "s3", "s1")),
            *(join("c", "concat", "s2", "j"), merge("m1", 32), stage("s4")),
        ],
        "one source twice": lambda: [
            *(stage("s1"), join("j", "add", "s1", "s1"), join("c", "concat", "s1", "j", "j"), stage("s4")),
        ],
        "two stems": lambda: [{**STEM, "id": "stem2"}, join("j", "add", "stem", "stem2"), stage("s1"), stage("s2")],
        "class token": lambda: [stage("s1"), merge("m", 16), stage("s2", class_token=True, position_embedding=True)],
    }[kind]()
    head = {**HEAD, "type": "class_token_head"} if kind == "class token" else HEAD
    ids = [node["id"] for node in nodes]
    features = {"features": sorted(draw.sample(ids, 2), key=ids.index)} if draw.random() < 0.5 else {}
    nodes = [STEM, *nodes, head]
    return spec_of({"kind": "arch", "version": 1, "name": "dag", "image": [24, 40], "nodes": nodes, **features})


@pytest.mark.parametrize("kind", ["two scales", "three branches", "one source twice", "two stems", "class token"])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("features_only", [False, True])
def test_a_count_knows_what_waits_beside_each_node(kind: str, seed: int, features_only: bool) -> None:
    spec = branching(kind, random.Random(seed))
    counted = count(spec, features_only)
    counted_running = count_module(build(spec, features_only), torch.zeros(1, 3, 24, 40))
    assert (counted.params, counted.macs, counted.activations) == counted_running


def test_memory_is_elements_times_bytes() -> None:
    counted = count(load_spec("lit_s"))
    assert counted.params == sum(node.params for node in counted.nodes)
    assert counted.macs == sum(node.macs for node in counted.nodes)
    assert counted.weight_bytes("bfloat16") == 2 * counted.params
    assert counted.activation_bytes("float32", batch=3) == 12 * counted.activations
    assert counted.memory_bytes() == 4 * (counted.params + counted.activations)
    assert counted.activations >= max(node.activations for node in counted.nodes)


def test_features_must_name_nodes_that_give_a_map() -> None:
    raw = {"kind": "arch", "version": 1, "name": "t", "image": 32}
    nodes = [STEM, {"id": "stage", "type": "mlp", "depth": 1}, HEAD]
    assert spec_of({**raw, "nodes": nodes, "features": ["stage"]})
    with pytest.raises(SpecError) as refused:
        spec_of({**raw, "nodes": nodes, "features": ["stag", "head"]})
    assert [str(problem) for problem in refused.value.problems] == [
        "features[0]: no node has this id; got \"stag\"; did you mean 'stage'?",
        'features[1]: head gives no map; got "head"; name a node that gives pixels',
    ]


def test_a_dense_form_needs_a_map_to_hand_out() -> None:
    raw = {"kind": "arch", "version": 1, "name": "t", "image": 32}
    spec = spec_of({**raw, "nodes": [STEM, merge("merge", 8), HEAD]})
    assert count(spec).params
    with pytest.raises(SpecError, match="hands out the maps of stages; there is none"):
        count(spec, features_only=True)
