"""Evolution over the rungs that cost nothing: many children of the best networks, of which the most promising is tried.

A child takes each choice from one of two parents and changes some of them, or is drawn at random; what holds no
network, is over a static budget, is predicted to be too slow or was tried before is bred again at no cost. Of the
others the one is tried that is expected to push the front out the furthest (`improvement.py`), times the chance that it
passes the gate (Gardner et al. 2014). Accuracy and latency, and how sure they are, are told from what was trained and
measured (`scores/process.py`); where the search predicts a latency better (`predict.py`), that is taken. Of several
costs it is drawn anew each time how much each counts, so that the front grows everywhere, and every fourth time none
does: fast networks push a front out with ease, and would keep a search from those that win.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from archdsl.load.spaces import draw
from archdsl.search.config import Settings
from archdsl.search.predict.fields import Fields, field_columns, fields
from archdsl.search.predict.gaussian_process import MOST, Told, told
from archdsl.search.propose.candidates import Refused, candidate
from archdsl.search.propose.improvement import improvements
from archdsl.search.propose.study import Completed
from archdsl.search.store.front import ACCURACY
from archdsl.search.trial import Candidate
from archdsl.spaces.space import Space
from archdsl.spaces.variables import Variable

Choices = dict[str, Any]
Floats = NDArray[Any]

CHILDREN = 100
"""Networks that are bred and predicted for each that is tried."""
LEAST = 10
"""Measured networks, beside the seeds, before anything is bred of them."""
_OF_NONE = 0.2
"""Share of the children that are drawn at random: what no parent has, no small change brings."""
_BY_GAIN = 0.25
"""Share of the choices in which no cost counts: of all that keep the budget, the winner is the most accurate."""
_MOST_BRED = 4
"""Tries a child that is asked for: a small space may hold no more of them."""
_MOST_KEPT = 5000
"""Networks of choices that were bred before, so that they are not checked and counted again."""
_LIMIT = 1.1
"""Up to which cost an improvement counts, the known and bred ones spanning 0 to 1."""


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
        gate_ms: float | None = None,
    ) -> None:
        """`latency` predicts ms where it can; `too_slow` says of which networks the search is sure that they are; what
        takes longer than `gate_ms` is not trained.
        """
        self._space, self._variables, self._settings = space, variables, settings
        self._objectives, self._latency, self._too_slow = tuple(space.objectives), latency, too_slow
        self._gate_ms = gate_ms
        self._looked_at: dict[tuple[Any, ...], Candidate | None] = {}
        self._known: dict[tuple[Any, ...], Fields | None] = {}

    def is_ready(self, known: Sequence[Completed]) -> bool:
        """Whether there is enough to breed of."""
        return len(known) >= LEAST + len(self._space.seeds)

    def child(self, known: Sequence[Completed], seen: set[str], generator: random.Random) -> Choices | None:
        """The most promising of some children; None where nothing can be bred yet, or nothing new is."""
        parents = self._parents(known)
        if not self.is_ready(known) or not parents:
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
        return children[int(np.argmax(self._improvements(known, children, generator)))].choices

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
        """A child of two parents or of none; None where it is no network that could be tried, or one that is taken."""
        one, two = generator.choice(parents), generator.choice(parents)
        choices = {name: generator.choice((one, two))[name] for name in self._variables}
        changed = [name for name in self._variables if generator.random() < 1 / len(self._variables)]
        if generator.random() < _OF_NONE:
            changed = list(self._variables)
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

    def _improvements(self, known: Sequence[Completed], children: Sequence[Child], generator: random.Random) -> Floats:
        """How far each child is expected to push the front out."""
        trained = [one for one in known if one.is_trained]
        seen = self._signed([one.values for one in trained])
        latencies = self._latencies(known, children)
        guessed = self._signed(self._costs(children, np.exp(latencies.means)))
        deviations = np.zeros(len(children))
        gain = self._objectives.index(ACCURACY) if ACCURACY in self._objectives else 0
        if self._objectives[gain] == ACCURACY:
            accuracies = self._told([(one.choices, one.values[gain]) for one in trained], children)
            guessed[:, gain], deviations = -accuracies.means, accuracies.deviations
        others = np.delete(np.vstack([seen, guessed]), gain, axis=1)
        costs = _as_one(others, generator) * (generator.random() >= _BY_GAIN)
        found = improvements(
            costs[: len(seen)], -seen[:, gain], costs[len(seen) :], -guessed[:, gain], deviations, limit=_LIMIT
        )
        return found if self._gate_ms is None else found * latencies.chance_below(math.log(self._gate_ms))

    def _costs(self, children: Sequence[Child], latencies: Floats) -> list[list[float]]:
        """Every objective of every child, the accuracy left at 0."""
        columns = []
        for objective in self._objectives:
            metric = objective.split()[1]
            if metric == "latency":
                columns.append(list(latencies))
            else:
                columns.append([float(getattr(child.found.counted, metric, 0.0)) for child in children])
        return [list(row) for row in zip(*columns, strict=True)]

    def _latencies(self, known: Sequence[Completed], children: Sequence[Child]) -> Told:
        """The logarithm of each child's ms: as it is predicted, where it is."""
        measured = [(one.choices, math.log(one.latency_ms)) for one in known if one.latency_ms]
        found = self._told(measured, children)
        ms = [math.nan if child.latency_ms is None else child.latency_ms for child in children]
        least = min((value for _, value in measured), default=0.0) - math.log(2)
        predicted = np.log(np.maximum(ms, math.exp(least)))
        return found._replace(means=np.where(np.isnan(predicted), found.means, predicted))

    def _told(self, known: Sequence[tuple[Choices, float]], children: Sequence[Child]) -> Told:
        """What the networks of these choices tell of each child."""
        rows = [(found, value) for choices, value in known[-MOST:] if (found := self._fields(choices)) is not None]
        if not rows:
            return Told(np.zeros(len(children)), np.zeros(len(children)))
        columns = field_columns([*(found for found, _ in rows), *(fields_of(child.found) for child in children)])
        return told(columns[: len(rows)], np.array([value for _, value in rows]), columns[len(rows) :])

    def _fields(self, choices: Choices) -> Fields | None:
        """What a network is that was trained; None where it is none any more."""
        key = tuple(choices.values())
        if key not in self._known:
            try:
                found = candidate(self._space, choices.__getitem__, self._settings.without_static_budgets())
                self._known[key] = fields_of(found)
            except Refused:
                self._known[key] = None
        return self._known[key]


def fields_of(found: Candidate) -> Fields:
    """What a network is, its params and MACs among that."""
    counted = found.counted
    return {**fields(found.spec.to_json()), "params": math.log1p(counted.params), "MACs": math.log1p(counted.macs)}


def _as_one(costs: Floats, generator: random.Random) -> Floats:
    """Costs (networks, costs) as one from 0 to 1 a network, by weights of chance; 0 where there are none."""
    low, high = costs.min(0), costs.max(0)
    weights = np.array([generator.expovariate(1.0) for _ in range(costs.shape[1])])
    scaled = (costs - low) / np.where(high > low, high - low, 1.0)
    found: Floats = scaled @ (weights / max(weights.sum(), 1e-9))
    return found
