"""Mistakes in what nodes read of each other, each beside the good value and with what is told of it."""

from __future__ import annotations

import pytest

from tests.support.mistakes import (
    GOOD,
    HEAD,
    STAGE,
    STEM,
    Change,
    hold_place_rule_and_remedy,
    hold_told,
    messages_of,
    problems,
)

EDGES: list[Change] = [
    (
        '"from": "stage1"',
        '"from": "stage"',
        "8:58: nodes[2].from: no node has this id; got \"stage\"; did you mean 'stage1'?",
    ),
    (
        '"from": "stage1"',
        '"from": "merge1"',
        '8:58: nodes[2].from: a node cannot read itself; got "merge1"; name an earlier node',
    ),
    (
        '"from": "stage1"',
        '"from": "stage2"',
        "8:58: nodes[2].from: a node must come after all nodes that it reads; 'stage2' is nodes[3]; "
        'got "stage2"; move it up, or read an earlier node',
    ),
    (
        '"from": "stage1"',
        '"from": "stage1.class"',
        '8:58: nodes[2].from: stage1 has no such port; it gives pixels; got "class"; write "stage1"',
    ),
    (
        '"from": "stage1"',
        '"from": "stage1.pixel"',
        '8:58: nodes[2].from: stage1 has no such port; it gives pixels; got "pixel"; write "stage1"',
    ),
    (
        '"from": "stage1"',
        '"from": ["stem", "stage1"]',
        "8:58: nodes[2].from: deformable_merge reads pixels: one source; got 2 sources; join maps "
        "with an add_join or a concat_join first",
    ),
    ('"from": "stage1"', '"from": []', "8:58: nodes[2].from: from must have at least 1 item; got []; add one"),
    (
        '"from": "stage1"',
        '"from": "stage1.pixels.x"',
        '8:58: nodes[2].from: from must match ^[a-z][a-z0-9_]*(\\.[a-z]+)?$; got "stage1.pixels.x"; '
        'write "stage1", or "stage1.pixels" for one of its ports',
    ),
    ('"from": "stage1"', '"from": 1', "8:58: nodes[2].from: from must be a string; got 1; write text in double quotes"),
    (
        '"from": "stage1"',
        '"from": [1]',
        "8:59: nodes[2].from[0]: a source must be a string; got 1; write text in double quotes",
    ),
    (
        '"from": "stage1"',
        '"from": "stem"',
        '7:5: nodes[1]: no node reads stage1; name it in the "from" of a later node, or remove it',
    ),
    (
        '"id": "stage1"',
        '"id": "stem"',
        '7:12: nodes[1].id: ids must be unique; nodes[0] has this one too; got "stem"; rename one of them',
        "8:58: nodes[2].from: no node has this id; got \"stage1\"; did you mean 'stem'?",
    ),
    (
        '"width": 32, "patch": 4',
        '"width": 32, "from": "stem"',
        '6:63: nodes[0].from: a stem reads the image; got "stem"; remove "from"',
    ),
    (
        '"id": "stage2", "type": "hilo"',
        '"id": "stage2", "type": "hilo", "from": "head"',
        "9:46: nodes[3].from: a node must come after all nodes that it reads; 'head' is nodes[6]; got "
        '"head"; move it up, or read an earlier node',
    ),
    (
        '["stage2", "stage3"]',
        '["stage2"]',
        '10:5: nodes[4]: no node reads stage3; name it in the "from" of a later node, or remove it',
        '13:48: nodes[5].from: add_join reads 2 to 16 sources; got 1; list them in "from"',
    ),
    (
        '["stage2", "stage3"]',
        '["stage2", "stage4"]',
        "13:59: nodes[5].from[1]: no node has this id; got \"stage4\"; did you mean 'stage3'?",
    ),
    (
        '["stage2", "stage3"]',
        '["stage2", "join"]',
        '13:59: nodes[5].from[1]: a node cannot read itself; got "join"; name an earlier node',
    ),
    (
        '["stage2", "stage3"]',
        '["stage1", "stage2"]',
        '10:5: nodes[4]: no node reads stage3; name it in the "from" of a later node, or remove it',
        "13:5: nodes[5]: add_join needs equal maps (join reads 32x16x16 from stage1 and 64x8x8 from "
        "stage2); give the branches one width and resolution, or use concat_join for maps of one size",
    ),
    (
        '["stage2", "stage3"]',
        '"stage3"',
        '13:48: nodes[5].from: add_join reads 2 to 16 sources; got 1; list them in "from"',
    ),
    (
        '"type": "add_join", "from": ["stage2", "stage3"]',
        '"type": "concat_join", "from": ["stage1", "stage3"]',
        "13:5: nodes[5]: concat_join needs maps of one size (join reads 32x16x16 from stage1 and "
        "64x8x8 from stage3); bring the branches to one resolution",
    ),
    (
        '{"id": "join", "type": "add_join", "from": ["stage2", "stage3"]}',
        '{"id": "early", "type": "mean_head"}',
        "14:5: nodes[6]: head reads pixels, and early gives nothing; read stage3, which gives pixels",
        "14:5: nodes[6]: exactly one head is needed; nodes[5] is one too; remove one",
    ),
    (
        '"type": "mean_head"',
        '"type": "class_token_head"',
        "14:5: nodes[6]: head reads class, and join gives pixels; read a stage of type attention with "
        '"class_token": true',
    ),
    (
        '"type": "mean_head"',
        '"type": "mean_head", "from": "stage3"',
        '13:5: nodes[5]: no node reads join; name it in the "from" of a later node, or remove it',
    ),
    (
        '"type": "hilo", "depth": 2, "heads": 4, "window": 2, "alpha": 0.5, "norm": {"type": "group"}',
        '"type": "attention", "depth": 2, "heads": 4, "class_token": true',
        "9:82: nodes[3].class_token: no node reads the class token of stage2; got true; set it false, "
        "or read it with a class_token_head",
    ),
    (
        '"type": "mean_head"',
        '"type": "class_token_head", "from": "stage2"',
        '13:5: nodes[5]: no node reads join; name it in the "from" of a later node, or remove it',
        "14:56: nodes[6].from: head reads class, and stage2 gives pixels; read a stage of type attention with "
        '"class_token": true',
    ),
]


@pytest.mark.parametrize("change", EDGES, ids=lambda change: f"{change[:2]}")
def test_a_mistake_is_told_where_it_is(change: Change) -> None:
    hold_told(change)


@pytest.mark.parametrize("change", EDGES, ids=lambda change: f"{change[:2]}")
def test_what_is_told_has_a_place_a_rule_and_a_remedy(change: Change) -> None:
    hold_place_rule_and_remedy(change)


def test_where_no_stem_or_head_is_the_known_ones_are_named() -> None:
    stem = '    {"id": "stem", "type": "patch_stem", "width": 32, "patch": 4},\n'
    (first,) = problems(GOOD.replace(stem, ""))
    assert (first.path, first.rule, first.value) == ("nodes[0].type", "the first node must be a stem", '"mlp"')
    assert "patch_stem" in (first.remedy or "")
    (head,) = problems(GOOD.replace(',\n    {"id": "head", "type": "mean_head"}', ""))
    assert (head.path, head.rule) == ("nodes", "exactly one head is needed; there is none")
    assert "mean_head" in (head.remedy or "")


def test_a_cycle_is_told_at_the_source_that_closes_it() -> None:
    first = {"id": "a", "type": "add_join", "from": ["stem", "c"]}
    assert messages_of(STEM, first, STAGE | {"id": "b"}, STAGE | {"id": "c"}, HEAD) == [
        "nodes[1].from[1]: a node must come after all nodes that it reads; 'c' is nodes[3]; got \"c\"; "
        "move it up, or read an earlier node"
    ]
