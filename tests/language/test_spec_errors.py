"""What is wrong in a document is told with its place, its rule, its value and what to do; bad stands beside good."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archdsl.errors import SpecError
from archdsl.load.specs import parse_spec, spec_of
from tests.support.mistakes import GOOD, HEAD, STAGE, STEM, document, problems


def test_the_good_document_is_good() -> None:
    assert parse_spec(GOOD.encode(), "net.json").name == "net"


@pytest.mark.parametrize("version", [1, 0, "1", None])
def test_python_values_are_checked_as_files_are(version: Any) -> None:
    raw = document(STEM, STAGE, HEAD, version=version)
    if version == 1:
        assert spec_of(raw).version == 1
    else:
        with pytest.raises(SpecError, match="version"):
            spec_of(raw)


@pytest.mark.parametrize("raw", [None, 5, "arch", [], [{}]])
def test_what_is_no_object_is_no_document(raw: Any) -> None:
    with pytest.raises(SpecError, match="a document must be an object; got "):
        spec_of(raw)


def test_several_mistakes_are_told_at_once_in_document_order() -> None:
    text = GOOD
    for old, new in {
        '"arxiv": "2105.14217"': '"arxiv": "x"',
        '"image": 64': '"image": 8',
        '"weights": "lit"': '"wieghts": "lit"',
        '"width": 32': '"width": "32"',
        '"kernel": 3}': '"kernal": 3}',
        '"alpha": 0.5': '"alpha": 2',
        '"heads": 8': '"heads": 0',
        '["stage2", "stage3"]': '["stage2", "stage4"]',
        '"type": "mean_head"': '"type": "meen_head"',
    }.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    found = problems(text)
    assert [problem.path for problem in found] == [
        "paper.arxiv",
        "image",
        "wieghts",
        "nodes[0].width",
        "nodes[1].mlp.kernal",
        "nodes[3].alpha",
        "nodes[4].blocks[1].heads",
        "nodes[5].from[1]",
        "nodes[6].type",
    ]
    with pytest.raises(SpecError) as caught:
        spec_of(json.loads(text))
    assert [problem.path for problem in caught.value.problems] == [problem.path for problem in found]


def test_a_great_many_mistakes_are_told_in_part_and_counted() -> None:
    raw = document(STEM, *(STAGE | {"id": f"s{i}"} | {f"x{k}": k for k in range(50)} for i in range(20)), HEAD)
    with pytest.raises(SpecError) as caught:
        spec_of(raw)
    *first, last = caught.value.problems
    assert len(first) == 100
    assert [str(problem) for problem in first[15:17]] == [
        "nodes[1].x15: attention has no field 'x15'; " + (first[0].remedy or ""),
        "nodes[1].x15: 34 more problems like these",
    ]
    assert str(last) == "nodes[6].x14: 240 more problems like these"
