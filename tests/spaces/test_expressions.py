"""Expressions of spaces compute what they say, and nothing outside their grammar."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from archdsl.spaces.expressions import Expression, ExpressionError, Inactive, Scalar, parse
from archdsl.spaces.grammar import ALLOWED, MAX_NESTING

ENV: dict[str, Scalar] = {
    "w": 64,
    "d3": 6,
    "half": 0.5,
    "bias": True,
    "stage1": "mlp",
    "stage2": "hilo",
    "stage3.depth": 6,
    "stage3.blocks.1.groups": 4,
    "merge2.width": 256,
}
VALUES: dict[str, Scalar] = {
    "w // 32": 2,
    "2 * w": 128,
    "merge2.width // 32": 8,
    "stage3.blocks.1.groups + 1": 5,
    "w / 128": 0.5,
    "7 % 4 + 1.5e1": 18.0,
    "-w + 3 * -2": -70,
    "10 - 4 - 3": 3,
    "2 + 3 * 4": 14,
    "(2 + 3) * 4": 20,
    "stage1": "mlp",
    "stage1 == 'mlp' or stage2 != 'mlp'": True,
    'stage1 == "hilo"': False,
    "w <= 96 or d3 <= 8": True,
    "stage3.depth >= 2 * d3": False,
    "1 < d3 < 10 < w": True,
    "1 < d3 < 5 < w": False,
    "not w == 3": True,
    "not not bias and not false": True,
    "false and true or true": True,
    "w in (48, 64)": True,
    "w not in [48, 64]": False,
    "-1 in [-1]": True,
    "stage1 in ('mlp', 'hilo') and bias in (true, 3)": True,
    "stage1 in ('mlps')": False,
    "half * 2 == 1": True,
    "bias == true": True,
    "bias == 1": False,
    "stage1 == 3": False,
    "1e12 - 1": 1e12 - 1,
}


@pytest.mark.parametrize("text", VALUES)
def test_an_expression_has_the_value_that_it_has_in_python(text: str) -> None:
    value = parse(text).evaluate(ENV.__getitem__)
    assert value == VALUES[text]
    assert type(value) is type(VALUES[text])


REFUSED = {
    "": "column 1: a number, text or name must stand here; got the end",
    "w +": "column 4: a number, text or name must stand here; got the end",
    "w w": 'column 3: an operator must stand here; got "w"',
    "bias == True": 'column 9: a number, text or name must stand here; got "True"; write true or false',
    "w == None": 'column 6: a number, text or name must stand here; got "None"',
    "w ** 2": 'column 3: an operator must stand here; got "**"; powers cannot be written',
    "max(w, 2)": 'column 4: an operator must stand here; got "("; calls cannot be written',
    "w[0]": 'column 2: an operator must stand here; got "["; subscripts cannot be written',
    "f'{w}'": "column 2: an operator must stand here; got \"'{w}'\"",
    "'a' 'b'": "column 5: an operator must stand here; got \"'b'\"",
    "'a' is 'b'": 'column 5: an operator must stand here; got "is"',
    "w if bias else 2": 'column 3: an operator must stand here; got "if"',
    "w := 2": 'column 3: an operator must stand here; got ":"',
    "lambda: 1": 'column 7: an operator must stand here; got ":"',
    "w # width": 'column 3: an operator must stand here; got "#"',
    "w\n": 'column 2: an operator must stand here; got "\\n"',
    "w\0": 'column 2: an operator must stand here; got "\\u0000"',
    "+w": 'column 1: a number, text or name must stand here; got "+"',
    "w.__class__": 'column 1: a number, text or name must stand here; got "w.__class__"',
    "stage1. depth": 'column 1: a number, text or name must stand here; got "stage1."',
    "\uff57": 'column 1: a number, text or name must stand here; got "\\uff57"',
    "2w": 'column 1: a number, text or name must stand here; got "2w"',
    "0x10": 'column 1: a number, text or name must stand here; got "0x10"',
    "1j": 'column 1: a number, text or name must stand here; got "1j"',
    "'mlp": 'column 1: a number, text or name must stand here; got "\'"; close the text with the quote that opens it',
    "'a\\'": 'column 1: a number, text or name must stand here; got "\'"; close the text with the quote that opens it',
    "(w": "column 3: ) must stand here; got the end",
    "(1, 2) == w": 'column 3: ) must stand here; got ","',
    "w in 3": 'column 6: a list of literals, such as (2, 4), must stand here; got "3"',
    "stage1 in 'mlp'": "column 11: a list of literals, such as (2, 4), must stand here; got \"'mlp'\"",
    "w in ()": 'column 7: a number, text or name must stand here; got ")"',
    "w in (d3, 2)": 'column 7: a number, text or name must stand here; got "d3"',
    "w in (2]": 'column 8: ) must stand here; got "]"',
}


@pytest.mark.parametrize("text", REFUSED)
def test_text_outside_the_grammar_is_refused_with_column_and_what_is_allowed(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert str(caught.value) == f"{REFUSED[text]}; {ALLOWED}"


OTHER_OPERATORS = {
    "w = 3": "column 3: '=' is not an operator; did you mean '=='?",
    "w === 3": "column 3: '===' is not an operator; did you mean '=='?",
    "w !== 3": "column 3: '!==' is not an operator; did you mean '!='?",
    "w <> 3": "column 3: '<>' is not an operator; did you mean '!='?",
    "w => 3": "column 3: '=>' is not an operator; did you mean '>='?",
    "(w =< 3) and bias": "column 4: '=<' is not an operator; did you mean '<='?",
    "bias & bias": "column 6: '&' is not an operator; did you mean 'and'?",
    "bias && bias": "column 6: '&&' is not an operator; did you mean 'and'?",
    "bias | bias": "column 6: '|' is not an operator; did you mean 'or'?",
    "w > 3 || bias": "column 7: '||' is not an operator; did you mean 'or'?",
    "bias OR bias": "column 6: 'OR' is not an operator; did you mean 'or'?",
    "!bias": "column 1: '!' is not an operator; did you mean 'not'?",
    "bias and NOT bias": "column 10: 'NOT' is not an operator; did you mean 'not'?",
}


@pytest.mark.parametrize("text", OTHER_OPERATORS)
def test_an_operator_of_another_language_is_refused_with_the_one_that_is_meant(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert str(caught.value) == OTHER_OPERATORS[text]


BOUNDS = {
    "1 + " * 50 + "1": "column 1: an expression has at most 200 characters; got 201",
    f"'{'a' * 65}' == stage1": "column 1: text has at most 64 characters; got 65",
    "w < 1e13": "column 5: a number is at most 1e12; got 10000000000000.0",
    "1e999": "column 1: a number is at most 1e12; got Infinity",
    "w < " + "9" * 150: "column 5: a number is at most 1e12; got an integer of about 10^150",
    "(" * 100 + "w" + ")" * 99: "column 18: an expression is nested at most 16 deep",
    "-" * 199 + "1": "column 18: an expression is nested at most 16 deep",
    "not " * 49 + "bias": "column 69: an expression is nested at most 16 deep",
    # a type that no value of a name could mend
    "'a' * 999999999": "column 5: * takes a number; got text",
    "w + 'a'": "column 3: + takes a number; got text",
    "-'a'": "column 1: - takes a number; got text",
    "1 + (w == 2)": "column 3: + takes a number; got true or false",
    "true < 2": "column 6: < takes a number; got true or false",
    "stage1 == 'mlp' or 'hilo'": "column 17: or takes true or false; got text",
    "not (w - 1)": "column 1: not takes true or false; got a number",
}


@pytest.mark.parametrize("text", BOUNDS)
def test_what_exceeds_a_bound_or_can_have_no_value_is_refused_unevaluated(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert str(caught.value) == BOUNDS[text]


@pytest.mark.parametrize(
    "text", ["1 + " * 49 + "100", "(" * MAX_NESTING + "w" + ")" * MAX_NESTING, f"'{'a' * 64}' == w"]
)
def test_what_stays_within_the_bounds_is_read(text: str) -> None:
    parse(text).evaluate(ENV.__getitem__)


NO_VALUE = {
    "w / 0": "column 3: a number cannot be divided by zero; got 64 / 0",
    "1 // (d3 - 6)": "column 3: a number cannot be divided by zero; got 1 // 0",
    "w % 0": "column 3: a number cannot be divided by zero; got 64 % 0",
    "w * 1e12": "column 3: a number is at most 1e12; got 64000000000000.0",
    "1e12 * 1e12 * 0": "column 6: a number is at most 1e12; got 1e+24",
    "stage1 + 1": "column 8: + takes a number; got text",
    "stage1 < stage2": "column 8: < takes a number; got text",
    "-bias": "column 1: - takes a number; got true or false",
    "bias * 2": "column 6: * takes a number; got true or false",
    "w and bias": "column 3: and takes true or false; got a number",
    "not stage1": "column 1: not takes true or false; got text",
}


@pytest.mark.parametrize("text", NO_VALUE)
def test_operands_that_an_operator_does_not_take_are_told_at_the_operator(text: str) -> None:
    expression = parse(text)
    with pytest.raises(ExpressionError) as caught:
        expression.evaluate(ENV.__getitem__)
    assert str(caught.value) == NO_VALUE[text]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, -1e13])
def test_a_name_may_not_stand_for_a_number_out_of_bounds(value: float) -> None:
    with pytest.raises(ExpressionError, match=r"column 5: a number is at most 1e12"):
        parse("1 < w").evaluate(lambda _: value)


def test_a_name_may_not_stand_for_null_or_a_list() -> None:
    env: Callable[[str], Scalar] = {"kernels": [7, 7]}.__getitem__  # type: ignore[assignment]  # what is tested
    with pytest.raises(ExpressionError, match=r"column 1: kernels must be a number, text, true or false; got \[7, 7\]"):
        parse("kernels == 7").evaluate(env)


def test_names_are_those_mentioned_and_not_words_or_text() -> None:
    text = "not stage1 == 'w' and merge1.width in (2, 4) or true and d3 < stage1"
    assert parse(text).names == {"stage1", "merge1.width", "d3"}
    assert parse("'w' == 'w'").names == frozenset()


@pytest.mark.parametrize("text", ["true or gone < 2", "false and gone < 2", "w == 64 or gone == 'a'"])
def test_an_inactive_name_is_told_also_where_its_value_is_not_needed(text: str) -> None:
    def env(name: str) -> Scalar:
        if name == "gone":
            raise Inactive(name)
        return ENV[name]

    with pytest.raises(Inactive, match="gone"):
        parse(text).evaluate(env)


@pytest.mark.parametrize("text", ["w == 64 or 1 / 0 > 1", "d3 > 6 and w / (d3 - 6) > 1"])
def test_and_and_or_compute_their_right_side_only_if_it_decides(text: str) -> None:
    assert parse(text).evaluate(ENV.__getitem__) is ("or" in text)


def test_equal_texts_are_equal_expressions_that_can_be_hashed_and_pickled() -> None:
    expression = parse("w // 32")
    assert expression == parse("w // 32") != parse("w // 16")
    assert len({expression, parse("w // 32")}) == 1
    copy: Expression = pickle.loads(pickle.dumps(expression))
    assert copy.evaluate(ENV.__getitem__) == 2


def test_an_expression_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        parse("w").text = "d3"  # type: ignore[misc]  # what is tested


def test_a_chain_in_a_chain_is_computed_link_by_link() -> None:
    text = "1"
    for _ in range(MAX_NESTING - 1):
        text = f"1==({text})!=2"
    assert parse(text).evaluate(ENV.__getitem__) is False
