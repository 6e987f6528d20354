"""Only names that are valid at their place are proposed for one that is not known."""

from __future__ import annotations

from typing import Any

import pytest

from archdsl.errors import SpecError
from archdsl.families.common.base import Part
from archdsl.language.checking.fitting_types import fitting_types
from archdsl.language.nodes import node_models
from archdsl.load.specs import spec_of
from tests.support.mistakes import HEAD, STEM, messages_of
from tests.support.small_spaces import MLP, Raw, one_of, raw, refusal

STAGES = sorted([*Part.kinds["block"], *Part.kinds["stage"]]) if node_models() else []


def proposed(message: str) -> str:
    return message.rpartition("; ")[2]


@pytest.mark.parametrize(
    ("node", "wanted"),
    [
        ({"id": "stage1", "type": "deformable_attention", "depth": 1, "heads": 2}, "did you mean 'deformable'?"),
        ({"id": "stage1", "type": "deformable_attention"}, "did you mean 'deformable'?"),
        ({"id": "s", "type": "deformable_attention", "depth": 1}, "did you mean 'deformable'?"),
        ({"id": "merge1", "type": "deformable_merg"}, "did you mean 'deformable_merge'?"),
        ({"id": "down", "type": "Deformable_Attention_Merge", "width": 8}, "did you mean 'deformable_merge'?"),
        ({"id": "semantic_stem", "type": "semantic_stm"}, "did you mean 'semantic_stem'?"),
        ({"id": "stage1", "type": "conv_merg", "depth": 1}, f"known: {', '.join(STAGES)}"),
        ({"id": "join", "type": "conv_join", "from": ["stem", "stem"]}, "did you mean 'concat_join'?"),
    ],
    ids=str,
)
def test_a_type_of_the_kind_that_the_place_asks_for_is_proposed(node: Raw, wanted: str) -> None:
    assert proposed(messages_of(STEM, node, HEAD)[0]) == wanted
    assert proposed(refusal(raw(node))[0]) == wanted
    alternative = {key: value for key, value in node.items() if key not in ("id", "from")}
    assert proposed(refusal(raw({"id": node["id"], "$one_of": [alternative]}))[0]) == wanted


def test_the_first_node_is_a_stem_and_the_last_one_a_head() -> None:
    assert proposed(messages_of({"id": "a", "type": "patch_merge"}, MLP, HEAD)[0]) == "did you mean 'patch_stem'?"
    assert proposed(messages_of(STEM, MLP, {"id": "out", "type": "mean_pool_head"})[0]) == "did you mean 'mean_head'?"


def test_every_type_fits_where_its_own_fields_or_an_id_of_its_kind_stand() -> None:
    for name, model in node_models().items():
        needed = {field: 1 for field, info in model.model_fields.items() if info.is_required()}
        assert name in fitting_types({**needed, "id": f"{model.kind}1"}, 3, 9)


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("mlp", {"type": "window"}, "known: dwconv, dwconv_residual, plain"),
        ("mlp", {"type": "conv"}, "did you mean 'dwconv'?"),
        ("norm", {"type": "layernorm"}, "did you mean 'layer'?"),
        ("mlp", {"type": "plain", "kernel": 3}, "known: ratio, type"),
        ("mlp", {"type": "dwconv", "kernl": 3}, "did you mean 'kernel'?"),
        ("dept", 3, "did you mean 'depth'?"),
    ],
    ids=str,
)
def test_options_and_fields_of_the_very_type_are_proposed(field: str, value: Any, wanted: str) -> None:
    assert messages_of(STEM, MLP | {field: value}, HEAD)[0].endswith(wanted)


def test_position_biases_are_those_of_the_type() -> None:
    stage = {"id": "stage1", "type": "attention", "depth": 1, "heads": 2, "position_bias": {"type": "depthwise"}}
    assert messages_of(STEM, stage, HEAD)[0].endswith("known: none, relative")


def test_blocks_of_a_sequence_are_blocks() -> None:
    stage = {"id": "stage1", "type": "sequence", "depth": 1, "blocks": [{"type": "deformable_merge"}]}
    assert messages_of(STEM, stage, HEAD)[0].endswith("did you mean 'deformable'?")


SPACE = (
    MLP | {"mlp": one_of({"type": "plain"}, {"type": "dwconv"}, name="kind"), "depth": one_of(1, 2, name="d1")},
    {"id": "merge1", "type": "conv_merge", "width": 32},
)


@pytest.mark.parametrize(
    ("constraint", "wanted"),
    [
        ("x == 1", "known: d1, kind"),
        ("knd == 'plain'", "did you mean 'kind'?"),
        ("merge2.width == 32", "did you mean 'merge1.width'?"),
        ("merge1.widht == 32", "did you mean 'merge1.width'?"),
        ("stage1.mlp.raito == 32", "did you mean 'stage1.mlp.ratio'?"),
        ("kind == 'dwcnv'", "did you mean 'dwconv'?"),
        ("kind in ('plian', 'dwconv')", "did you mean 'plain'?"),
    ],
)
def test_names_in_expressions_are_those_of_values_and_labels(constraint: str, wanted: str) -> None:
    assert refusal(raw(*SPACE, constraints=[constraint]))[0].endswith(wanted)


def test_a_node_is_no_value_and_not_proposed_for_one() -> None:
    (message,) = refusal(raw(*SPACE, constraints=["mergel == 1"]))
    assert "did you mean 'merge1." in message


def test_a_feature_is_a_node_that_gives_a_map() -> None:
    assert messages_of(STEM, MLP, HEAD, features=["hed"])[0].endswith("known: stage1, stem")
    assert refusal(raw(*SPACE, features=["hed"]))[0].endswith("known: merge1, stage1, stem")


@pytest.mark.parametrize(
    ("metric", "unit", "rule", "wanted"),
    [("params", "MM", '"K", "M" or "G"', "did you mean 'M'?"), ("latency", "m", '"us", "ms" or "s"', "'ms'?")],
)
def test_a_unit_is_one_of_its_metric(metric: str, unit: str, rule: str, wanted: str) -> None:
    (message,) = refusal(raw(MLP, budgets=[{"metric": metric, "max": 1, "unit": unit}]))
    assert message.startswith(f"budgets[0].unit: unit must be {rule} for {metric}; ")
    assert message.endswith(wanted)


def test_what_spaces_alone_have_is_told_so_in_a_backbone() -> None:
    assert messages_of(STEM, MLP, HEAD, budgets=[]) == [
        'budgets: the document has no field \'budgets\'; documents of "kind": "space" alone have it'
    ]


DEPTH = {"id": "stage1", "type": "mlp", "depth": 1}


def renamed(node: Raw, old: str, new: str) -> Raw:
    return {new if key == old else key: value for key, value in node.items()}


@pytest.mark.parametrize("slip", ["dpeth", "dept", "Depth", "$depth"])
def test_a_misspelt_field_that_is_required_is_told_once(slip: str) -> None:
    line = f"nodes[1].{slip}: mlp has no field '{slip}'; did you mean 'depth'?"
    assert messages_of(STEM, renamed(DEPTH, "depth", slip), HEAD) == [line]
    assert messages_of(STEM, {**DEPTH, "depht": 2}, HEAD) == [
        "nodes[1].depht: mlp has no field 'depht'; did you mean 'depth'?"
    ]
    assert refusal(raw(renamed(DEPTH, "depth", "dpeth"))) == [
        "nodes[1].dpeth: mlp has no field 'dpeth'; did you mean 'depth'?"
    ]
    both = messages_of(STEM, {"id": "stage1", "type": "hilo", "dpeth": 1}, HEAD)
    assert [line.partition(";")[0] for line in both] == [
        "nodes[1]: heads is required",
        "nodes[1]: window is required",
        "nodes[1].dpeth: hilo has no field 'dpeth'",
    ]


@pytest.mark.parametrize("slip", ["tpye", "Type", "types", "$type"])
def test_a_misspelt_type_is_told_once_and_is_no_hole(slip: str) -> None:
    node = f"nodes[1].{slip}: a node has no field '{slip}'; did you mean 'type'?"
    assert messages_of(STEM, renamed(DEPTH, "type", slip), HEAD) == [node]
    assert refusal(raw(renamed(DEPTH, "type", slip))) == [node]
    part = f"nodes[1].mlp.{slip}: mlp has no field '{slip}'; did you mean 'type'?"
    assert messages_of(STEM, {**DEPTH, "mlp": {slip: "plain"}}, HEAD) == [part]
    assert refusal(raw({**DEPTH, "mlp": {slip: "plain"}})) == [part]


def test_a_key_with_a_dollar_that_is_no_hole_is_not_called_one() -> None:
    assert messages_of(STEM, {**DEPTH, "depth": {"$schema": 1}}, HEAD) == [
        "nodes[1].depth: depth must be an integer; got an object with 1 field; use 1 to 64"
    ]
    (line,) = messages_of(STEM, {**DEPTH, "mlp": {"$ratio": 4}}, HEAD)
    assert line.startswith("nodes[1].mlp: mlp needs a type")
    (line,) = messages_of(STEM, {**DEPTH, "depth": {"$int": [1, 2]}}, HEAD)
    assert line.startswith("nodes[1].depth: depth must not be a hole")


def test_the_name_beside_a_misspelt_hole_is_not_taken_for_it() -> None:
    assert refusal(raw({**DEPTH, "depth": {"$name": "d", "$itn": [1, 4]}})) == [
        "nodes[1].depth.$itn: no such hole: '$itn'; write {\"$int\": [1, 4]}"
    ]


@pytest.mark.parametrize(
    ("field", "slip"), [("nodes", "node"), ("image", "imgae"), ("version", "vresion"), ("kind", "kidn")]
)
def test_a_misspelt_field_of_the_document_is_told_once(field: str, slip: str) -> None:
    document = renamed(
        {"kind": "arch", "version": 1, "name": "x", "image": 32, "classes": 2, "nodes": [STEM, DEPTH, HEAD]},
        field,
        slip,
    )
    with pytest.raises(SpecError) as caught:
        spec_of(document)
    lines = [str(problem) for problem in caught.value.problems]
    assert lines == [f"{slip}: the document has no field '{slip}'; did you mean '{field}'?"]
