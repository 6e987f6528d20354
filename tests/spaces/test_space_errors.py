"""What is wrong in a space is told at once, in its order, with its place; bad stands beside good."""

from __future__ import annotations

import json

import pytest

from archdsl.errors import SpecError
from archdsl.load.spaces import load_space, parse_space, space_of
from archdsl.load.specs import UnknownName, load_spec
from tests.support.small_spaces import GOOD, broken, counted


def test_the_good_space_is_good() -> None:
    assert counted(space_of(GOOD)) == 2 * (1 * (3 + 1) + 1 * 3)


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


def test_a_space_that_is_not_there_is_wrong_use() -> None:
    with pytest.raises(UnknownName, match="no such zoo name"):
        load_space("lit-dat-65")
    with pytest.raises(SpecError, match='this is a document of kind "arch"'):
        load_space("litv2_s")
    with pytest.raises(SpecError, match='this is a document of kind "space"'):
        load_spec("lit-dat-64")
