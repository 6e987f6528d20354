"""Spaces: every kind of hole, names and expressions, and what constraints leave."""

from __future__ import annotations

import random

import pytest

from archdsl.json_types import number_in
from archdsl.load.spaces import draw, point, space_of
from archdsl.spaces.variables import Variable, variables
from tests.support.small_spaces import MLP, STEM, Raw, at, counted, one_of, raw, refusal, space, values


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


def numbers_drawn(variable: Variable) -> list[float]:
    generator = random.Random(0)
    return [number_in(draw(variable, generator)) for _ in range(2000)]


def test_a_range_without_steps_is_drawn_between_its_ends() -> None:
    plain, ratio = {"$float": [0.25, 16]}, {"$float": [1e-6, 1], "$log": True, "$name": "scale"}
    found = space(MLP | {"mlp": {"type": "plain", "ratio": plain}, "layer_scale": ratio})
    drawn = numbers_drawn(variables(found.nodes)["scale"])
    assert min(drawn) < 1e-5 < 0.1 < max(drawn) <= 1
    assert 0.4 < sum(value < 1e-3 for value in drawn) / 2000 < 0.6
    drawn = numbers_drawn(variables(found.nodes)["stage1.mlp.ratio"])
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
