"""What is wrong with a space is told at once, also where some of its fields are wrong; and a space that is called a
backbone is told once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl.errors import SpecError
from archdsl.load.sources import UnknownName
from archdsl.load.spaces import load_space, space_of
from archdsl.load.specs import load_spec

NODES: list[dict[str, Any]] = [
    {"id": "stem", "type": "patch_stem", "width": {"$one_of": [32, 48], "$name": "w"}},
    {"id": "stage1", "type": "attention", "depth": {"$int": [1, 2], "$name": "d"}, "heads": 2},
    {"id": "stage2", "type": "mlp", "depth": {"$expr": "d"}},
    {"id": "head", "type": "mean_head"},
]


def space(*changes: dict[str, Any], **header: Any) -> dict[str, Any]:
    """The space with fields of its first nodes replaced."""
    nodes = [{**node, **change} for node, change in zip(NODES, (*changes, {}, {}, {}, {}), strict=False)]
    return {"kind": "space", "version": 1, "name": "s", "image": 64, "classes": 10, "nodes": nodes, **header}


def told(document: dict[str, Any]) -> list[str]:
    with pytest.raises(SpecError) as caught:
        space_of(document)
    return [str(problem) for problem in caught.value.problems]


def test_names_and_ranges_are_told_beside_a_wrong_field() -> None:
    assert space_of(space()).name == "s"
    found = told(space({"wdith": 3}, {"heads": {"$expr": "v // 16"}, "depth": {"$int": [4, 1], "$name": "d"}}))
    assert [text.partition(";")[0] for text in found] == [
        "nodes[0].wdith: patch_stem has no field 'wdith'",
        "nodes[1].depth.$int: a range goes from low to high: $int [low, high] with low <= high",
        "nodes[1].heads.$expr: nothing is named 'v'",
    ]


def test_a_name_in_a_wrong_field_is_not_called_unknown() -> None:
    (found,) = told(space({}, {"depth": {"$int": [1, 200], "$name": "d"}}))
    assert found.startswith("nodes[1].depth.$int[1]: an end of the range must be at most 64")


@pytest.mark.parametrize(("metric", "unit"), [("macs", "G"), ("latency", "ms")])
def test_a_missing_unit_is_proposed_for_its_metric(metric: str, unit: str) -> None:
    (found,) = told(space(budgets=[{"metric": metric, "max": 5}]))
    assert found == f'budgets[0]: unit is required; add "unit": "{unit}"'


def test_a_space_that_is_called_a_backbone_is_told_once() -> None:
    with pytest.raises(SpecError) as caught:
        load_spec({**space({}, {"heads": "two"}), "kind": "arch", "constraints": []})
    assert [str(problem) for problem in caught.value.problems] == [
        "kind: the document has choices, such as $one_of or $int, at nodes[0].width and 2 more; only a search space "
        'has them; write "kind": "space"',
        'nodes[1].heads: heads must be an integer; got "two"; use 1 to 256',
    ]


def test_a_folder_in_the_place_of_a_document_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pics").mkdir()
    for load in (load_spec, load_space):
        with pytest.raises(UnknownName, match=r"pics is a folder: give the path of a \.json or \.safetensors file"):
            load("pics")


def test_a_space_in_which_nothing_holds_is_told_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "space.json"
    file.write_text(json.dumps(space({}, {"heads": 5}), indent=1), encoding="utf-8")
    line = file.read_text(encoding="utf-8").splitlines().index('   "heads": 5') + 1
    with pytest.raises(SpecError) as caught:
        load_space(file)
    assert str(caught.value).startswith(f"{file}:{line}:13: nodes[1].heads: none of 200 networks drawn from the space ")
