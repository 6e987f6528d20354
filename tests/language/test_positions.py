"""Keys and values of a document are found where they stand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archdsl.errors import Keys, Problem
from archdsl.language.text.positions import Lines, locate, place

TEXT = """{
  "kind": "arch",
  "nodes": [
    {"id": "stem", "w\\u0069dth": 96}, 7, [],
    {"id": "é", "window": [2, {"x": -1.5e3}]}
  ], "z": null
}
"""
VALUES: dict[Keys, tuple[int, int]] = {
    (): (1, 1),
    ("kind",): (2, 11),
    ("nodes",): (3, 12),
    ("nodes", 0): (4, 5),
    ("nodes", 0, "width"): (4, 34),
    ("nodes", 1): (4, 39),
    ("nodes", 2): (4, 42),
    ("nodes", 3, "id"): (5, 12),
    ("nodes", 3, "window"): (5, 27),
    ("nodes", 3, "window", 1, "x"): (5, 37),
    ("z",): (6, 11),
}
KEYS: dict[Keys, tuple[int, int]] = {
    ("kind",): (2, 3),
    ("nodes", 0, "width"): (4, 20),
    ("nodes", 3, "window"): (5, 17),
    ("nodes", 3, "window", 1, "x"): (5, 32),
    ("z",): (6, 6),
}


@pytest.mark.parametrize("keys", VALUES)
def test_a_value_is_found_at_its_first_character(keys: Keys) -> None:
    assert locate(TEXT).value(keys) == VALUES[keys]


@pytest.mark.parametrize("keys", KEYS)
def test_a_key_is_found_at_its_quote(keys: Keys) -> None:
    assert locate(TEXT).key(keys) == KEYS[keys]


@pytest.mark.parametrize(
    ("missing", "ancestor"),
    [
        (("missing",), ()),
        (("nodes", 9), ("nodes",)),
        (("nodes", 0, "depth"), ("nodes", 0)),
        (("nodes", 0, "width", "value", 1), ("nodes", 0, "width")),
        (("nodes", "0"), ("nodes",)),
        (("kind", 0), ("kind",)),
    ],
)
def test_what_is_missing_is_placed_at_the_value_of_its_nearest_ancestor(missing: Keys, ancestor: Keys) -> None:
    positions = locate(TEXT)
    assert positions.value(missing) == positions.key(missing) == VALUES[ancestor]


def test_the_root_and_items_of_a_list_have_no_key_and_are_placed_at_their_value() -> None:
    positions = locate(TEXT)
    assert positions.key(()) == (1, 1)
    assert positions.key(("nodes", 1)) == (4, 39)


def test_of_duplicate_keys_the_last_counts_and_all_are_listed_with_the_first() -> None:
    positions = locate('{"a": 1, "b": [{"c": 1, "c": 2}],\n "\\u0061": {"d": 4},\n "a": {"e": 5}}')
    assert positions.duplicates == [
        (("b", 0, "c"), (1, 17), (1, 25)),
        (("a",), (1, 2), (2, 2)),
        (("a",), (1, 2), (3, 2)),
    ]
    assert positions.value(("a", "e")) == (3, 13)
    assert positions.value(("a", "d")) == positions.value(("a",)) == (3, 7)


def test_equal_keys_of_different_objects_are_no_duplicates() -> None:
    assert locate('{"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}').duplicates == []


@pytest.mark.parametrize(("text", "at"), [("3", (1, 1)), ('\n "a"', (2, 2)), ("[]", (1, 1)), (" ", None)])
def test_a_document_of_any_kind_has_the_place_of_its_root(text: str, at: tuple[int, int] | None) -> None:
    assert locate(text).value(("a", 0)) == at


def test_brackets_and_quotes_inside_strings_are_text() -> None:
    assert locate('{"a]}": "[{\\"", "b\\\\": 1}').value(("b\\",)) == (1, 24)


def test_every_value_of_a_large_document_is_found_where_its_text_begins() -> None:
    document = {"nodes": [{"id": f"n{i}", "blocks": [{"x": [i, -0.5, None, True]}], "": {}} for i in range(50)]}
    text = json.dumps(document, indent=1)
    lines = text.split("\n")
    for keys, _ in locate(text).walk():
        line, column = locate(text).value(keys) or (0, 0)
        value: Any = document
        for key in keys:
            value = value[key]
        begin = json.dumps(value)[:1] if isinstance(value, dict | list) else json.dumps(value)
        assert lines[line - 1][column - 1 :].startswith(begin)


def test_lines_end_at_a_newline_and_columns_count_from_one() -> None:
    lines = Lines("a\r\nbc\n")
    assert [lines.at(offset) for offset in range(7)] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1)]


def test_a_problem_gets_the_place_of_its_value_or_of_its_key() -> None:
    positions = locate(TEXT)
    value = place(Problem(("nodes", 0, "width"), "too wide"), positions, "f.json")
    key = place(Problem(("nodes", 0, "width"), "no such field", at_key=True), positions, "f.json")
    missing = place(Problem(("nodes", 0, "depth"), "is required"), positions, "f.json")
    assert str(value) == "f.json:4:34: nodes[0].width: too wide"
    assert str(key) == "f.json:4:20: nodes[0].width: no such field"
    assert str(missing) == "f.json:4:5: nodes[0].depth: is required"


def test_a_problem_of_an_empty_text_has_no_line() -> None:
    assert str(place(Problem((), "is empty"), locate(""), "f.json")) == "f.json: is empty"
