"""Why choices of a space fail, in few words: what fails all of them, else what fails most and what fails the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from archdsl.errors import Keys, Problem

_Rule = tuple[Keys, str]
"""What one rule says at one place, whatever the numbers."""


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
    """The commonest problem of those that differ by their numbers alone."""
    return Counter(problems[rule] for problems in by_rule if rule in problems).most_common(1)[0][0]
