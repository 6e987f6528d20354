"""Every tunable number of the search is a field of its Policy, with a docstring; what is none is listed here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from archdsl.search.policy import SHIPPED, Policy
from archdsl.search.policy.evaluate import GatePolicy
from tests.support.places import ROOT

SEARCH = ROOT / "search"
NO_POLICY = {
    "doctor/feasible.py": {"_ROOM"},  # how a number is rounded that is shown
    "doctor/reasons.py": {"_MOST_LISTED"},  # of a message
    "doctor/shares.py": {"_Z"},  # of an interval of 95 %
    "evaluate/rungs.py": {"INHERITANCE"},  # by which stored accuracies are named
    "evaluate/kept_weights.py": {"ERRORS"},  # which messages and docs name
    "predict/formula.py": {"_EXACTLY"},  # of a least-squares fit
    "predict/operators.py": {"STAGE_ENDS"},  # of ONNX files
    "predict/ranks.py": {"DRAWS", "_LEVEL"},  # of an interval of 90 %
    "propose/candidates.py": {"_MOST_OF_A_NAME"},  # of a document
    "propose/distributions.py": {"_EXACT"},  # of a double
    "propose/study.py": {"FORMAT"},
    "proxy_check/short_quality.py": {"SHORT", "TARGET_MARK"},  # of what is written of a check
    "report/next_steps.py": {"_ABOVE_LEAST", "_CLEARLY_LESS"},  # of a budget that is proposed
    "report/reading.py": {"_MOST_NAMED"},  # of a message
    "store/budget_share.py": {"_ALMOST"},  # which messages and docs name
    "store/machine_load.py": {"_LEAST_SHARE"},  # which messages and docs name
    "worker/there.py": {"PATIENCE_S", "_PAUSES_S"},  # of the process that measures, to which no policy is sent
    "worker/scores/az_nas.py": {"_ENOUGH", "_MOST_PROBES"},  # what a score is
    "worker/scores/every.py": {"IMAGES", "_LEAST"},  # what a score is
}


def numbers(path: Path) -> Iterator[str]:
    """Names of a module that stand for a number, or for several."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and _is_number(node.value):
            yield from (name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name))


def _is_number(node: ast.expr) -> bool:
    match node:
        case ast.Tuple(elts=elements):
            return all(_is_number(element) for element in elements)
        case ast.UnaryOp(operand=operand):
            return _is_number(operand)
        case ast.BinOp(left=left, right=right):
            return _is_number(left) and _is_number(right)
        case ast.Constant(value=value):
            return isinstance(value, int | float)
    return False


def test_no_other_module_of_the_search_keeps_a_number() -> None:
    found = {str(path.relative_to(SEARCH)): set(numbers(path)) for path in SEARCH.rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == NO_POLICY


def test_numbers_of_a_module_are_seen_in_every_form(tmp_path: Path) -> None:
    file = tmp_path / "seen.py"
    file.write_text('ONE = 1\nTWO, THREE = 2.0, -3\nFOUR = 2 * 2\nNAMES = ("a", 1)\n\n\ndef f():\n    x = 1\n')
    assert set(numbers(file)) == {"ONE", "TWO", "THREE", "FOUR"}


@pytest.mark.parametrize("path", sorted((SEARCH / "policy").glob("*.py")), ids=lambda path: path.stem)
def test_every_number_of_a_policy_says_what_it_is(path: Path) -> None:
    silent = []
    for kind in (node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)):
        for number, said in zip(kind.body, [*kind.body[1:], None], strict=True):
            is_said = isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant)
            if isinstance(number, ast.AnnAssign) and not is_said and "Policy" not in ast.unparse(number.annotation):
                silent.append(f"{kind.name}.{ast.unparse(number.target)}")
    assert silent == []


def test_a_policy_is_a_value_through_and_through() -> None:
    assert hash(SHIPPED) == hash(Policy())  # a part that could be changed would have no hash
    assert Policy(gate=GatePolicy(readings=4)) != SHIPPED == Policy()
