"""Points drawn from a space, and what they show to be wrong with it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from archdsl.errors import Problem
from archdsl.spaces.expressions import ExpressionError, parse
from archdsl.spaces.names import expression_problem, expressions
from archdsl.spaces.resolve import Point, Unresolved, resolve, satisfied
from archdsl.spaces.space import Space
from archdsl.spaces.variables import Variable, variables


def draw(variable: Variable, generator: random.Random) -> Any:
    """A value of a variable, uniform (by ratio where it says so)."""
    if variable.values:
        return generator.choice(variable.values)
    if variable.log:
        return variable.low * (variable.high / variable.low) ** generator.random()
    return generator.uniform(variable.low, variable.high)


def random_point(space: Space, generator: random.Random) -> Point:
    """One choice, uniform in each variable; it may still break a constraint or a shape rule.

    Raises:
        Unresolved: an expression cannot be computed.
    """
    known = variables(space.nodes)
    return resolve(space, lambda name: draw(known[name], generator))


def broken(space: Space, found: Point) -> Iterator[Problem]:
    """The constraints that a point does not keep, or that are no statements for its values."""
    for index, text in enumerate(space.constraints):
        keys = ("constraints", index)
        try:
            if not satisfied(parse(text), found):
                yield Problem(keys, f"the constraint {text} does not hold")
        except ExpressionError as error:
            yield expression_problem(keys, error)


def drawn_problems(space: Space, tries: int) -> list[Problem]:
    """Expressions and constraints that cannot be computed for one at least of so many points, each told once."""
    generator, told, known = random.Random(0), dict[Any, Problem](), variables(space.nodes)
    for _ in range(tries):
        try:
            found = resolve(space, lambda name: draw(known[name], generator))
        except Unresolved as error:
            keys = next(keys for keys, text in expressions({"nodes": list(space.nodes)}) if text == error.text)
            told.setdefault(keys, Problem(keys, error.reason, f'"{error.text}"'))
            continue
        for index, text in enumerate(space.constraints):
            try:
                satisfied(parse(text), found)
            except ExpressionError as error:
                told.setdefault(index, expression_problem(("constraints", index), error))
    return list(told.values())
