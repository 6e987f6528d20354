"""A shape or a port that does not fit is told with both of its ends."""

from __future__ import annotations

from typing import Any

import pytest

from archdsl.load.specs import spec_of
from tests.support.mistakes import (
    GOOD,
    HEAD,
    STAGE,
    STEM,
    Change,
    document,
    hold_place_rule_and_remedy,
    hold_told,
    messages_of,
    problems,
)

SHAPES: list[Change] = [
    (
        '"heads": 4',
        '"heads": 5',
        "9:59: nodes[3].heads: width 64 must be a multiple of heads (stage2 reads 64x8x8 from "
        "merge1); got heads 5; use 2, 4 or 8",
    ),
    (
        '"heads": 8',
        '"heads": 3',
        "12:38: nodes[4].blocks[1].heads: width 64 must be a multiple of heads (stage3 reads 64x8x8 "
        "from stage2); got heads 3; use 1, 2 or 4",
    ),
    (
        '{"type": "group"}',
        '{"type": "group", "groups": 7}',
        "9:125: nodes[3].norm.groups: width 64 must be a multiple of norm.groups (stage2 reads "
        "64x8x8 from merge1); got groups 7; use 2, 4 or 8",
    ),
    (
        '"kernel": 3}',
        '"kernel": 4}',
        "7:85: nodes[1].mlp.kernel: the kernel must be odd (stage1 reads 32x16x16 from stem); got kernel 4; use 5",
    ),
    (
        '"patch": 4',
        '"patch": 4, "norm": {"type": "group", "groups": 3}',
        "6:103: nodes[0].norm.groups: width 32 must be a multiple of norm.groups (stem reads 3x64x64 "
        "from the image); got groups 3; use 1, 2 or 4",
    ),
]


@pytest.mark.parametrize("change", SHAPES, ids=lambda change: f"{change[:2]}")
def test_a_mistake_is_told_where_it_is(change: Change) -> None:
    hold_told(change)


@pytest.mark.parametrize("change", SHAPES, ids=lambda change: f"{change[:2]}")
def test_what_is_told_has_a_place_a_rule_and_a_remedy(change: Change) -> None:
    hold_place_rule_and_remedy(change)


TOKEN = STAGE | {"class_token": True}
MERGE = {"id": "merge", "type": "deformable_merge", "width": 8}
TOKEN_HEAD = {"id": "head", "type": "class_token_head"}


def test_the_plain_documents_are_good() -> None:
    spec_of(document(STEM, STAGE, HEAD))
    spec_of(document(STEM, TOKEN, TOKEN_HEAD))
    spec_of(document(STEM, TOKEN, TOKEN_HEAD | {"from": "stage1.class"}))
    spec_of(document(STEM, STAGE, MERGE, HEAD))


SHORT: dict[str, tuple[list[dict[str, Any]], dict[str, Any], list[str]]] = {
    "a map too small to halve": (
        [STEM, STAGE, MERGE, MERGE | {"id": "b"}, MERGE | {"id": "c"}, MERGE | {"id": "d"}, HEAD],
        {},
        ["nodes[5]: a merge halves the map, which must have 2 positions a side at least (d reads 8x1x1 from c)"],
    ),
    "a patch larger than the image": (
        [STEM | {"patch": 16, "pad": False}, STAGE, MERGE, HEAD],
        {"image": [16, 31]},
        [
            "nodes[2]: a merge halves the map, which must have 2 positions a side at least "
            "(merge reads 8x1x1 from stage1)"
        ],
    ),
    "a class token beside what acts on a map alone": (
        [STEM, TOKEN | {"mlp": {"type": "dwconv"}}, TOKEN_HEAD],
        {},
        [
            "nodes[1].mlp: a class token goes through a plain mlp only (stage1 reads 8x8x8 from stem); got dwconv; "
            "set class_token false or change it"
        ],
    ),
    "a class token and a bias by displacement": (
        [STEM, TOKEN | {"position_bias": {"type": "relative"}}, TOKEN_HEAD],
        {},
        [
            "nodes[1].position_bias: a class token has no displacement for a position bias "
            "(stage1 reads 8x8x8 from stem); got relative; set one of them otherwise"
        ],
    ),
    "a token's head that norms otherwise": (
        [STEM, TOKEN, TOKEN_HEAD | {"norm": {"type": "batch"}}],
        {},
        ["nodes[2].norm: one token has layer norms only (head reads 1x8 from stage1); got batch; use layer"],
    ),
    "a class token that is not made": (
        [STEM, STAGE, TOKEN_HEAD],
        {},
        ['nodes[2]: head reads class, and stage1 gives pixels; give stage1 "class_token": true'],
    ),
    "a class token where a map is read": (
        [STEM, TOKEN, HEAD | {"from": "stage1.class"}],
        {},
        ['nodes[2].from: head reads pixels, and stage1 gives pixels and class; write "stage1"'],
    ),
    "a map where a class token is read": (
        [STEM, TOKEN, TOKEN_HEAD | {"from": "stage1.pixels"}],
        {},
        [
            "nodes[1].class_token: no node reads the class token of stage1; got true; "
            "set it false, or read it with a class_token_head",
            'nodes[2].from: head reads class, and stage1 gives pixels and class; write "stage1"',
        ],
    ),
    "too few nodes": (
        [STEM, HEAD],
        {},
        ["nodes: a document has 3 to 256 nodes; got 2; a stem, a stage and a head at least"],
    ),
    "too many nodes": (
        [STEM, *(STAGE | {"id": f"s{i}"} for i in range(255)), HEAD],
        {},
        ["nodes: a document has 3 to 256 nodes; got 257; a stem, a stage and a head at least"],
    ),
    "a version from the future, whatever else it may hold": (
        [{"shape": "torus"}],
        {"version": 7, "colour": "red"},
        ["version: the document's version is newer than this archdsl reads (1); got 7; upgrade archdsl"],
    ),
}


@pytest.mark.parametrize("case", SHORT)
def test_a_shape_or_a_port_that_does_not_fit_is_told_with_both_ends(case: str) -> None:
    nodes, header, messages = SHORT[case]
    assert messages_of(*nodes, **header) == messages


def test_two_shape_errors_in_separate_branches_are_both_told() -> None:
    text = GOOD.replace('"heads": 4', '"heads": 5').replace('"kernel": 3}', '"kernel": 2}')
    assert [problem.path for problem in problems(text)] == ["nodes[1].mlp.kernel", "nodes[3].heads"]
