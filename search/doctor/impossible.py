"""Values of a space that no network can have, each proven: found by looking at every choice that it may depend on.

A value that a valid point has is possible. Of the others, those are impossible for which every choice fails: every
choice of the space with the value where they are few enough, else every choice of the variables that some constraints,
or one node's fields and shapes, follow from. What is too large for that is not decided, and nothing is said of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import suppress
from math import prod
from typing import NamedTuple

from archdsl.errors import Keys, Problem, short
from archdsl.graphs import flow, link
from archdsl.json_types import Scalar
from archdsl.language.checking.draft import draft
from archdsl.language.nodes import node_models
from archdsl.search.doctor.dead import Hole, holes_of, value_keys
from archdsl.search.doctor.points import Points
from archdsl.search.doctor.reasons import Reasons, distinct, reasons_of
from archdsl.search.doctor.unfit_blocks import covered_positions, unfit_block, variables_of_node
from archdsl.search.network import Choices, Choose
from archdsl.search.policy.doctor import ProofPolicy
from archdsl.spaces.contradiction import fixed, needed_variables
from archdsl.spaces.enumeration import EveryChoice
from archdsl.spaces.expressions import ExpressionError, parse
from archdsl.spaces.names import types_of
from archdsl.spaces.resolve import Point, Unresolved, resolve, satisfied
from archdsl.spaces.sampling import draw
from archdsl.spaces.space import Space
from archdsl.spaces.variables import Variable, variables

Value = tuple[str, Scalar]


class Impossible(NamedTuple):
    """A value that no point has: its variable, where it is written, and why the choices with it fail."""

    name: str
    value: Scalar
    keys: Keys
    reasons: Reasons

    def problem(self) -> Problem:
        """The warning, at the value's place."""
        rule = f"{self.name} = {short(self.value)} can never occur: {self.reasons}"
        return Problem(self.keys, rule, None, f"remove {short(self.value)}, or change what forbids it")


def warnings_of(space: Space, policy: ProofPolicy) -> list[Problem]:
    """What of a space can never occur, each with its place: nodes that nobody reads, and impossible values."""
    unread = unread_nodes(space)
    remedy = 'name it in the "from" of a later node, or remove it'
    rule = "can never occur: no node reads it, whichever alternatives are chosen"
    problems = [Problem(("nodes", index), f"{space.nodes[index]['id']} {rule}", None, remedy) for index in unread]
    problems += covered_positions(space)
    values = [value for value in impossible_values(space, policy) if value.keys[1] not in unread]
    return problems + [value.problem() for value in values]


def unread_nodes(space: Space) -> list[int]:
    """The nodes, by index, that are left out of every network, as nothing reads them in any alternative."""
    left = list(range(len(space.nodes)))
    heads = {name for name, model in node_models().items() if model.kind == "head"}
    while True:
        read = set[int]()
        places = {space.nodes[index]["id"]: index for index in left}
        for place, index in enumerate(left):
            node = space.nodes[index]
            for part in ({**node, **alternative} for alternative in node.get("$one_of", ({},))):
                before = space.nodes[left[place - 1]]["id"] if place else ""
                written = part.get("from", before)
                sources = written if isinstance(written, list | tuple) else [written]
                read |= {places[name] for source in sources if (name := str(source).partition(".")[0]) in places}
        kept = [index for index in left if index in read or heads & set(types_of(space.nodes[index]))]
        if kept == left:
            return [index for index in range(len(space.nodes)) if index not in left]
        left = kept


def impossible_values(space: Space, policy: ProofPolicy) -> list[Impossible]:
    """The impossible values in document order; what stands inside an impossible alternative is not told again."""
    return list(_Proofs(space, policy).impossible())


class _Proofs:
    def __init__(self, space: Space, policy: ProofPolicy) -> None:
        self.space, self.policy, self.holes = space, policy, holes_of(space)
        self.variables = variables(space.nodes)
        self.points, self.generator = Points(space), random.Random(0)
        self.alive: set[Value] = set()
        self.left = policy.most_in_all
        self.constraints = {index: needed_variables(space, [text]) for index, text in enumerate(space.constraints)}
        self.nodes = {index: variables_of_node(space, index) for index in range(len(space.nodes))}

    def impossible(self) -> Iterator[Impossible]:
        impossible: set[Value] = set()
        for name, variable in self.variables.items():
            for value in variable.values if len(variable.values) <= self.policy.most_values else ():
                places = [place for place in self.holes[name] if not impossible & set(place.around.items())]
                if not places or self._seen(name, value, places):
                    continue
                reasons = self._reasons(name, value, places)
                if reasons is not None:
                    impossible.add((name, value))
                    yield Impossible(name, value, value_keys(places[0], value), reasons)

    def _seen(self, name: str, value: Scalar, places: list[Hole]) -> bool:
        """Whether a valid point has the value, among some drawn with it."""
        for draws in range(self.policy.draws):
            if (name, value) in self.alive or self.left <= 0:
                break
            self.left -= 1
            choices = {other: draw(variable, self.generator) for other, variable in self.variables.items()}
            place = places[draws % len(places)]
            self._look((choices | place.before | place.around | {name: value}).__getitem__)
        return (name, value) in self.alive

    def _look(self, choose: Choose) -> tuple[Choices, Problem | None]:
        looked = self.points.look(choose)
        if looked.network is not None:
            self.alive.update(looked.choices.items())
        return looked.choices, looked.problem

    def _reasons(self, name: str, value: Scalar, places: list[Hole]) -> Reasons | None:
        """Why every choice with a value fails; None where one does not, or where that is not decided."""
        if (unfit := self._unfit(name, value)) is not None:
            return Reasons((unfit,))
        around = {outer for place in self.holes[name] for outer in place.around}
        mine = [needed for needed in self.constraints.values() if name in needed]
        here = set().union(*(self.nodes[place.keys[1]] for place in places if isinstance(place.keys[1], int)))
        parts = [here, *mine, set().union(*mine), here.union(*mine), here.union(*self.constraints.values())]
        scopes = [{name, *around, *part} for part in parts]
        for scope in [*sorted(scopes, key=len), set(self.variables)]:
            if (first := self._proof(name, value, scope)) is not None:
                return self._explained(name, value, scope, {name, *around, *here}) or Reasons((first,))
            if (name, value) in self.alive:
                return None
        return None

    def _unfit(self, name: str, value: Scalar) -> Problem | None:
        """Why a block fits its stage nowhere, whatever stands beside it; None of other values, or where one fits."""
        reasons = [
            unfit_block(self.space, value_keys(place, value), value, self.policy.most_choices)
            for place in self.holes[name]
        ]
        return reasons[0] if all(reasons) else None

    def _choices_with(self, name: str, value: Scalar, scope: set[str]) -> dict[str, Variable] | None:
        """The variables of a scope, one of them fixed to a value; None where one of them is a range."""
        every = {other: variable if other in scope else fixed(variable) for other, variable in self.variables.items()}
        every[name] = self.variables[name]._replace(values=(value,))
        return every if all(variable.values for variable in every.values()) else None

    def _proof(self, name: str, value: Scalar, scope: set[str]) -> Problem | None:
        """Why the first choice with the value fails, if every choice of these variables with it does."""
        choices = self._choices_with(name, value, scope)
        if choices is None:
            return None
        whole, first = scope == set(self.variables), None
        partial = _Partial(self.points, scope, self.nodes, self.constraints)
        for looked_at, choose in enumerate(EveryChoice(choices)):
            self.left -= 1
            if looked_at == self.policy.most_choices or self.left < 0:
                return None
            used, problem = self._look(choose) if whole else partial.look(choose)
            if name not in used:
                continue
            if problem is None:
                return None
            first = first or problem
        return first

    def _explained(self, name: str, value: Scalar, proven: set[str], node: set[str]) -> Reasons | None:
        """Why choices with the value fail: what follows from the variables of the proof, and from the value's node.

        None where none of the choices that were drawn has the value, since it stands in an alternative that is rare.
        """
        reasons = [self._reasons_in(name, value, proven)]
        if not node <= proven:
            reasons.append(self._reasons_in(name, value, node))
        always = [reason for found in reasons if found is not None and found.always for reason in found.named]
        if always:
            return Reasons(distinct(always, 2))
        return reasons[0]

    def _reasons_in(self, name: str, value: Scalar, scope: set[str]) -> Reasons | None:
        """Why some choices of these variables with the value fail, or all of them where they are few."""
        choices = self._choices_with(name, value, scope)
        if choices is None:
            return None
        whole = scope == set(self.variables)
        partial = _Partial(self.points, scope, self.nodes, self.constraints)
        failed = list[list[Problem]]()
        for choose in self._some(choices):
            used, problems = partial.problems(choose)
            if whole and (problem := self.points.look(choose).problem) is not None:
                problems.append(problem)
            if name in used:
                failed.append(list(dict.fromkeys(problems)))
        return reasons_of(failed)

    def _some(self, choices: dict[str, Variable]) -> Iterator[Choose]:
        """Every choice where they are few, else some that are drawn."""
        most = self.policy.most_explained
        if prod(len(variable.values) for variable in choices.values()) <= most:
            yield from EveryChoice(choices)
            return
        for _ in range(most):
            yield {name: draw(variable, self.generator) for name, variable in choices.items()}.__getitem__


class _Partial:
    """Looks at choices of some variables, and at nothing that may follow from others."""

    def __init__(
        self, points: Points, scope: set[str], nodes: dict[int, set[str]], constraints: dict[int, set[str]]
    ) -> None:
        self.points, self.space = points, points.space
        self.decided = {self.space.nodes[index]["id"] for index, needed in nodes.items() if needed <= scope}
        self.constraints = [index for index, needed in constraints.items() if needed <= scope]

    def look(self, choose: Choose) -> tuple[Choices, Problem | None]:
        """The choices that were used, and a reason that makes every point with them fail; None where there is none."""
        used, point = self._point(choose)
        return used, None if point is None else next(self._problems(point), None)

    def problems(self, choose: Choose) -> tuple[Choices, list[Problem]]:
        """The choices that were used, and every reason that makes all points with them fail."""
        used, point = self._point(choose)
        return used, [] if point is None else list(self._problems(point))

    def _point(self, choose: Choose) -> tuple[Choices, Point | None]:
        """The choices that were used, and their point; None where it may follow from a variable outside."""
        used: Choices = {}

        def noted(name: str) -> Scalar:
            used[name] = choose(name)
            return used[name]

        try:
            return used, resolve(self.space, noted)
        except Unresolved:
            return used, None

    def _problems(self, point: Point) -> Iterator[Problem]:
        for index in self.constraints:
            text = self.space.constraints[index]
            with suppress(ExpressionError):
                if not satisfied(parse(text), point):
                    yield Problem(("constraints", index), f"the constraint {text} does not hold")
        if not self.decided:
            return
        drafted = draft(point.document)
        yield from self._placed(drafted.problems, point)
        shapes: list[Problem] = []
        flow(drafted, link(drafted, []), shapes)
        yield from self._placed(shapes, point)

    def _placed(self, problems: Iterable[Problem], point: Point) -> Iterator[Problem]:
        """Those of nodes that are decided, at their places in the space."""
        for problem in problems:
            place = problem.keys[1] if problem.keys[:1] == ("nodes",) and len(problem.keys) > 1 else None
            if isinstance(place, int) and point.nodes[place]["id"] in self.decided:
                yield self.points.placed(problem, point)
