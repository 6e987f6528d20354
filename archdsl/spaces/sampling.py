"""Points drawn from a space, and what they show to be wrong with it."""

from __future__ import annotations

import random
from collections.abc import Iterator

from archdsl.errors import Keys, Problem
from archdsl.json_types import Scalar
from archdsl.spaces.expressions import ExpressionError, parse
from archdsl.spaces.names import expression_problem, expressions
from archdsl.spaces.resolve import Point, Unresolved, resolve, satisfied
from archdsl.spaces.space import Space
from archdsl.spaces.variables import Variable, variables


def draw(variable: Variable, generator: random.Random) -> Scalar:
    """A value of a variable, uniform (by ratio where it says so)."""
    if variable.values:
        return generator.choice(variable.values)
    if variable.log:
        ratio: float = (variable.high / variable.low) ** generator.random()
        return variable.low * ratio
    return generator.uniform(variable.low, variable.high)


def random_point(space: Space, generator: random.Random) -> Point:
    """One choice, uniform in each variable; it may still break a constraint or a shape rule.

    Raises:
        Unresolved: an expression cannot be computed.
    """
    domains = variables(space.nodes)
    return resolve(space, lambda name: draw(domains[name], generator))


def broken(space: Space, point: Point) -> Iterator[Problem]:
    """The constraints that a point does not keep, or that are no statements for its values."""
    for index, text in enumerate(space.constraints):
        keys = ("constraints", index)
        try:
            if not satisfied(parse(text), point):
                yield Problem(keys, f"the constraint {text} does not hold")
        except ExpressionError as error:
            yield expression_problem(keys, error)


def drawn_problems(space: Space, tries: int) -> list[Problem]:
    """Expressions and constraints that cannot be computed for one at least of so many points, each told once."""
    generator, domains = random.Random(0), variables(space.nodes)
    problems: dict[Keys, Problem] = {}
    for _ in range(tries):
        try:
            point = resolve(space, lambda name: draw(domains[name], generator))
        except Unresolved as error:
            keys = next(keys for keys, text in expressions(space.nodes) if text == error.text)
            problems.setdefault(keys, Problem(keys, error.reason, f'"{error.text}"'))
            continue
        for index, text in enumerate(space.constraints):
            try:
                satisfied(parse(text), point)
            except ExpressionError as error:
                problems.setdefault(("constraints", index), expression_problem(("constraints", index), error))
    return list(problems.values())
