"""Evolution over the rungs that cost nothing: many children of the best networks, of which the most promising is tried.

A child takes each choice from one of two parents and changes some of them; what holds no network, is over a static
budget, is predicted to be too slow or was tried before is bred again at no cost. Of the others one is chosen by what is
predicted: latency as the search predicts it (`predict.py`), accuracy by ridge regression on the choices, params and
MACs of what was trained, with as much hope as the regression is unsure. Which objective counts how much is drawn anew
each time (ParEGO, Knowles 2006), so that the front grows at all its places.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from archdsl.schema.space import Space
from archdsl.schema.variables import Variable
from archdsl.search.ladder.candidates import Candidate, Refused, candidate
from archdsl.search.scores.fitted import fit, standardised
from archdsl.search.settings import Settings
from archdsl.search.study.local import Completed
from archdsl.spaces import draw

Choices = dict[str, Any]
Floats = NDArray[Any]

CHILDREN = 100
"""Networks that are bred and predicted for each that is tried."""
LEAST = 10
"""Measured networks before anything is bred of them."""
_RIDGE = 3.0
_HOPE = 1.0
"""Standard errors of the regression by which an accuracy is taken for more than it is predicted to be."""
_MOST_BRED = 4
"""Tries a child that is asked for: a small space may hold no more of them."""
_MOST_KEPT = 5000
"""Networks of choices that were bred before, so that they are not checked and counted again."""
_AUGMENT = 0.05


class Child(NamedTuple):
    """A network that could be tried next."""

    choices: Choices
    found: Candidate
    latency_ms: float | None


class Evolution:
    """Breeds the next network of one search."""

    def __init__(
        self,
        space: Space,
        variables: Mapping[str, Variable],
        settings: Settings,
        latency: Callable[[Candidate], float | None],
        too_slow: Callable[[Candidate], bool],
    ) -> None:
        """`latency` predicts ms where it can; `too_slow` says of which networks the search is sure that they are."""
        self._space, self._variables, self._settings = space, variables, settings
        self._objectives, self._latency, self._too_slow = tuple(space.objectives), latency, too_slow
        self._looked_at: dict[tuple[Any, ...], Candidate | None] = {}
        self._rows: dict[tuple[Any, ...], list[float] | None] = {}

    def child(self, known: Sequence[Completed], seen: set[str], generator: random.Random) -> Choices | None:
        """The most promising of some children; None where nothing can be bred yet, or nothing new is."""
        parents = self._parents(known)
        if len(known) < LEAST or not parents:
            return None
        bred = dict[str, Child]()
        for _ in range(_MOST_BRED * CHILDREN):
            if (child := self._bred(parents, seen | bred.keys(), generator)) is not None:
                bred[child.found.hash] = child
            if len(bred) == CHILDREN:
                break
        if not bred:
            return None
        children = list(bred.values())
        weights = np.array([generator.expovariate(1.0) for _ in self._objectives])
        return children[int(np.argmin(self._scalars(known, children, weights / weights.sum())))].choices

    def _parents(self, known: Sequence[Completed]) -> list[Choices]:
        """The better half of what was trained: by how many others each is beaten in everything."""
        trained = [one for one in known if one.is_trained]
        values = self._signed([one.values for one in trained])
        beaten = [int((values <= own).all(1).sum() - (values == own).all(1).sum()) for own in values]
        order = sorted(range(len(trained)), key=lambda index: beaten[index])
        return [trained[index].choices for index in order[: math.ceil(len(order) / 2)]]

    def _signed(self, values: Sequence[Sequence[float]]) -> Floats:
        """Objectives as what is to be low: (networks, objectives)."""
        signs = [-1.0 if objective.startswith("max") else 1.0 for objective in self._objectives]
        return np.array(values, dtype=float).reshape(-1, len(signs)) * signs

    def _bred(self, parents: Sequence[Choices], taken: set[str], generator: random.Random) -> Child | None:
        """A child of two parents; None where it is no network that could be tried, or one that is taken."""
        one, two = generator.choice(parents), generator.choice(parents)
        choices = {name: generator.choice((one, two))[name] for name in self._variables}
        changed = [name for name in self._variables if generator.random() < 1 / len(self._variables)]
        for name in changed or [generator.choice(list(self._variables))]:
            choices[name] = draw(self._variables[name], generator)
        found = self._network(choices)
        if found is None or found.hash in taken or self._too_slow(found):
            return None
        return Child(choices, found, self._latency(found))

    def _network(self, choices: Choices) -> Candidate | None:
        """The network of choices; None where it is none that could be tried."""
        key = tuple(choices.values())
        if key not in self._looked_at:
            if len(self._looked_at) >= _MOST_KEPT:
                self._looked_at.clear()
            try:
                self._looked_at[key] = candidate(self._space, choices.__getitem__, self._settings)
            except Refused:
                self._looked_at[key] = None
        return self._looked_at[key]

    def _scalars(self, known: Sequence[Completed], children: Sequence[Child], weights: Floats) -> Floats:
        """The augmented Chebyshev distance of each child from the best of all that is known, by what is predicted."""
        measured = self._signed([one.values for one in known if one.is_inside])
        guessed = self._signed(self._predicted(known, children))
        low = np.minimum(measured.min(0), guessed.min(0))
        spread = np.maximum(measured.max(0), guessed.max(0)) - low
        apart = (guessed - low) / np.where(spread > 0, spread, 1.0) * weights
        found: Floats = apart.max(1) + _AUGMENT * apart.sum(1)
        return found

    def _predicted(self, known: Sequence[Completed], children: Sequence[Child]) -> list[list[float]]:
        """Every objective of every child."""
        columns = []
        for index, objective in enumerate(self._objectives):
            metric = objective.split()[1]
            own = [one.values[index] for one in known if one.is_inside]
            if metric == "proxy_accuracy":
                columns.append(self._accuracies(known, index, children))
            elif metric == "latency":
                columns.append([_believed(child.latency_ms, own) for child in children])
            else:
                columns.append([float(getattr(child.found.counted, metric)) for child in children])
        return [list(row) for row in zip(*columns, strict=True)]

    def _accuracies(self, known: Sequence[Completed], index: int, children: Sequence[Child]) -> list[float]:
        """What each child may reach: its prediction, and the standard error of that."""
        trained = [(row, one.values[index]) for one in known if one.is_trained and (row := self._row(one.choices))]
        asked = [features(self._variables, child.choices, child.found) for child in children]
        columns = np.array([*(row for row, _ in trained), *asked])
        columns = np.column_stack([standardised(column) for column in columns.T])
        told = fit(columns, [*(accuracy for _, accuracy in trained), *[None] * len(children)], _RIDGE)
        if told is None:
            return [0.0] * len(children)
        found: list[float] = (told.told + _HOPE * told.errors)[len(trained) :].tolist()
        return found

    def _row(self, choices: Choices) -> list[float] | None:
        """The features of a network that was trained; None where it cannot be counted any more."""
        key = tuple(choices.values())
        if key not in self._rows:
            try:
                found = candidate(self._space, choices.__getitem__, self._settings.without_static_budgets())
                self._rows[key] = features(self._variables, choices, found)
            except Refused:
                self._rows[key] = None
        return self._rows[key]


def features(variables: Mapping[str, Variable], choices: Choices, found: Candidate) -> list[float]:
    """Ordered choices by their place, labels one by one, and the logarithms of params and MACs."""
    row = [math.log(max(found.counted.params, 1)), math.log(max(found.counted.macs, 1))]
    for name, variable in variables.items():
        if not variable.values:
            row.append(math.log(choices[name]) if variable.log else float(choices[name]))
        elif variable.is_ordered:
            row.append(float(variable.values.index(choices[name])))
        else:
            row += [float(value == choices[name]) for value in variable.values]
    return row


def _believed(predicted: float | None, measured: Sequence[float]) -> float:
    """A predicted latency, no less than half of the least measured; the mean of these where nothing is predicted."""
    return sum(measured) / len(measured) if predicted is None else max(predicted, min(measured) / 2)
