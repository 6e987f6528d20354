"""Which alternatives make up a network: an integer program that keeps the budgets at the least summed KL.

One binary variable for each alternative; every position is covered exactly once, by one block in the place of one or in
the place of a run of several; summed costs stay within their limits. Scores add up where a block stands for all that
it replaces, which a block that is left out without a substitute does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from archdsl.errors import SearchError, WrongUse

Position: TypeAlias = tuple[str, int]
"""A block of the parent: its stage and its place in it, from 0."""
_Rows: TypeAlias = NDArray[np.float64]

_SCORE_SCALE = 1e4
"""The largest score in the solver, whose absolute tolerance is 1e-6."""
_MOST_REPAIRS = 50
"""Solutions that are cut off because they exceed a limit by less than the solver's tolerance."""


@dataclass(frozen=True)
class Option:
    """A block that may stand at one position, or at a run of them.

    positions: those that it covers. kl: what the parent's output loses with it alone exchanged, in nats; 0 for the
    parent's own block. costs: by metric (latency in ms, params, MACs), of this block.
    """

    positions: tuple[Position, ...]
    kl: float
    costs: Mapping[str, float]


@dataclass(frozen=True)
class Solution:
    """The options that were chosen, by their indices in the order of the positions, with their sums."""

    chosen: tuple[int, ...]
    kl: float
    costs: Mapping[str, float]


class BudgetTooSmall(SearchError):
    """No choice keeps the budgets. metric: the budget that cannot be kept. least: the least sum that can be had.
    others: the budgets within which that is so.
    """

    def __init__(self, metric: str, limit: float, least: float, others: Sequence[str]) -> None:
        beside = f" within the budgets of {' and '.join(others)}" if others else ""
        super().__init__(f"no choice of blocks has {metric} of at most {limit:.6g}; the least is {least:.6g}{beside}")
        self.metric, self.limit, self.least, self.others = metric, limit, least, tuple(others)


def choose(
    options: Sequence[Option],
    limits: Mapping[str, float],
    *,
    unlike: Iterable[Solution] = (),
    positions_apart: int = 2,
    spans: bool = True,
) -> Solution | None:
    """The choice of the least summed KL that covers every position exactly once within all limits.

    Args:
        options: at least one for each position.
        limits: the most that the costs of the chosen options may sum up to, by metric.
        unlike: solutions that the choice must differ from in at least `positions_apart` positions.
        positions_apart: from 1 on.
        spans: whether an option may stand for a run of positions.

    Returns:
        The best choice; None where there is none but those that `unlike` excludes.

    Raises:
        BudgetTooSmall: no choice keeps the limits, whatever `unlike` says.
        WrongUse: a position without an option, an option without positions, or a score or cost that is not finite.
    """
    _check(options, limits)
    program = _Program(options, spans)
    kl = np.array([max(option.kl, 0.0) for option in options])
    solution = program.solve(kl, limits, [(each.chosen, positions_apart) for each in unlike])
    if solution is None:
        program.refuse_small(limits)
    return solution


def _check(options: Sequence[Option], limits: Mapping[str, float]) -> None:
    if not options:
        raise WrongUse("a choice needs at least one option")
    for number, option in enumerate(options):
        if not option.positions or len(set(option.positions)) != len(option.positions):
            raise WrongUse(f"option {number} must cover different positions; got {option.positions}")
        values = {"kl": option.kl, **{metric: option.costs.get(metric, np.nan) for metric in limits}}
        if wrong := [name for name, value in values.items() if not np.isfinite(value)]:
            raise WrongUse(f"option {number} has no finite {wrong[0]}")
    if wrong := [name for name, limit in limits.items() if np.isnan(limit)]:
        raise WrongUse(f"the limit of {wrong[0]} is not a number")


class _Program:
    """The rows that say which choices there are."""

    def __init__(self, options: Sequence[Option], spans: bool) -> None:
        self.options = options
        self.order = list(dict.fromkeys(position for option in options for position in option.positions))
        self.allowed = np.array([spans or len(option.positions) == 1 for option in options], dtype=float)
        self.cover = np.zeros((len(self.order), len(options)))
        places = {position: place for place, position in enumerate(self.order)}
        for number, option in enumerate(options):
            self.cover[[places[position] for position in option.positions], number] = 1
        if not (self.cover @ self.allowed > 0).all():
            missing = self.order[int(np.argmin(self.cover @ self.allowed))]
            raise WrongUse(f"block {missing[1]} of {missing[0]} has no option of its own")

    def costs(self, metric: str) -> _Rows:
        """Of each option."""
        return np.array([float(option.costs[metric]) for option in self.options])

    def solve(
        self, objective: _Rows, limits: Mapping[str, float], cuts: Sequence[tuple[tuple[int, ...], int]] = ()
    ) -> Solution | None:
        """The choice of the least objective; None where there is none."""
        cuts = list(cuts)
        for _ in range(_MOST_REPAIRS):
            chosen = self._solved(objective, limits, cuts)
            if chosen is None:
                return None
            solution = self._summed(chosen)
            if all(solution.costs[metric] <= limit for metric, limit in limits.items()):
                return solution
            cuts.append((chosen, 1))  # over a limit by less than the solver can tell
        return None

    def _solved(
        self, objective: _Rows, limits: Mapping[str, float], cuts: Sequence[tuple[tuple[int, ...], int]]
    ) -> tuple[int, ...] | None:
        from scipy.optimize import Bounds, LinearConstraint, milp

        rows, least, most = [*self.cover], [1.0] * len(self.cover), [1.0] * len(self.cover)
        for metric, limit in limits.items():
            costs = self.costs(metric)
            scale = float(np.abs(costs).max()) or 1.0
            rows.append(costs / scale)
            least.append(-np.inf)
            most.append(limit / scale)
        for chosen, apart in cuts:
            row = np.zeros(len(self.options))
            for number in chosen:
                row[number] = len(self.options[number].positions)
            rows.append(row)
            least.append(-np.inf)
            most.append(len(self.order) - apart)
        largest = float(np.abs(objective).max()) or 1.0
        outcome = milp(
            objective * (_SCORE_SCALE / largest),
            constraints=LinearConstraint(np.array(rows), least, most),
            integrality=np.ones(len(self.options)),
            bounds=Bounds(0, self.allowed),
            options={"mip_rel_gap": 0.0},
        )
        if outcome.x is None:
            return None
        first = {position: place for place, position in enumerate(self.order)}
        numbers = (number for number, value in enumerate(outcome.x) if value > 0.5)
        return tuple(sorted(numbers, key=lambda number: first[self.options[number].positions[0]]))

    def _summed(self, chosen: tuple[int, ...]) -> Solution:
        taken = [self.options[number] for number in chosen]
        metrics = dict.fromkeys(metric for option in taken for metric in option.costs)
        sums = {metric: sum(option.costs.get(metric, 0.0) for option in taken) for metric in metrics}
        return Solution(chosen, sum(max(option.kl, 0.0) for option in taken), sums)

    def refuse_small(self, limits: Mapping[str, float]) -> None:
        """Raises `BudgetTooSmall` where no choice keeps the limits: for one that alone is too small, else for any."""
        if self.solve(np.zeros(len(self.options)), limits) is not None:
            return
        for metric, limit in limits.items():
            least = self._least(metric, {})
            if least is not None and least > limit:
                raise BudgetTooSmall(metric, limit, least, ())
        for metric, limit in limits.items():
            others = {name: value for name, value in limits.items() if name != metric}
            least = self._least(metric, others)
            if least is not None and least > limit:
                raise BudgetTooSmall(metric, limit, least, tuple(others))
        raise SearchError(f"no choice of blocks keeps the budgets of {' and '.join(limits)} together")

    def _least(self, metric: str, limits: Mapping[str, float]) -> float | None:
        costs = self.costs(metric)
        solution = self.solve(costs, limits)
        return None if solution is None else solution.costs[metric]
