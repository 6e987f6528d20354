"""A hole that is none, does not fit or repeats itself is told where it is; so is a range that is none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.small_spaces import Raw, messages_of, one_of

SEQUENCE: Raw = {"id": "stage1", "type": "sequence", "depth": 1}
BAD: dict[str, tuple[str, Any, list[str]]] = {
    "no such hole": (
        "nodes/1/depth",
        {"$oneof": [1, 2]},
        ["nodes[1].depth.$oneof: no such hole: '$oneof'; write {\"$one_of\": [1, 2]}"],
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
        [
            "nodes[1].type: type must be a string; got an object with 1 field; "
            'write alternatives, {"$one_of": [{"type": ...}, {"type": ...}]}'
        ],
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
        ['nodes[1].mlp: two alternatives of \'stage1.mlp\' have one label; got "plain"; give one of them a "$label"'],
    ),
    "values that are not unique": (
        "nodes/1/depth/$one_of/1",
        1,
        ["nodes[1].depth: two alternatives of 'd' have one label; got 1; remove one"],
    ),
    "nodes with one label": (
        "nodes/2/$one_of/1",
        {"type": "mlp", "depth": 2},
        ['nodes[2]: two alternatives of \'stage2\' have one label; got "mlp"; give one of them a "$label"'],
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
        [
            "nodes[1].mlp.ratio.$log: a range by ratio starts above 0 and has no step; got [1, 2]; "
            "start above 0, or leave out one of the two"
        ],
    ),
    "times that follow from something": (
        "nodes/1",
        SEQUENCE | {"blocks": [{"$repeat": {"type": "mlp"}, "$times": {"$expr": "2"}}]},
        ["nodes[1].blocks[0].$times: $times takes no $expr; write a value, or a hole: $int or $one_of"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_told_where_it_is(case: str) -> None:
    path, value, messages = BAD[case]
    assert messages_of(path, value) == messages
