"""Equal networks have equal hashes, however they are written; different networks have different ones."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from archdsl.language.canonical import canonical, canonical_hash
from archdsl.load.specs import load_spec, override, spec_of
from tests.support.mutants import originals

BASE: dict[str, Any] = {
    "kind": "arch",
    "version": 1,
    "name": "net",
    "image": 64,
    "classes": 10,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 32},
        {"id": "stage1", "type": "attention", "depth": 2, "heads": 4},
        {"id": "merge1", "type": "deformable_merge", "width": 64},
        {"id": "stage2", "type": "hilo", "depth": 3, "heads": 4, "window": 2, "alpha": 0.5},
        {"id": "join", "type": "add_join", "from": ["stage2", "merge1"]},
        {"id": "head", "type": "mean_head"},
    ],
}
Change = dict[str, Any]
"""Fields to set in BASE, by `nodes.1.depth`; `...` removes one."""


def changed(change: Change) -> str:
    document = copy.deepcopy(BASE)
    for path, value in change.items():
        *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        place: Any = document
        for key in keys:
            place = place[key]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return canonical_hash(spec_of(document))


SEQUENCE: dict[str, Any] = {
    "id": "stage1",
    "type": "sequence",
    "depth": 2,
    "blocks": [{"type": "attention", "heads": 4}],
}
TWO: dict[str, Any] = {
    "id": "stage1",
    "type": "sequence",
    "depth": 4,
    "blocks": [{"type": "mlp"}, {"type": "attention", "heads": 4}],
}
EQUAL: dict[str, Change] = {
    "the name": {"name": "other"},
    "the paper, weights and schema": {"paper": {"title": "T"}, "weights": "lit", "$schema": "arch-1.schema.json"},
    "defaults written out": {
        "channels": 3,
        "drop_path": 0.0,
        "init": "truncated_normal",
        "nodes.0.patch": 4,
        "nodes.0.norm": {"type": "layer", "eps": 1e-5},
        "nodes.1.class_token": False,
        "nodes.1.mlp": {"type": "plain", "ratio": 4.0},
        "nodes.1.layer_scale": None,
    },
    "a side of the image a side": {"image": [64, 64]},
    "other ids": {
        "nodes.0.id": "a",
        "nodes.1.id": "b",
        "nodes.2.id": "c",
        "nodes.3.id": "d",
        "nodes.4.id": "e",
        "nodes.4.from": ["d", "c"],
        "nodes.5.id": "f",
    },
    "a source that is the node before": {"nodes.1.from": "stem", "nodes.3.from": ["merge1"], "nodes.5.from": "join"},
    "a port written out": {"nodes.1.from": "stem.pixels", "nodes.4.from": ["stage2.pixels", "merge1"]},
    "alpha by its head count": {"nodes.3.alpha": 0.7},
    "a sequence of one block": {"nodes.1": SEQUENCE},
    "a sequence of equal blocks": {"nodes.1": SEQUENCE | {"blocks": SEQUENCE["blocks"] * 2}},
    "a sequence of which one block is reached": {
        "nodes.1": {**SEQUENCE, "blocks": [*SEQUENCE["blocks"] * 2, {"type": "mlp"}]}
    },
}


@pytest.mark.parametrize("case", EQUAL)
def test_networks_written_otherwise_are_one(case: str) -> None:
    assert changed(EQUAL[case]) == changed({})


def test_alpha_has_no_meaning_at_window_1() -> None:
    assert changed({"nodes.3.window": 1}) == changed({"nodes.3.window": 1, "nodes.3.alpha": 0})


def test_a_sequence_is_what_its_turns_come_to() -> None:
    doubled = {"nodes.1": {**TWO, "blocks": TWO["blocks"] * 2}}
    longer = {"nodes.1": {**TWO, "blocks": [*TWO["blocks"] * 2, {"type": "hilo", "heads": 2, "window": 2}]}}
    assert changed({"nodes.1": TWO}) == changed(doubled) == changed(longer)
    assert changed({"nodes.1": {**TWO, "blocks": TWO["blocks"][::-1]}}) != changed(doubled)
    assert changed({"nodes.1": {**TWO, "depth": 3}}) != changed(doubled)


DIFFERENT: dict[str, Change] = {
    "image": {"image": 96},
    "image, turned": {"image": [64, 96]},
    "channels": {"channels": 1},
    "classes": {"classes": 11},
    "drop_path": {"drop_path": 0.1},
    "init": {"init": "torch"},
    "features": {"features": ["stage1"]},
    "a stem's patch": {"nodes.0.patch": 2},
    "a stem's pad": {"nodes.0.pad": False},
    "a norm": {"nodes.0.norm": {"type": "batch"}},
    "an eps": {"nodes.0.norm": {"type": "layer", "eps": 1e-6}},
    "depth": {"nodes.1.depth": 3},
    "heads": {"nodes.1.heads": 8},
    "a bias": {"nodes.1.position_bias": {"type": "relative"}},
    "a flag": {"nodes.1.local_perception": True},
    "out_norm": {"nodes.1.out_norm": "never"},
    "an mlp": {"nodes.1.mlp": {"type": "dwconv"}},
    "a ratio": {"nodes.1.mlp": {"type": "plain", "ratio": 3}},
    "a layer scale": {"nodes.1.layer_scale": 1e-5},
    "alpha": {"nodes.3.alpha": 0.75},
    "window": {"nodes.3.window": 4},
    "window 1": {"nodes.3.window": 1},
    "a type": {"nodes.1": {"id": "stage1", "type": "mlp", "depth": 2}},
    "a join": {"nodes.4.type": "concat_join"},
    "sources": {"nodes.4.from": ["merge1", "stage2"]},
}


def test_other_networks_are_others_each() -> None:
    found = {case: changed(change) for case, change in DIFFERENT.items()}
    assert len({*found.values(), changed({})}) == len(DIFFERENT) + 1


def test_published_backbones_differ_and_keep_their_hash_through_json() -> None:
    specs = {name: spec_of(document) for name, document in originals().items()}
    assert len({canonical_hash(spec) for spec in specs.values()}) == len(specs)
    for spec in specs.values():
        again = spec_of(json.loads(json.dumps(spec.to_json())))
        assert canonical(again) == canonical(spec)
        assert canonical_hash(again) == canonical_hash(spec)
        assert len(canonical_hash(spec)) == 16


def test_an_override_with_the_value_that_is_there_changes_nothing() -> None:
    spec = load_spec("litv2_s")
    assert canonical_hash(override(spec, ["stage3.alpha=0.9", "image=224"])) == canonical_hash(spec)
