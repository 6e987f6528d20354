"""Nodes, sources and names that are not there, expressions and constraints that do not hold are told where they are."""

from __future__ import annotations

from typing import Any

import pytest

from archdsl.load.spaces import space_of
from tests.support.small_spaces import MLP, messages_of, one_of, raw, refusal

BAD: dict[str, tuple[str, Any, list[str]]] = {
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
            "constraints[0]: nothing is named 'stage2'; did you mean 'stage1'?",
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
        ["nodes[3].depth.$expr: stage2 never has 'mlp.deepth'; did you mean 'stage2.mlp.depth'?"],
    ),
    "a name that nothing has": (
        "nodes/3/depth/$expr",
        "x9 + 1",
        ["nodes[3].depth.$expr: nothing is named 'x9'; known: d, stage1.mlp, stage2, stage2.mlp.depth"],
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
            "nodes[3].heads: none of 200 networks drawn from the space is valid; the first one fails because "
            "width 16 must be a multiple of heads (stage3 reads 16x8x8 from stage2); got heads 18; use 4, 8 or 16"
        ],
    ),
    "a quotient where an integer must stand": (
        "nodes/3/heads",
        {"$expr": "d / 5"},
        [
            "nodes[3].heads.$expr: none of 200 networks drawn from the space is valid; the first one fails because "
            "heads must be an integer; got 0.4; write // instead of /: d // 5"
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
            "constraints[0]: no network meets d > 2: d is 1 or 2; change or remove it",
        ],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_told_where_it_is(case: str) -> None:
    path, value, messages = BAD[case]
    assert messages_of(path, value) == messages


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
    (message,) = refusal(raw(stage, constraints=[constraint]))
    assert message.startswith(f"constraints[0]: column {column}: stage1 is never this; got '{label}'; ")
    assert space_of(raw(stage, constraints=["stage1 in ['mlp', 'hilo'] or stage1 == 'hilo'"])).constraints


PATH: list[dict[str, Any]] = [
    {"id": "stage1", "type": "mlp", "depth": {"$int": [1, 2], "$name": "d"}},
    {"id": "m1", "type": "conv_merge", "width": 32},
    {"id": "stage2", "type": "hilo", "depth": 2, "heads": 2, "window": 2},
    {"id": "m2", "type": "conv_merge", "width": 64},
]


@pytest.mark.parametrize(
    ("node", "field", "text", "meant"),
    [
        (1, "width", "2 * width", "stem.width"),
        (3, "width", "2 * width", "m1.width"),
        (1, "width", "2 * m1.widht", None),
        (3, "width", "m1.widht", "m1.width"),
        (2, "depth", "stage.depth + 1", "stage1.depth"),
        (2, "heads", "window", "stage2.window"),
    ],
)
def test_a_name_in_the_definition_of_a_field_is_never_taken_for_that_field(
    node: int, field: str, text: str, meant: str | None
) -> None:
    nodes = [{**part, **({field: {"$expr": text}} if index == node else {})} for index, part in enumerate(PATH)]
    (message,) = refusal(raw(*nodes))
    own = f"{PATH[node]['id']}.{field}"
    assert f"'{own}'" not in message
    assert meant is None or message.endswith(f"did you mean '{meant}'?")


def test_a_parameter_of_nearly_that_name_is_meant_before_a_field() -> None:
    stage = {"id": "stage1", "type": "mlp", "depth": one_of(1, 2, name="depths")}
    (message,) = refusal(raw(stage, {**stage, "id": "stage2", "depth": {"$expr": "depth"}}))
    assert message == "nodes[2].depth.$expr: nothing is named 'depth'; did you mean 'depths'?"
