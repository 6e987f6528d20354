"""From the bytes of a document to Python values, or to messages with their place.

The stdlib's json reads; what it lets pass or says poorly (duplicate keys, NaN, comments, deep nesting, a file cut off)
is told here. Its hooks see no places, so they only raise an alarm, and `positions` then finds what is wrong.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from archdsl.errors import Problem, SpecError, short
from archdsl.json_types import Json, JsonObject
from archdsl.language.text.positions import Lines, Positions, Spot, locate

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_DIGITS = 30
MAX_PROBLEMS = 100
"""A megabyte of NaN gets this many messages and not a quarter of a million."""

_BLANK = " \t\r\n"
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[{}\[\]]', re.DOTALL)
_SCALAR = re.compile(r"[^\s,\]}]+")
_SURROGATES = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<lone>\\u[dD][89a-fA-F]..)|\\.")
_WORD = re.compile(r"[\w.+-]{1,40}|\\.")
_LEADING_COMMENTS = re.compile(r"\A(?:\s*(?:#|//)[^\n]*\n)*\s*")
_JSON_WORDS = {"True": "true", "False": "false", "None": "null", "undefined": "null", "nan": "null"}
_OPENED = {'"': "string", "{": "object", "[": "list"}
_UTF8 = "save the file as UTF-8 without a byte order mark"


class _Flaw(NamedTuple):
    """What is wrong at one offset of the text."""

    offset: int
    rule: str
    value: str | None = None
    remedy: str | None = None

    def problem(self, file: str, lines: Lines) -> Problem:
        line, column = lines.at(self.offset)
        return Problem((), self.rule, self.value, self.remedy, file, line, column)


def read(data: bytes, file: str) -> JsonObject:
    """Give the values of a document, which is an object.

    Raises:
        SpecError: the bytes are no JSON document that a spec may be.

    """
    text = _decode(data, file)
    try:
        flaw = _too_deep(text)
        value, alarm = (None, False) if flaw else _parse(text)
    except json.JSONDecodeError as error:
        flaw = _syntax_flaw(text, error)
    if flaw:
        raise SpecError([flaw.problem(file, Lines(text))])
    if alarm:
        raise SpecError(_first(_bad_values(text, locate(text), file), file))
    if not isinstance(value, dict):
        flaw = _Flaw(_skip(text, 0), "a document must be an object", short(value), 'write {"kind": "arch", ...}')
        raise SpecError([flaw.problem(file, Lines(text))])
    return value


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        remedy = "give a spec, which is a few kilobytes of JSON"
        raise SpecError([Problem((), f"a document has at most {MAX_BYTES} bytes", str(len(data)), remedy, file)])
    if not data.strip():
        raise SpecError([Problem((), "the file is empty", None, 'write {"kind": "arch", ...}', file)])
    encoding = json.detect_encoding(data)
    if encoding != "utf-8":
        name = "a UTF-8 byte order mark" if encoding == "utf-8-sig" else encoding[:6].upper()
        raise SpecError([Problem((), "a document must be plain UTF-8", name, _UTF8, file, 1, 1)])
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        flaw = _Flaw(len(before), "a document must be plain UTF-8", f"byte 0x{data[error.start]:02x}", _UTF8)
        raise SpecError([flaw.problem(file, Lines(before))]) from None


def _too_deep(text: str) -> _Flaw | None:
    """Found before json reads, because json goes down the stack with every bracket."""
    depth = 0
    for match in _BRACKETS.finditer(text):
        mark = text[match.start()]
        depth += (mark in "[{") - (mark in "]}")
        if depth > MAX_DEPTH:
            rule = f"objects and lists must not be nested deeper than {MAX_DEPTH}"
            return _Flaw(match.start(), rule, remedy="no part of a spec is; look for brackets that are never closed")
    return None


def _parse(text: str) -> tuple[Json, bool]:
    """Give the value, and whether something in it is to be refused."""
    alarms: list[str] = []

    def pairs(items: list[tuple[str, Json]]) -> JsonObject:
        value = dict(items)
        if len(value) < len(items):
            alarms.append("duplicate")
        return value

    def number(token: str) -> float:
        value = float(token)
        if math.isinf(value):
            alarms.append("overflow")
        return value

    def integer(token: str) -> int:
        if len(token.lstrip("-")) <= MAX_DIGITS:
            return int(token)
        alarms.append("digits")
        return 0

    value = json.loads(
        text, object_pairs_hook=pairs, parse_float=number, parse_int=integer, parse_constant=alarms.append
    )
    if any(match["lone"] for match in _SURROGATES.finditer(text)):
        alarms.append("surrogate")
    return value, bool(alarms)


def _bad_values(text: str, positions: Positions, file: str) -> Iterator[Problem]:
    lines = Lines(text)
    for keys, first, (line, column) in positions.duplicates:
        rule = f"the key is already set at line {first[0]}, column {first[1]}"
        yield Problem(keys, rule, None, "remove one of the two", file, line, column, at_key=True)
    for keys, spot in positions.walk():
        for flaw in _flaws(text, spot):
            yield flaw.problem(file, lines)._replace(keys=keys, at_key=flaw.offset < spot.start)


def _first(problems: Iterator[Problem], file: str) -> list[Problem]:
    """Sort the first problems into document order, and count the rest."""
    first = sorted(islice(problems, MAX_PROBLEMS), key=lambda problem: (problem.line or 0, problem.column or 0))
    more = sum(1 for _ in problems)
    return [*first, Problem((), f"{more} more problems like these", file=file)] if more else first


def _flaws(text: str, spot: Spot) -> Iterator[_Flaw]:
    """Find what json let pass in the key and the value of one spot."""
    for start in (spot.key, spot.start):
        string = _STRING.match(text, start) if start is not None else None
        for match in _SURROGATES.finditer(text, *string.span()) if string else ():
            if match["lone"]:
                rule = "a surrogate stands only in a pair, high before low"
                yield _Flaw(match.start(), rule, match[0], "write the character itself")
    token = "" if text[spot.start] in '"{[' else _token(_SCALAR, text, spot.start)
    if token in ("NaN", "Infinity", "-Infinity"):
        yield _Flaw(spot.start, "a number must be finite", token, "write a number, or null where a field allows it")
    elif token.lstrip("-").isdigit():
        digits = len(token.lstrip("-"))
        if digits > MAX_DIGITS:
            value = f"{token[:6]}... with {digits} digits"
            yield _Flaw(spot.start, f"an integer has at most {MAX_DIGITS} digits", value, "write a smaller one")
    elif token and token not in ("true", "false", "null") and math.isinf(float(token)):
        yield _Flaw(spot.start, "a number must be finite", token[:40], "write a number below 1e308")


def _token(pattern: re.Pattern[str], text: str, offset: int) -> str:
    match = pattern.match(text, offset)
    return match[0] if match else ""


def _skip(text: str, offset: int) -> int:
    while offset < len(text) and text[offset] in _BLANK:
        offset += 1
    return offset


def _syntax_flaw(text: str, error: json.JSONDecodeError) -> _Flaw:
    """Say json's complaint in words that name the usual mistakes."""
    offset = _skip(text, error.pos)
    word = _token(_WORD, text, offset) or text[offset : offset + 1]
    if error.msg.startswith("Invalid control character"):
        return _control_flaw(text, error.pos)
    if _is_cut_off(text, offset, error.msg):
        return _cut_off_flaw(text)
    if offset == 0 and _LEADING_COMMENTS.sub("", text)[:1] not in ("{", "[", "/"):
        return _Flaw(offset, "this is no JSON document, which begins with a brace", short(word), "give a .json file")
    if text.startswith(("//", "/*", "#"), offset):
        return _Flaw(offset, "JSON has no comments", text[offset : offset + 2].strip(), "remove it")
    if text[offset] == "'":
        return _Flaw(offset, "JSON quotes with \", not with '", None, "write double quotes")
    comma = offset if text[offset] == "," else text[:offset].rstrip(_BLANK).rfind(",", -1)  # -1: another character
    if comma >= 0 and text[_skip(text, comma + 1) :][:1] in ("]", "}"):
        return _Flaw(comma, "no comma may stand before a closing bracket", None, "remove the comma")
    if word in _JSON_WORDS:
        return _Flaw(offset, "JSON's words are true, false and null", word, f"write {_JSON_WORDS[word]}")
    if error.msg == "Extra data":
        return _Flaw(offset, "a file holds one document, which ends before this", short(word), "remove the rest")
    return _Flaw(offset, *_expected(error.msg, word))


def _expected(message: str, word: str) -> tuple[str, str, str | None]:
    """What must stand where json stopped, what stands there, and what to do."""
    if "property name" in message:
        remedy = "close the object before it with }" if word in ("{", "[") else None
        remedy = f'write "{word}"' if word.isidentifier() else remedy
        return "a key in double quotes must stand here", short(word), remedy
    if "','" in message:
        remedy = "write a comma before it" if word in ('"', "{", "[") else None
        return "a comma or a closing bracket must stand here", short(word), remedy
    if "':'" in message:
        return "a colon must stand between a key and its value", short(word), None
    if message.startswith("Expecting value"):
        return "a value must stand here", short(word), None
    return message[0].lower() + message[1:].rstrip(": "), short(word), None


def _control_flaw(text: str, offset: int) -> _Flaw:
    if text[offset] in "\r\n":
        return _Flaw(offset, "a string must end on its line", None, 'close it with ", or write \\n for a line break')
    escaped = json.dumps(text[offset])[1:-1]
    return _Flaw(offset, "a string must not contain control characters", short(text[offset]), f"write {escaped}")


def _is_cut_off(text: str, offset: int, message: str) -> bool:
    """Whether all is well up to the end of the text, which comes too soon; also inside a word, a number, an escape."""
    if message == "Extra data":
        return False
    if "escape" in message:
        return '"' not in text[offset:]
    unfinished = re.fullmatch(r"[\w.+-]*\s*", text[offset:]) is not None and text[_skip(text, 0)] in "{["
    return unfinished or message.startswith("Unterminated")


def _cut_off_flaw(text: str) -> _Flaw:
    opened: list[int] = []
    for match in _BRACKETS.finditer(text):
        if match[0] in ("]", "}"):
            opened.pop()
        elif match[0][0] != '"' or not _STRING.fullmatch(match[0]):
            opened.append(match.start())
    kind = _OPENED[text[opened[-1]]]
    line, column = Lines(text).at(opened[-1])
    remedy = f"close the {kind} that begins at line {line}, column {column}, or get the whole file"
    return _Flaw(
        len(text.rstrip(_BLANK)), f"the document ends inside a{'n' * (kind == 'object')} {kind}", remedy=remedy
    )
