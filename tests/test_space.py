"""Spaces: every kind of hole, names and expressions, membership of seeds; what is wrong is told with its place."""

from __future__ import annotations

import copy
import itertools
import json
import random
from typing import Any

import pytest
import torch

from archdsl import zoo
from archdsl.blocks.base import Part
from archdsl.compile import build
from archdsl.errors import Problem, SpecError
from archdsl.errors import one_of as listed
from archdsl.load import UnknownName, load_spec, override
from archdsl.schema.canonical import canonical_hash
from archdsl.schema.document import Spec
from archdsl.schema.nodes import node_models
from archdsl.schema.space import Space
from archdsl.schema.variables import variables
from archdsl.spaces import choices_of, draw, load_space, parse_space, point, random_point, seed_spec, seeds, space_of

Raw = dict[str, Any]

STEM: Raw = {"id": "stem", "type": "patch_stem", "width": 16}
MLP: Raw = {"id": "stage1", "type": "mlp", "depth": 1}
HEAD: Raw = {"id": "head", "type": "mean_head"}


def raw(*nodes: Raw, **header: Any) -> Raw:
    return {
        "kind": "space",
        "version": 1,
        "name": "s",
        "image": 32,
        "classes": 4,
        **header,
        "nodes": [STEM, *nodes, HEAD],
    }


def space(*nodes: Raw, **header: Any) -> Space:
    return space_of(raw(*nodes, **header))


def one_of(*values: Any, **more: Any) -> Raw:
    return {"$one_of": list(values), **{f"${key}": value for key, value in more.items()}}


def at(found: Space, **choices: Any) -> Spec:
    """The point with these choices; names are written with __ for a dot."""
    spec, used = point(found, {name.replace("__", "."): value for name, value in choices.items()}.__getitem__)
    assert used == {name.replace("__", "."): value for name, value in choices.items()}
    return spec


def values(found: Space) -> dict[str, tuple[Any, ...]]:
    return {name: variable.values for name, variable in variables(found.nodes).items()}


def refusal(document: Raw) -> list[str]:
    with pytest.raises(SpecError) as caught:
        space_of(document)
    return [str(problem) for problem in caught.value.problems]


# ------------------------------------------------------------------------------------------------------------- holes


def test_a_choice_of_values_is_named_by_its_path() -> None:
    found = space(MLP | {"depth": one_of(1, 3), "norm": {"type": "layer", "eps": one_of(1e-5, 1e-6)}})
    assert values(found) == {"stage1.depth": (1, 3), "stage1.norm.eps": (1e-5, 1e-6)}
    spec = at(found, stage1__depth=3, stage1__norm__eps=1e-6)
    assert (spec.node("stage1").depth, spec.node("stage1").norm.eps) == (3, 1e-6)  # type: ignore[attr-defined]


def test_a_choice_of_sub_objects_is_named_by_labels_and_so_are_the_holes_in_it() -> None:
    alternatives = [
        {"type": "plain", "ratio": one_of(2, 4)},
        {"type": "dwconv"},
        {"$label": "big", "type": "dwconv", "kernel": 5},
    ]
    found = space(MLP | {"mlp": one_of(*alternatives)})
    assert values(found) == {"stage1.mlp": ("plain", "dwconv", "big"), "stage1.mlp.plain.ratio": (2, 4)}
    assert at(found, stage1__mlp="plain", stage1__mlp__plain__ratio=2).nodes[1].mlp.ratio == 2
    assert at(found, stage1__mlp="big").nodes[1].mlp.kernel == 5


def test_a_choice_of_nodes_is_named_by_its_id() -> None:
    attention = {"type": "attention", "depth": one_of(1, 2), "heads": 2}
    found = space({"id": "stage1", **one_of({"type": "mlp", "depth": 2}, attention)})
    assert values(found) == {"stage1": ("mlp", "attention"), "stage1.attention.depth": (1, 2)}
    assert at(found, stage1="attention", stage1__attention__depth=2).nodes[1].type == "attention"
    assert at(found, stage1="mlp").nodes[1].depth == 2


def test_a_choice_of_blocks_stands_in_a_sequence() -> None:
    blocks = [{"type": "mlp"}, one_of({"type": "mlp"}, {"type": "attention", "heads": one_of(2, 4)})]
    found = space({"id": "stage1", "type": "sequence", "depth": 2, "blocks": blocks})
    assert values(found) == {"stage1.blocks.1": ("mlp", "attention"), "stage1.blocks.1.attention.heads": (2, 4)}
    assert (
        at(found, **{"stage1.blocks.1": "attention", "stage1.blocks.1.attention.heads": 4}).nodes[1].blocks[1].heads
        == 4
    )


def test_a_repeated_block_is_that_many_equal_ones() -> None:
    repeat = {"$repeat": {"type": "mlp", "layer_scale": one_of(0.1, 0.2)}, "$times": {"$int": [1, 3]}}
    stage = {"id": "stage1", "type": "sequence", "depth": 4, "blocks": [repeat, {"type": "attention", "heads": 2}]}
    found = space(stage)
    assert values(found) == {"stage1.blocks.0.layer_scale": (0.1, 0.2), "stage1.blocks.0.times": (1, 2, 3)}
    blocks = at(found, **{"stage1.blocks.0.layer_scale": 0.2, "stage1.blocks.0.times": 3}).nodes[1].blocks
    assert [(block.type, block.layer_scale) for block in blocks] == [("mlp", 0.2)] * 3 + [("attention", None)]
    named = stage | {"blocks": [repeat | {"$times": {"$int": [1, 2], "$name": "n"}}, {"type": "attention", "heads": 2}]}
    assert "n" in values(space(named))
    assert len(space_of(raw(stage | {"blocks": [{**repeat, "$times": 2}]})).nodes) == 3


def test_ranges_include_their_ends_and_stepped_floats_are_decimals() -> None:
    hilo = {"type": "hilo", "depth": {"$int": [2, 9], "$step": 3}, "heads": {"$int": [1, 2]}, "window": 2}
    found = space({"id": "stage1", **hilo, "alpha": {"$float": [0.3, 0.9], "$step": 0.2}})
    assert values(found) == {"stage1.depth": (2, 5, 8), "stage1.heads": (1, 2), "stage1.alpha": (0.3, 0.5, 0.7, 0.9)}


def test_a_range_without_steps_is_drawn_between_its_ends() -> None:
    plain, ratio = {"$float": [0.25, 16]}, {"$float": [1e-6, 1], "$log": True, "$name": "scale"}
    found = space(MLP | {"mlp": {"type": "plain", "ratio": plain}, "layer_scale": ratio})
    known, generator = variables(found.nodes), random.Random(0)
    drawn = [draw(known["scale"], generator) for _ in range(2000)]
    assert min(drawn) < 1e-5 < 0.1 < max(drawn) <= 1
    assert 0.4 < sum(value < 1e-3 for value in drawn) / 2000 < 0.6
    drawn = [draw(known["stage1.mlp.ratio"], generator) for _ in range(2000)]
    assert 0.25 <= min(drawn) < 1 < 15 < max(drawn) <= 16
    assert at(found, stage1__mlp__ratio=0.3, scale=0.5).nodes[1].mlp.ratio == 0.3


def test_a_derived_value_follows_from_names_fields_and_defaults() -> None:
    stem = {"width": one_of(16, 32, name="w")}
    merge = {"id": "merge", "type": "deformable_merge", "width": {"$expr": "2 * w"}}
    heads = {"$expr": "merge.width // (2 * stem.patch)"}
    stage = {"id": "stage2", "type": "attention", "depth": {"$same": "stage1.depth"}, "heads": heads}
    document = raw(MLP | {"depth": one_of(1, 2)}, merge, stage)
    document["nodes"][0] = STEM | stem
    spec = at(space_of(document), w=32, stage1__depth=2)
    assert (spec.nodes[2].width, spec.nodes[3].heads, spec.nodes[3].depth) == (64, 8, 2)


def test_holes_of_one_name_are_one_variable() -> None:
    depth = {"$int": [1, 3], "$name": "d"}
    found = space(MLP | {"depth": depth}, MLP | {"id": "stage2", "depth": depth})
    assert values(found) == {"d": (1, 2, 3)}
    assert [node.depth for node in at(found, d=3).nodes[1:3]] == [3, 3]


def test_a_node_hole_may_be_named_so_that_several_nodes_choose_together() -> None:
    pair = one_of({"type": "mlp", "depth": 1}, {"type": "attention", "depth": 1, "heads": 2}, name="kind")
    found = space({"id": "stage1", **pair}, {"id": "stage2", **pair})
    assert values(found) == {"kind": ("mlp", "attention")}
    assert [node.type for node in at(found, kind="attention").nodes[1:3]] == ["attention"] * 2


def test_an_alternative_may_have_sources_of_its_own_and_what_nobody_reads_is_dropped() -> None:
    side = {"id": "side", "type": "attention", "depth": 1, "heads": 2, "from": "stem"}
    join = {"type": "add_join", "from": ["stage1", "side"]}
    found = space(MLP, side, {"id": "end", "from": "stage1", **one_of({"type": "mlp", "depth": 1}, join)})
    alone = at(found, end="mlp")
    assert [(node.id, node.sources) for node in alone.nodes[1:3]] == [("stage1", None), ("end", ("stage1",))]
    both = at(found, end="add_join")
    assert [node.id for node in both.nodes] == ["stem", "stage1", "side", "end", "head"]
    assert both.nodes[3].sources == ("stage1", "side")


# ------------------------------------------------------------------------------------------------------- constraints


def counted(found: Space) -> int:
    """How many different choices give a backbone that holds."""
    known = variables(found.nodes)
    seen = set()
    for chosen in itertools.product(*(variable.values for variable in known.values())):
        try:
            spec, used = point(found, dict(zip(known, chosen, strict=True)).__getitem__)
        except SpecError:
            continue
        seen.add((json.dumps(used, sort_keys=True), canonical_hash(spec)))
    return len(seen)


TWO = [
    {
        "id": "stage1",
        **one_of({"type": "mlp", "depth": {"$int": [1, 3]}}, {"type": "attention", "depth": 2, "heads": 2}),
    },
    {"id": "stage2", "type": "mlp", "depth": {"$int": [1, 2], "$name": "d2"}},
]
CONSTRAINTS = {
    "": (3 + 1) * 2,
    "stage1 == 'mlp'": 3 * 2,
    "stage1.mlp.depth < 3": (2 + 1) * 2,  # where stage1 is attention there is no such name, and it counts as true
    "stage1.depth == 2": (1 + 1) * 2,
    "stage1.heads == 4": 3 * 2,  # only attention has heads
    "stage1.depth >= d2": 3 + 2 + 2,
    "d2 == 1 or stage1 == 'attention'": 3 + 2,
    "stage1.depth in (1, 3) and d2 != 2": 2,
    "stage2.mlp.ratio == 4": 8,
}


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_a_constraint_leaves_the_points_that_it_says(constraint: str) -> None:
    found = space(*TWO, constraints=[constraint] if constraint else [])
    assert counted(found) == CONSTRAINTS[constraint]


def test_points_that_do_not_fit_are_no_points() -> None:
    stage = {"id": "stage1", "type": "attention", "depth": 1, "heads": {"$int": [1, 16]}}
    assert counted(space(stage)) == 5  # the divisors of 16


# ---------------------------------------------------------------------------------------------------- what is refused

GOOD = raw(
    MLP | {"depth": one_of(1, 2, name="d"), "mlp": one_of({"type": "plain"}, {"type": "dwconv"})},
    {
        "id": "stage2",
        **one_of({"type": "mlp", "depth": {"$int": [1, 3]}}, {"type": "attention", "depth": 1, "heads": 2}),
    },
    {"id": "stage3", "type": "attention", "depth": {"$expr": "d"}, "heads": 2},
    constraints=["d == 1 or stage2 == 'mlp'"],
    budgets=[{"metric": "latency", "max": 5, "unit": "ms"}],
    objectives=["min params"],
)
SEQUENCE: Raw = {"id": "stage1", "type": "sequence", "depth": 1}
BAD: dict[str, tuple[str, Any, list[str]]] = {
    "no such hole": (
        "nodes/1/depth",
        {"$oneof": [1, 2]},
        ["nodes[1].depth.$oneof: no such hole: '$oneof'; did you mean '$one_of'?"],
    ),
    "a hole that does not fit": (
        "nodes/1/depth",
        {"$float": [1, 2]},
        ["nodes[1].depth: depth takes no $float; write a value, or a hole: $expr, $int, $one_of or $same"],
    ),
    "a hole in a hole": (
        "nodes/1/depth",
        one_of(1, {"$int": [2, 3]}, name="d"),
        ["nodes[1].depth.$one_of[1]: an alternative must not be a hole; got an object with 1 field; write a value"],
    ),
    "a hole for a type": (
        "nodes/1/type",
        one_of("mlp"),
        ["nodes[1].type: type must be a string; got an object with 1 field; write one of <nodes>"],
    ),
    "a hole for an id": (
        "nodes/1/id",
        one_of("stage1"),
        ["nodes[1].id: id must not be a hole; got an object with 1 field; write a value"],
    ),
    "a hole in the header": (
        "classes",
        one_of(1, 2),
        [
            "classes: classes must not be a hole; got an object with 1 field; "
            'holes stand in the nodes of documents of "kind": "space" only'
        ],
    ),
    "a value of the wrong type": (
        "nodes/1/depth/$one_of/1",
        "2",
        ['nodes[1].depth.$one_of[1]: an alternative must be an integer; got "2"; write 2'],
    ),
    "a value out of bounds": (
        "nodes/1/depth/$one_of/1",
        65,
        ["nodes[1].depth.$one_of[1]: an alternative must be at most 64; got 65; use 1 to 64"],
    ),
    "no alternatives": (
        "nodes/1/depth/$one_of",
        [],
        ["nodes[1].depth.$one_of: $one_of must have at least 1 item; got []; add one"],
    ),
    "a misspelt mark": (
        "nodes/1/depth/$nam",
        "d",
        ["nodes[1].depth.$nam: $one_of has no field '$nam'; did you mean '$name'?"],
    ),
    "a name that is none": (
        "nodes/1/depth/$name",
        "D",
        [
            'nodes[1].depth.$name: $name must match ^[a-z][a-z0-9_.]*$; got "D"; '
            "use lower-case letters, digits, _ and ., a letter first"
        ],
    ),
    "labels that are not unique": (
        "nodes/1/mlp/$one_of/1/type",
        "plain",
        [
            "nodes[1].mlp: two alternatives of 'stage1.mlp' have one label; got \"plain\"; "
            'give one of them a "$label"'
        ],
    ),
    "values that are not unique": (
        "nodes/1/depth/$one_of/1",
        1,
        ["nodes[1].depth: two alternatives of 'd' have one label; got 1; remove one"],
    ),
    "nodes with one label": (
        "nodes/2/$one_of/1",
        {"type": "mlp", "depth": 2},
        ["nodes[2]: two alternatives of 'stage2' have one label; got \"mlp\"; give one of them a \"$label\""],
    ),
    "unequal labels of one name": (
        "nodes/2/$one_of/0/depth",
        one_of(1, 3, name="d"),
        [
            "nodes[2].$one_of[0].depth: holes named 'd' are one variable and must have equal labels or bounds; "
            "got [1, 3], elsewhere [1, 2]; make them equal, or give one another name"
        ],
    ),
    "a range of one end": (
        "nodes/2/$one_of/0/depth/$int",
        [1],
        ["nodes[2].$one_of[0].depth.$int: $int must have 2 items; got [1]; write [low, high]"],
    ),
    "a range from high to low": (
        "nodes/2/$one_of/0/depth/$int",
        [3, 1],
        [
            "nodes[2].$one_of[0].depth.$int: a range goes from low to high: $int [low, high] with low <= high; "
            "got [3, 1]; write [1, 3]"
        ],
    ),
    "a range out of bounds": (
        "nodes/2/$one_of/0/depth/$int/1",
        10**20,
        [
            "nodes[2].$one_of[0].depth.$int[1]: an end of the range must be at most 64; got 100000000000000000000; "
            "use 1 to 64"
        ],
    ),
    "a step of nothing": (
        "nodes/2/$one_of/0/depth/$step",
        0,
        ["nodes[2].$one_of[0].depth.$step: $step must be at least 1; got 0; use at least 1"],
    ),
    "a range in too many steps": (
        "nodes/1/layer_scale",
        {"$float": [0.1, 1], "$step": 1e-9},
        ["nodes[1].layer_scale.$step: a range has at most 10,000 steps; got 1e-09; use a larger step"],
    ),
    "a ratio from nothing": (
        "nodes/1/mlp",
        {"type": "plain", "ratio": {"$float": [1, 2], "$log": True, "$step": 1}},
        ["nodes[1].mlp.ratio.$log: a range by ratio starts above 0 and has no step; got [1, 2]; "
            "start above 0, or leave out one of the two"],
    ),
    "times that follow from something": (
        "nodes/1",
        SEQUENCE | {"blocks": [{"$repeat": {"type": "mlp"}, "$times": {"$expr": "2"}}]},
        ["nodes[1].blocks[0].$times: $times takes no $expr; write a value, or a hole: $int or $one_of"],
    ),
    "an unknown node type": (
        "nodes/2/$one_of/1/type",
        "atention",
        ["nodes[2].$one_of[1].type: no such type of node; got \"atention\"; did you mean 'attention'?"],
    ),
    "an alternative with an id": (
        "nodes/2/$one_of/1/id",
        "x",
        [
            "nodes[2].$one_of[1].id: attention has no field 'id'; known: $label, class_token, depth, from, heads, "
            "layer_scale, local_perception, mlp, norm, out_norm, position_bias, position_embedding, qkv_bias, type"
        ],
    ),
    "a field beside a choice of nodes": (
        "nodes/2/depth",
        3,
        ["nodes[2].depth: a node has no field 'depth'; known: $name, $one_of, from, id"],
    ),
    "a node that is none": (
        "nodes/2",
        5,
        ['nodes[2]: a node must be an object; got 5; write {"id": ..., "type": ...}'],
    ),
    "two ids": (
        "nodes/2/id",
        "stage1",
        [
            "constraints[0]: nothing is named 'stage2'; did you mean 'stage3'?",
            'nodes[2].id: ids must be unique; nodes[1] has this one too; got "stage1"; rename one of them',
        ],
    ),
    "a source that is not there": (
        "nodes/2/from",
        "stage",
        ["nodes[2].from: no earlier node has this id; got \"stage\"; did you mean 'stage1'?"],
    ),
    "an alternative's source that comes later": (
        "nodes/2/$one_of/1/from",
        ["stage3"],
        ["nodes[2].$one_of[1].from[0]: no earlier node has this id; got \"stage3\"; did you mean 'stage1'?"],
    ),
    "a source that is none": (
        "nodes/2/from",
        5,
        ["nodes[2].from: from must be a string; got 5; write text in double quotes"],
    ),
    "no head": (
        "nodes/4",
        MLP | {"id": "stage4"},
        ["nodes: exactly one head is needed; there is none; end with <heads>"],
    ),
    "a name that is not there": (
        "nodes/3/depth/$expr",
        "stage2.mlp.deepth",
        ["nodes[3].depth.$expr: stage2 never has 'mlp.deepth'; did you mean 'stage2.depth'?"],
    ),
    "a name that nothing has": (
        "nodes/3/depth/$expr",
        "x9 + 1",
        [
            "nodes[3].depth.$expr: nothing is named 'x9'; "
            "known: d, head, stage1, stage1.mlp, stage2, stage2.mlp.depth, stage3, stem"
        ],
    ),
    "a node for a value": (
        "nodes/3/depth/$expr",
        "stage1",
        ["nodes[3].depth.$expr: 'stage1' is a node, not a value; name a field of it, as in stage1.depth"],
    ),
    "a name that is not there in every choice": (
        "nodes/3/heads",
        {"$expr": "stage2.heads"},
        ['nodes[3].heads.$expr: stage2.heads is not there in every choice that needs it; got "stage2.heads"'],
    ),
    "a value that follows from itself": (
        "nodes/3/depth/$expr",
        "stage3.depth",
        ['nodes[3].depth.$expr: its value depends on itself; got "stage3.depth"'],
    ),
    "arithmetic that fails": (
        "nodes/3/depth/$expr",
        "d / (d - 1)",
        [
            'nodes[3].depth.$expr: column 3: a number cannot be divided by zero; got 1 / 0; got "d / (d - 1)"',
        ],
    ),
    "an expression that is none": (
        "nodes/3/depth/$expr",
        "d +",
        [
            "nodes[3].depth.$expr: column 4: a number, text or name must stand here; got the end; allowed: numbers, "
            "'text', true, false, names, + - * / // %, == != < <= > >= in, and, or, not, ( )"
        ],
    ),
    "an expression that is no text": (
        "nodes/3/depth/$expr",
        5,
        ["nodes[3].depth.$expr: $expr must be a string; got 5; write text in double quotes"],
    ),
    "a value that never fits": (
        "nodes/3/heads",
        {"$expr": "d + 16"},
        [
            "none of 200 points drawn from the space holds; the first one fails by: nodes[3].heads: "
            "width 16 must be a multiple of heads (stage3 reads 16x8x8 from stage2); got heads 18; use 4, 8 or 16"
        ],
    ),
    "a constraint on nothing": (
        "constraints/0",
        "stage2.depht == 1",
        ["constraints[0]: stage2 never has 'depht'; did you mean 'stage2.depth'?"],
    ),
    "a constraint that is no statement": (
        "constraints/0",
        "d + 1",
        ["constraints[0]: column 1: a constraint must be true or false; got 3; compare it with something"],
    ),
    "a constraint that compares unlike things": (
        "constraints/0",
        "stage2 < 3",
        ["constraints[0]: column 8: < takes a number; got text"],
    ),
    "a constraint that no point keeps": (
        "constraints/0",
        "d > 2",
        [
            "constraints[0]: none of 2 choices keeps the constraint d > 2; change or remove it",
        ],
    ),
    "a budget in another unit": (
        "budgets/0/unit",
        "M",
        ["budgets[0].unit: latency is not given in this unit; got M; use us, ms or s"],
    ),
    "a budget with a field of another": (
        "budgets/0",
        {"metric": "params", "max": 5, "unit": "M", "batch": 2},
        ["budgets[0].batch: only a latency or throughput budget has 'batch'; remove it"],
    ),
    "a budget of nothing": (
        "budgets/0/max",
        0,
        ["budgets[0].max: max must be more than 0; got 0; use more than 0 and at most 1e+12"],
    ),
    "a budget for what is no metric": (
        "budgets/0/metric",
        "flops",
        [
            'budgets[0].metric: metric must be "latency", "throughput", "params", "macs" or "memory"; got "flops"; '
            "known: latency, macs, memory, params, throughput"
        ],
    ),
    "a throughput at most": (
        "budgets/0",
        {"metric": "throughput", "max": 200, "unit": "/s"},
        ["budgets[0].max: a throughput budget has no 'max'; write 'min'"],
    ),
    "a latency at least": (
        "budgets/0",
        {"metric": "latency", "min": 5, "unit": "ms"},
        ["budgets[0].min: a latency budget has no 'min'; write 'max'"],
    ),
    "a budget without a bound": (
        "budgets/0",
        {"metric": "throughput", "unit": "/s"},
        ["budgets[0]: min is required; add \"min\""],
    ),
    "latency and throughput at once": (
        "budgets",
        [{"metric": "latency", "max": 5, "unit": "ms"}, {"metric": "throughput", "min": 200, "unit": "/s"}],
        [
            "budgets[1]: a document bounds latency or throughput: a throughput is the batch over the latency; "
            'got "throughput"; remove one of the two'
        ],
    ),
    "a misspelt field of a budget": (
        "budgets/0/treads",
        1,
        ["budgets[0].treads: a budget has no field 'treads'; did you mean 'threads'?"],
    ),
    "two budgets of one metric": (
        "budgets",
        [{"metric": "params", "max": 5, "unit": "M"}, {"metric": "params", "max": 6, "unit": "M"}],
        ['budgets[1]: a metric has one budget; got "params"; remove one of the two'],
    ),
    "an objective that is none": (
        "objectives/0",
        "min parms",
        [
            'objectives[0]: an objective must be "max proxy_accuracy", "min latency", "min params" or "min macs"; '
            'got "min parms"; did you mean "min params"?'
        ],
    ),
    "weights that are none": (
        "weights",
        "litv",
        ["weights: no such scheme of published weights; got \"litv\"; did you mean 'litv2'?"],
    ),
    "features that are none": (
        "features",
        ["stage9"],
        ["features[0]: no node has this id; got \"stage9\"; did you mean 'stage3'?"],
    ),
    "the other kind": (
        "kind",
        "arch",
        ['kind: this is a document of kind "arch"; load_space and archdsl search read kind "space"'],
    ),
    "a newer version": (
        "version",
        2,
        ["version: the document's version is newer than this archdsl reads (1); got 2; upgrade archdsl"],
    ),
    "seeds that are none": (
        "seeds",
        [5],
        [
            "seeds[0]: a seed is a zoo name, or [name, override, ...]; got 5; "
            'write "litv2_s", or ["litv2_s", "image=64"]'
        ],
    ),
    "an unknown zoo name": (
        "seeds",
        ["litv3_s"],
        ["seeds[0]: no such zoo name; got \"litv3_s\"; did you mean 'litv2_s'?"],
    ),
    "a file for a zoo name": (
        "seeds",
        ["./specs/litv2_s.json"],
        ['seeds[0]: no such zoo name; got "./specs/litv2_s.json"; known: <zoo>'],
    ),
    "a seed with a bad override": (
        "seeds",
        [["litv2_s", "imag=32"]],
        ["seeds[0]: the document has no field 'imag'; got \"imag=32\"; did you mean 'image'?"],
    ),
    "a seed whose override does not fit": (
        "seeds",
        [["litv2_s", "stage3.heads=5"]],
        [
            "seeds[0]: nodes[5].heads: width 384 must be a multiple of heads (stage3 reads 384x14x14 from merge2); "
            "got heads 5; use 3, 4 or 6"
        ],
    ),
    "a seed of another size": (
        "seeds",
        ["litv2_s"],
        [
            "seeds[0]: the seed is no point of the space: its image is 224, the space's 32; got \"litv2_s\"; "
            "change its overrides or the space"
        ],
    ),
    "a seed of other nodes": (
        "seeds",
        [["litv2_s", "image=32"]],
        [
            "seeds[0]: the seed is no point of the space: the space has no node 'merge1'; "
            'got ["litv2_s", "image=32"]; change its overrides or the space'
        ],
    ),
}  # fmt: skip


def broken(path: str, value: Any) -> Raw:
    document = copy.deepcopy(GOOD)
    *keys, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    place: Any = document
    for key in keys:
        place = place[key]
    place[last] = value
    return document


def test_the_good_space_is_good() -> None:
    assert counted(space_of(GOOD)) == 2 * (1 * (3 + 1) + 1 * 3)


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_told_where_it_is(case: str) -> None:
    path, value, messages = BAD[case]
    words = {", ".join(sorted(node_models())): "<nodes>", listed(list(Part.kinds["head"])): "<heads>"}
    words |= {", ".join(zoo.names()): "<zoo>"}
    told = refusal(broken(path, value))
    for names, word in words.items():
        told = [message.replace(names, word) for message in told]
    assert told == messages


def test_several_mistakes_are_told_at_once_in_document_order_with_their_places() -> None:
    document = broken("nodes/1/depth/$one_of/1", 65)
    document["budgets"][0]["unit"] = "M"
    document["nodes"][2]["$one_of"][1]["type"] = "atention"
    document["name"] = "S"
    with pytest.raises(SpecError) as caught:
        parse_space(json.dumps(document, indent=1).encode(), "s.json")
    found = caught.value.problems
    assert [problem.path for problem in found] == [
        "name",
        "budgets[0].unit",
        "nodes[1].depth.$one_of[1]",
        "nodes[2].$one_of[1].type",
    ]
    assert [problem.file for problem in found] == ["s.json"] * 4
    lines = [problem.line or 0 for problem in found]
    assert lines == sorted(set(lines))


def test_derived_values_may_follow_one_from_another_but_not_without_end() -> None:
    def chain(length: int, backwards: bool = False) -> Raw:
        nodes = [
            MLP | {"id": f"s{i}", "depth": {"$expr": f"s{i + (1 if backwards else -1)}.depth"}} for i in range(length)
        ]
        nodes[-1 if backwards else 0]["depth"] = one_of(1, 2)
        return raw(*nodes)

    assert {node.depth for node in point(space_of(chain(250)), lambda name: 2)[0].nodes[1:-1]} == {2}
    assert {node.depth for node in point(space_of(chain(60, True)), lambda name: 2)[0].nodes[1:-1]} == {2}
    assert "it follows from more than 64 others, one from another" in refusal(chain(250, True))[0]


def test_derived_values_that_meet_again_and_again_are_computed_once() -> None:
    both = "s{0}.depth + s{1}.depth - s{1}.depth"
    nodes = [MLP | {"id": f"s{i}", "depth": {"$expr": both.format(i + 1, i + 2)}} for i in range(50)]
    nodes += [MLP | {"id": f"s{i}", "depth": one_of(1, 2, name="d")} for i in (50, 51)]
    assert point(space_of(raw(*nodes)), lambda name: 2)[0].nodes[1].depth == 2


def test_alternatives_that_look_alike_do_not_make_membership_endless() -> None:
    alike = [{"$label": f"a{i}", "type": "mlp", "depth": {"$int": [1, 2 + i]}} for i in range(8)]
    nodes = [{"id": f"s{i}", **one_of(*alike)} for i in range(30)]
    last = MLP | {"id": "last", "norm": {"type": "layer", "eps": one_of(1e-5, 1e-6)}, "depth": {"$same": "s0.depth"}}
    found = space(*nodes, last)
    spec, _ = point(found, lambda name: 1e-6 if name == "last.norm.eps" else "a0" if "." not in name else 2)
    assert choices_of(found, spec) is not None
    assert choices_of(found, override(spec, ["last.norm.eps=0.1"])) is None
    assert choices_of(found, override(spec, ["last.depth=3"])) is None  # what follows from others is compared last


# -------------------------------------------------------------------------------------------------- the shipped spaces

SHIPPED = zoo.spaces()


@pytest.mark.parametrize("name", SHIPPED)
def test_the_seeds_of_a_shipped_space_are_points_of_it(name: str) -> None:
    found = load_space(name)
    assert len(seeds(found)) == len(found.seeds) > 0
    for index, (spec, choices) in enumerate(seeds(found)):
        assert choices_of(found, seed_spec(found, index)) == choices
        assert spec.classes == found.classes
        assert spec.drop_path == found.drop_path


@pytest.mark.parametrize(
    ("constraint", "column", "label"),
    [
        ("stage1 != 'mpl'", 11, "mpl"),
        ("stage1.depth > 1 or 'hilow' == stage1", 21, "hilow"),
        ("stage1 in ['x']", 8, "x"),
    ],
)
def test_a_label_that_a_choice_never_has_is_refused_in_a_constraint(constraint: str, column: int, label: str) -> None:
    stage = {
        "id": "stage1",
        **one_of({"type": "mlp", "depth": 2}, {"type": "hilo", "depth": 1, "heads": 2, "window": 2}),
    }
    (told,) = refusal(raw(stage, constraints=[constraint]))
    assert told.startswith(f"constraints[0]: column {column}: stage1 is never this; got '{label}'; ")
    assert space_of(raw(stage, constraints=["stage1 in ['mlp', 'hilo'] or stage1 == 'hilo'"])).constraints


def test_the_norm_at_the_end_is_compared_where_a_classifier_has_it() -> None:
    found = space({**MLP, "depth": {"$int": [1, 2]}, "out_norm": "always"})
    normed = at(found, stage1__depth=1)
    assert choices_of(found, normed) == {"stage1.depth": 1}
    for other in ("never", "features"):
        assert choices_of(found, override(normed, [f"stage1.out_norm={other}"])) is None
    raw_end = space({**MLP, "depth": {"$int": [1, 2]}, "out_norm": "never"})
    assert choices_of(raw_end, override(normed, ["stage1.out_norm=features"])) == {"stage1.depth": 1}


def test_what_differs_from_a_seed_in_a_field_without_a_hole_is_no_point() -> None:
    found = load_space("lit-dat-224")
    spec = load_spec("litv2_s")
    assert choices_of(found, spec) is not None
    assert choices_of(found, override(spec, ["classes=10", "drop_path=0.5", "stage1.out_norm=features"])) is not None
    for change in (
        "stage1.norm.eps=1e-6",
        "stage3.qkv_bias=false",
        "stage3.window=4",
        "stage3.depth=5",
        "image=192",
        "channels=1",
    ):
        assert choices_of(found, override(spec, [change])) is None, change
    assert choices_of(found, override(spec, ["stage3.window=7", "stage3.depth=12"])) is not None


@pytest.mark.parametrize("name", SHIPPED)
def test_random_points_resolve_as_their_seed_says_and_choices_lead_back(name: str) -> None:
    found = load_space(name)
    first, second = random.Random(1), random.Random(1)
    known = variables(found.nodes)
    good = 0
    for index in range(500):
        drawn = random_point(found, first)
        assert drawn == random_point(found, second)
        try:
            spec, used = point(found, drawn.choices.__getitem__)
        except SpecError:
            continue
        good += 1
        assert used == drawn.choices
        assert all(value in known[variable].values for variable, value in used.items())
        if good <= 200:
            again = choices_of(found, spec)
            assert again is not None
            assert canonical_hash(point(found, again.__getitem__)[0]) == canonical_hash(spec)
        if index < 2:
            with torch.device("meta"):
                model = build(spec).eval()
                assert model(torch.empty(1, 3, *spec.image_size)).shape == (1, spec.classes)
    assert good > 250


def test_a_point_may_be_given_a_name() -> None:
    found = load_space("lit-dat-64")
    _, choices = seeds(found)[0]
    assert point(found, choices.__getitem__, "winner")[0].name == "winner"
    assert point(found, choices.__getitem__)[0].name == found.name


def test_a_space_that_is_not_there_is_wrong_use() -> None:
    with pytest.raises(UnknownName, match="no such zoo name"):
        load_space("lit-dat-65")
    with pytest.raises(SpecError, match='this is a document of kind "arch"'):
        load_space("litv2_s")
    with pytest.raises(SpecError, match='this is a document of kind "space"'):
        load_spec("lit-dat-64")


# --------------------------------------------------------------------------------------------------------- mutations

SMALL: list[Any] = [None, True, 0, -1, 3, 2.5, "3", "w", "", [], {}, [1, 2], 10**30, 1e308, "stage3.alpha", ["$one_of"]]
MARKS: list[Any] = [{"$int": [1, 2]}, {"$one_of": []}, {"$expr": "w"}, {"$same": "stage1"}, {"$float": [0, 1]}]


def places(value: Any, keys: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in items for place in ((*keys, key), *places(inner, (*keys, key)))]


def spoil(document: Any, generator: random.Random) -> None:
    """One change: a value removed, replaced, taken from elsewhere, or its key misspelt."""
    everywhere = places(document)
    *path, last = generator.choice(everywhere)
    place = document
    for key in path:
        place = place[key]
    kind = generator.randrange(4)
    if kind == 0:
        del place[last]
    elif kind == 1:
        place[last] = copy.deepcopy(generator.choice([*SMALL, *MARKS, {"$": 1}, {"type": "mlp"}]))
    elif kind == 2:
        other = document
        for key in generator.choice(everywhere):
            other = other[key]
        place[last] = copy.deepcopy(other)
    elif isinstance(last, str):
        place[generator.choice([f"${last}", last[:-1], last + "s", last.replace("$", "")])] = place.pop(last)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_spoilt_space_is_a_space_or_refused_with_places(name: str) -> None:
    original = json.loads(zoo.text(name) or b"")
    generator = random.Random(7)
    refused = 0
    for _ in range(500):
        document = copy.deepcopy(original)
        for _ in range(generator.choice([1, 1, 2, 3])):
            if document:
                spoil(document, generator)
        told: tuple[Problem, ...] | None = None
        try:
            parse_space(json.dumps(document).encode(), "s.json")
        except SpecError as error:
            told = error.problems
        refused += told is not None
        assert told is None or (told and all(problem.rule and problem.line and problem.column for problem in told))
    assert refused > 250
