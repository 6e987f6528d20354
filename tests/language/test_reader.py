"""A document is read as JSON says, and what is wrong with it is told with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archdsl.errors import Problem, SpecError
from archdsl.language.text.reader import MAX_BYTES, MAX_DEPTH, MAX_PROBLEMS, read


def problems(data: bytes | str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        read(data if isinstance(data, bytes) else data.encode(), "f.json")
    return caught.value.problems


def message(data: bytes | str) -> str:
    (problem,) = problems(data)
    return str(problem)


def nested(depth: int) -> str:
    return '{"a": ' * (depth - 1) + "{}" + "}" * (depth - 1)


GOOD: dict[str, Any] = {
    "{}": {},
    ' \n{"a": [1, -2.5e3, true, false, null, "x"]}\r\n': {"a": [1, -2500.0, True, False, None, "x"]},
    '{"a": "// no /* comment */ # here, [1,]"}': {"a": "// no /* comment */ # here, [1,]"},
    '{"a": "it\'s NaN", "b": "Infinity"}': {"a": "it's NaN", "b": "Infinity"},
    '{"a": {"b": 1}, "b": 1}': {"a": {"b": 1}, "b": 1},
    '{"a": "\\ud83d\\ude00 \\\\ud800"}': {"a": "\U0001f600 \\ud800"},
    '{"\\u0061": 1e308, "b": 1e-999}': {"a": 1e308, "b": 0.0},
    f'{{"a": -{"9" * 30}}}': {"a": -int("9" * 30)},
    '{"a": "' + "[" * 100 + '\\"' + "{" * 100 + '"}': {"a": "[" * 100 + '"' + "{" * 100},
}


@pytest.mark.parametrize("text", GOOD)
def test_what_json_allows_is_read_as_json_says(text: str) -> None:
    assert read(text.encode(), "f.json") == GOOD[text] == json.loads(text)


def test_a_document_may_be_as_large_and_as_deep_as_the_bounds() -> None:
    text = nested(MAX_DEPTH)
    assert read(text.ljust(MAX_BYTES).encode(), "f.json") == json.loads(text)


FINITE = "write a number, or null where a field allows it"
DIGITS = "an integer has at most 30 digits"
SURROGATE = "a surrogate stands only in a pair, high before low"
BAD = {
    "": 'f.json: the file is empty; write {"kind": "arch", ...}',
    " \r\n\t": 'f.json: the file is empty; write {"kind": "arch", ...}',
    # what other notations allow
    '{"a": 1} // one': "f.json:1:10: JSON has no comments; got //; remove it",
    '{"a": 1, /* one */ "b": 2}': "f.json:1:10: JSON has no comments; got /*; remove it",
    '# one\n{"a": 1}': "f.json:1:1: JSON has no comments; got #; remove it",
    '# A title\n\nText.\n{"a": 1}': "f.json:1:1: this is no JSON document, which begins with a brace; "
    'got "#"; give a .json file',
    '{"a": 1,\n}': "f.json:1:8: no comma may stand before a closing bracket; remove the comma",
    '{"a": [1, 2 , ]}': "f.json:1:13: no comma may stand before a closing bracket; remove the comma",
    "{'a': 1}": "f.json:1:2: JSON quotes with \", not with '; write double quotes",
    "{\"a\": 'b'}": "f.json:1:7: JSON quotes with \", not with '; write double quotes",
    '{"a": True}': "f.json:1:7: JSON's words are true, false and null; got True; write true",
    '{"a": None}': "f.json:1:7: JSON's words are true, false and null; got None; write null",
    "{depth: 1}": 'f.json:1:2: a key in double quotes must stand here; got "depth"; write "depth"',
    # numbers
    '{"a": [0, NaN]}': "f.json:1:11: a[1]: a number must be finite; got NaN; " + FINITE,
    '{"a": -Infinity}': "f.json:1:7: a: a number must be finite; got -Infinity; " + FINITE,
    '{"a": -1e999}': "f.json:1:7: a: a number must be finite; got -1e999; write a number below 1e308",
    f'{{"a": -{"9" * 31}}}': f"f.json:1:7: a: {DIGITS}; got -99999... with 31 digits; write a smaller one",
    f'{{"a": {"9" * 5000}}}': f"f.json:1:7: a: {DIGITS}; got 999999... with 5000 digits; write a smaller one",
    # strings
    '{"a": "\\ud800"}': f"f.json:1:8: a: {SURROGATE}; got \\ud800; write the character itself",
    '{"\\udc00": 1}': f'f.json:1:3: "\\udc00": {SURROGATE}; got \\udc00; write the character itself',
    '{"a": "\t"}': 'f.json:1:8: a string must not contain control characters; got "\\t"; write \\t',
    '{"a": "b\n"}': 'f.json:1:9: a string must end on its line; close it with ", or write \\n for a line break',
    '{"a": "\\q"}': 'f.json:1:8: invalid \\escape; got "\\\\q"',
    # the rest
    '{"a": 1}\n{"b": 2}': 'f.json:2:1: a file holds one document, which ends before this; got "{"; remove the rest',
    '{"a": 1}}': 'f.json:1:9: a file holds one document, which ends before this; got "}"; remove the rest',
    '{"a": 1 "b": 2}': 'f.json:1:9: a comma or a closing bracket must stand here; got "\\""; write a comma before it',
    '{"a" 1}': 'f.json:1:6: a colon must stand between a key and its value; got "1"',
    '{"a": ]}': 'f.json:1:7: a value must stand here; got "]"',
    "\n [1]": 'f.json:2:2: a document must be an object; got [1]; write {"kind": "arch", ...}',
    "null": 'f.json:1:1: a document must be an object; got null; write {"kind": "arch", ...}',
}


@pytest.mark.parametrize("text", BAD)
def test_what_json_forbids_is_told_with_place_and_remedy(text: str) -> None:
    assert message(text) == BAD[text]


CUT_OFF = {
    '{"a": 1': "f.json:1:8: the document ends inside an object; close the object that begins at line 1, column 1",
    '{"a": 1,\n': "f.json:1:9: the document ends inside an object; close the object that begins at line 1, column 1",
    '{"a":\n [{}, 2': "f.json:2:8: the document ends inside a list; close the list that begins at line 2, column 2",
    '{"a": "b': "f.json:1:9: the document ends inside a string; close the string that begins at line 1, column 7",
    '{"a": "\\u00': "f.json:1:12: the document ends inside a string; close the string that begins at line 1, column 7",
    '{"a": tr': "f.json:1:9: the document ends inside an object; close the object that begins at line 1, column 1",
}


@pytest.mark.parametrize("text", CUT_OFF)
def test_a_document_cut_off_is_told_with_what_is_still_open(text: str) -> None:
    assert message(text) == CUT_OFF[text] + ", or get the whole file"


NOT_UTF8 = {
    b"\xef\xbb\xbf{}": "f.json:1:1: a document must be plain UTF-8; got a UTF-8 byte order mark",
    '{"a": 1}'.encode("utf-16"): "f.json:1:1: a document must be plain UTF-8; got UTF-16",
    '{"a": 1}'.encode("utf-16-be"): "f.json:1:1: a document must be plain UTF-8; got UTF-16",
    '{"a": 1}'.encode("utf-32"): "f.json:1:1: a document must be plain UTF-8; got UTF-32",
    b'{"a":\n "\xc3\xa9\xe9"}': "f.json:2:4: a document must be plain UTF-8; got byte 0xe9",
    b'{"a": "\xed\xa0\x80"}': "f.json:1:8: a document must be plain UTF-8; got byte 0xed",
}


@pytest.mark.parametrize("data", NOT_UTF8)
def test_another_encoding_is_told_at_its_first_byte(data: bytes) -> None:
    assert message(data) == NOT_UTF8[data] + "; save the file as UTF-8 without a byte order mark"


def test_columns_count_characters_not_bytes() -> None:
    assert message('{"é\U0001f600": 1,}').startswith("f.json:1:9: no comma")


def test_a_file_too_large_is_refused_unread() -> None:
    assert message(b"\xff" * (MAX_BYTES + 1)) == (
        "f.json: a document has at most 1000000 bytes; got 1000001; give a spec, which is a few kilobytes of JSON"
    )


@pytest.mark.parametrize("text", [nested(MAX_DEPTH + 1), "[" * MAX_BYTES, '{"a": ' * 100_000, "[{" * 100_000 + "}]"])
def test_nesting_too_deep_is_told_at_the_first_bracket_too_many(text: str) -> None:
    problem = problems(text)[0]
    assert problem.rule == "objects and lists must not be nested deeper than 32"
    assert text[: problem.column].count("{") + text[: problem.column].count("[") == MAX_DEPTH + 1
    assert text[(problem.column or 0) - 1] in "[{"


def test_every_duplicate_key_is_told_at_once_with_the_place_of_the_first() -> None:
    text = '{"a": 1,\n "b": {"c": 1, "\\u0063": 2, "c": 3},\n "a": 2}'
    assert [str(problem) for problem in problems(text)] == [
        "f.json:2:16: b.c: the key is already set at line 2, column 8; remove one of the two",
        "f.json:2:29: b.c: the key is already set at line 2, column 8; remove one of the two",
        "f.json:3:2: a: the key is already set at line 1, column 2; remove one of the two",
    ]


def test_bad_values_of_all_kinds_are_told_together_in_document_order() -> None:
    found = problems('[NaN, 1e999, {"a": "\\ud800", "b": 1, "b": 2}]')
    assert [(problem.column, problem.path, problem.at_key) for problem in found] == [
        (2, "[0]", False),
        (7, "[1]", False),
        (21, "[2].a", False),
        (38, "[2].b", True),
    ]


def test_a_bad_value_that_a_duplicate_hides_leaves_the_duplicate_to_tell() -> None:
    assert message('{"a": NaN, "a": 1}').startswith("f.json:1:12: a: the key is already set")


def test_many_bad_values_are_counted_and_not_all_told() -> None:
    found = problems('{"a": [' + "NaN, " * 500 + "1]}")
    assert len(found) == MAX_PROBLEMS + 1
    assert str(found[-1]) == "f.json: 400 more problems like these"


def test_every_beginning_of_a_document_is_refused_with_a_place() -> None:
    text = '{"a": [1.5, {"b\\u00e9": "c"}], "d": {"e": null}}'
    for end in range(1, len(text)):
        (problem,) = problems(text[:end])
        assert problem.rule.startswith("the document ends inside a"), text[:end]
        assert (problem.line, problem.column) == (1, len(text[:end].rstrip()) + 1)
    assert read(text.encode(), "f.json") == json.loads(text)
