"""A choice that is written otherwise than a hole is pointed to the hole; in a backbone, to the kind that has holes."""

from __future__ import annotations

from typing import Any

import pytest

from archdsl.language.checking.meant_holes import ONLY_IN_SPACES
from tests.support.mistakes import HEAD, STEM, messages_of
from tests.support.small_spaces import MLP, Raw, raw, refusal

MEANT: list[tuple[str, Any, str]] = [
    ("depth", [1, 2, 3], '{"$one_of": [1, 2, 3]}'),
    ("depth", [1, 6], '{"$one_of": [1, 6]} or {"$int": [1, 6]}'),
    ("layer_scale", [0.1, 0.5], '{"$one_of": [0.1, 0.5]} or {"$float": [0.1, 0.5]}'),
    ("out_norm", ["never", "always"], '{"$one_of": ["never", "always"]}'),
    ("position_embedding", [True, False], '{"$one_of": [true, false]}'),
    ("mlp", [{"type": "plain"}, {"type": "dwconv"}], '{"$one_of": [{"type": "plain"}, {"type": "dwconv"}]}'),
    ("norm", ["layer", "batch"], '{"$one_of": [{"type": "layer"}, {"type": "batch"}]}'),
    ("depth", {"one_of": [1, 2]}, '{"$one_of": [1, 2]}'),
    ("depth", {"choice": [1, 2]}, '{"$one_of": [1, 2]}'),
    ("depth", {"values": [1, 2]}, '{"$one_of": [1, 2]}'),
    ("depth", {"range": [1, 4]}, '{"$int": [1, 4]}'),
    ("depth", {"min": 1, "max": 4}, '{"$int": [1, 4]}'),
    ("layer_scale", {"low": 0.1, "high": 0.5}, '{"$float": [0.1, 0.5]}'),
    ("depth", {"expr": "2"}, '{"$expr": "2"}'),
]
MISSPELT: list[tuple[str, Any, str]] = [
    ("depth", {"$choice": [1, 2]}, '{"$one_of": [1, 2]}'),
    ("depth", {"$oneof": [1, 2]}, '{"$one_of": [1, 2]}'),
    ("depth", {"$oneOf": [1, 2]}, '{"$one_of": [1, 2]}'),
    ("depth", {"$range": [1, 4]}, '{"$int": [1, 4]}'),
    ("depth", {"$uniform": [1, 4]}, '{"$int": [1, 4]}'),
    ("layer_scale", {"$uniform": [0.1, 0.5]}, '{"$float": [0.1, 0.5]}'),
    ("mlp", {"$options": [{"type": "plain"}]}, '{"$one_of": [{"type": "plain"}]}'),
    ("mlp", {"one_of": [{"type": "plain"}]}, '{"$one_of": [{"type": "plain"}]}'),
]


def in_space(field: str, value: Any) -> str:
    (message,) = refusal(raw(MLP | {field: value}))
    return message


def in_backbone(field: str, value: Any) -> str:
    (message,) = messages_of(STEM, MLP | {field: value}, HEAD)
    return message


@pytest.mark.parametrize(("field", "value", "hole"), MEANT, ids=str)
def test_a_choice_that_is_none_is_pointed_to_the_hole(field: str, value: Any, hole: str) -> None:
    message = in_space(field, value)
    assert message.startswith(f"nodes[1].{field}: {field} must be ")
    assert message.endswith(f"; write {hole}")


@pytest.mark.parametrize(("field", "value", "hole"), MISSPELT, ids=str)
def test_a_hole_by_another_name_is_pointed_to_its_own(field: str, value: Any, hole: str) -> None:
    (name,) = value
    assert in_space(field, value) == f"nodes[1].{field}.{name}: no such hole: '{name}'; write {hole}"


@pytest.mark.parametrize(("field", "value", "hole"), [*MEANT, *MISSPELT], ids=str)
def test_a_backbone_has_no_choices_and_says_which_documents_do(field: str, value: Any, hole: str) -> None:
    assert 'documents of "kind": "space" only' in in_backbone(field, value)


@pytest.mark.parametrize("name", ["one_of", "oneof", "$oneof", "$choice", "options"])
def test_a_node_of_alternatives_by_another_name_is_told_as_such(name: str) -> None:
    node: Raw = {"id": "stage1", name: [{"type": "mlp", "depth": 1}]}
    assert refusal(raw(node)) == [f"nodes[1].{name}: no such hole: '{name}'; write \"$one_of\""]
    message = f"nodes[1].{name}: no such hole: '{name}'; write \"$one_of\"; {ONLY_IN_SPACES}"
    assert messages_of(STEM, node, HEAD) == [message]


def test_alternatives_in_a_backbone_are_told_as_a_hole() -> None:
    node = {"id": "stage1", "$one_of": [{"type": "mlp", "depth": 1}]}
    rule = "nodes[1]: a node must not be a hole; got an object with 2 fields"
    assert messages_of(STEM, node, HEAD) == [f"{rule}; {ONLY_IN_SPACES}"]


def test_several_types_are_alternatives() -> None:
    node = MLP | {"type": ["mlp", "attention"]}
    wanted = 'write alternatives, {"$one_of": [{"type": ...}, {"type": ...}]}'
    rule = 'nodes[1].type: type must be a string; got ["mlp", "attention"]'
    assert refusal(raw(node)) == [f"{rule}; {wanted}"]
    assert messages_of(STEM, node, HEAD) == [f"{rule}; {wanted}; {ONLY_IN_SPACES}"]


def test_a_choice_of_lists_stands_for_the_whole_list() -> None:
    node = {"id": "stage1", "type": "fcvit_conv", "depth": 1, "kernels": [[3, 3], [5, 5]]}
    assert refusal(raw(node))[0].endswith('got [3, 3]; for a choice of lists write {"$one_of": [[3, 3], ...]}')


@pytest.mark.parametrize("header", [{"classes": [10, 20]}, {"drop_path": [0, 0.1]}, {"image": {"one_of": [32, 64]}}])
def test_the_header_has_no_choices(header: Raw) -> None:
    wanted = f"write one value; {ONLY_IN_SPACES}"
    assert refusal(raw(MLP, **header))[0].endswith(wanted)
    assert messages_of(STEM, MLP, HEAD, **header)[0].endswith(wanted)


def test_an_object_that_says_nothing_of_a_choice_is_told_as_before() -> None:
    assert in_space("depth", {"foo": 1}).endswith("got an object with 1 field; use 1 to 64")
    assert in_space("depth", "3").endswith("write 3")
