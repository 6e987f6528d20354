"""Points of a space looked at in quantity: what each costs, or why it is none, told at the place in the space."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import NamedTuple

from pydantic import ValidationError

from archdsl.cost import cost_of, count, limit_problems
from archdsl.errors import Keys, Problem, SpecError
from archdsl.graphs import Step
from archdsl.json_types import JsonObject, Scalar
from archdsl.language.checking.problems import problems_of
from archdsl.language.document import Spec, spec_model
from archdsl.language.nodes import Node, node_models
from archdsl.search.network import Choices, Choose, Network
from archdsl.shape import Cost
from archdsl.spaces.resolve import Point, Unresolved, decide, resolve
from archdsl.spaces.sampling import broken
from archdsl.spaces.space import Space
from archdsl.spaces.spans import written_place
from archdsl.spaces.variables import label_of


class Looked(NamedTuple):
    """A choice that was looked at: its network, or the first reason why it has none."""

    choices: Choices
    network: Network | None
    problem: Problem | None


class Points:
    """Looks at choices of one space. Nodes that were checked or counted once are not again."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._nodes: dict[str, Node] = {}
        self._costs: dict[tuple[Hashable, ...], Cost] = {}

    def look(self, choose: Choose) -> Looked:
        """The network of a choice, or why there is none."""
        made: Choices = {}

        def noted(name: str) -> Scalar:
            made[name] = choose(name)
            return made[name]

        try:
            point = resolve(self.space, noted)
        except Unresolved as error:
            return Looked(made, None, Problem((), str(error)))
        if (problem := next(broken(self.space, point), None)) is not None:
            return Looked(made, None, problem)
        try:
            return Looked(made, self._network(point), None)
        except SpecError as error:
            return Looked(made, None, self.placed(error.problems[0], point))

    def decide(self, choose: Choose) -> None:
        """Ask for the variables of a choice, and make nothing of it."""
        decide(self.space, choose)

    def _network(self, point: Point) -> Network:
        nodes = [self._node(index, written) for index, written in enumerate(point.nodes)]
        spec = spec_model().model_validate({**point.document, "nodes": nodes})
        counted = count(spec, cost_of=self._cost)
        if problems := limit_problems(counted):
            raise SpecError(problems)
        return Network(spec, counted)

    def _cost(self, step: Step, spec: Spec) -> Cost:
        key = (id(step.node), step.inputs, step.read, step.feature)
        if key not in self._costs:
            self._costs[key] = cost_of(step, spec)
        return self._costs[key]

    def _node(self, index: int, written: JsonObject) -> Node:
        key = json.dumps(written)
        if key not in self._nodes:
            model = node_models()[str(written["type"])]
            try:
                self._nodes[key] = model.model_validate(written)
            except ValidationError as error:
                raise SpecError(problems_of(error, model, ("nodes", index))) from None
        return self._nodes[key]

    def placed(self, problem: Problem, point: Point) -> Problem:
        """A problem of a point at the place in the space that it comes from."""
        if len(problem.keys) < 2 or problem.keys[0] != "nodes":
            return problem
        place = problem.keys[1]
        assert isinstance(place, int)
        name = str(point.nodes[place]["id"])
        index = next(index for index, node in enumerate(self.space.nodes) if node["id"] == name)
        keys: Keys = ("nodes", index)
        node = self.space.nodes[index]
        if "$one_of" in node:
            label = point.choices[node.get("$name", name)]
            keys += ("$one_of", [label_of(alternative) for alternative in node["$one_of"]].index(label))
            name, node = f"{name}.{label}", node["$one_of"][keys[-1]]
        inside = problem.keys[2:]
        if inside[:1] == ("blocks",) and len(inside) > 1 and isinstance(inside[1], int):
            written = written_place(node["blocks"], f"{name}.blocks", point.choices, inside[1])
            inside = ("blocks", *written, *inside[2:])
        return problem._replace(keys=(*keys, *inside))
