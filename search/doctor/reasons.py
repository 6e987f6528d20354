"""Why choices of a space fail, in few words: what fails all of them, else what fails most and what fails the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from archdsl.errors import Keys, Problem, all_of

_Rule = tuple[Keys, str]
"""What one rule says at one place, whatever the numbers."""
_MULTIPLE = re.compile(r"(\w+) (\d+) must be a multiple of .*; (\w+) (\d+)$")
_MOST_LISTED = 8


class Reasons(NamedTuple):
    """At most two problems: each fails every choice that was looked at, or where no rule does, each fails some."""

    named: tuple[Problem, ...]
    always: bool = True

    def __str__(self) -> str:
        """The problems as part of a sentence."""
        first, *others = map(str, self.named)
        if not others:
            return first
        return f"{first}; besides, {others[0]}" if self.always else f"in some networks {first}; in others {others[0]}"


def reasons_of(failed: Sequence[Sequence[Problem]]) -> Reasons | None:
    """Why choices fail, from all problems of each; None where there is no choice, or one has no problem."""
    if not failed or not all(failed):
        return None
    by_rule = [{_rule(problem): problem for problem in problems} for problems in failed]
    counts = Counter(rule for problems in by_rule for rule in problems)
    always = [rule for rule, count in counts.items() if count == len(failed)]
    if always:
        return Reasons(tuple(_commonest(rule, by_rule) for rule in always[:2]))
    first = counts.most_common(1)[0][0]
    others = Counter(rule for problems in by_rule if first not in problems for rule in problems)
    return Reasons((_commonest(first, by_rule), _commonest(others.most_common(1)[0][0], by_rule)), always=False)


def distinct(reasons: Iterable[Problem], most: int) -> tuple[Problem, ...]:
    """The first problems that differ by more than their numbers."""
    return tuple({_rule(problem): problem for problem in reversed(list(reasons))}.values())[::-1][:most]


def _rule(problem: Problem) -> _Rule:
    return problem.keys, re.sub(r"\d+", "", problem.rule)


def _commonest(rule: _Rule, by_rule: Sequence[dict[_Rule, Problem]]) -> Problem:
    """The problems of one rule, which differ by their numbers alone, as one."""
    return commonest(Counter(problems[rule] for problems in by_rule if rule in problems))


def commonest(counts: Counter[Problem]) -> Problem:
    """The commonest problem; one that a number is no multiple of another is told of all the numbers that were met."""
    first = counts.most_common(1)[0][0]
    alike = [problem for problem in counts if _rule(problem) == _rule(first)]
    matches = [_MULTIPLE.match(f"{problem.rule}; {problem.value}") for problem in alike]
    met = [match for match in matches if match is not None]
    numbers, divisors = sorted({int(match[2]) for match in met}), sorted({int(match[4]) for match in met})
    if len(numbers) > 1 and len(divisors) == 1:
        rule = f"none of the {_counted(met[0][1], numbers)} is a multiple of {divisors[0]}"
        return first._replace(rule=rule, value=None, remedy=None)
    if len(numbers) == 1 and len(divisors) > 1:
        rule = f"{met[0][1]} {numbers[0]} is a multiple of none of the {_counted(met[0][3], divisors)}"
        return first._replace(rule=rule, value=None, remedy=None)
    return first


def _counted(name: str, numbers: Sequence[int]) -> str:
    """`widths 48, 64 and 100`; of a great many the ends: `12 widths from 48 to 400`."""
    names = f"{name.removesuffix('s')}s"
    if len(numbers) <= _MOST_LISTED:
        return f"{names} {all_of(numbers)}"
    return f"{len(numbers)} {names} from {numbers[0]} to {numbers[-1]}"
