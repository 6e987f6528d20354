"""Networks that a library gives inside budgets: the integer program over its alternatives, without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from archdsl.deriving.choice import BudgetTooSmall, Option, Position, Solution, choose
from archdsl.deriving.library.covering import Covering, DerivedBlock, alternative_of
from archdsl.deriving.library.facts import Entry
from archdsl.deriving.library.folder import Library
from archdsl.errors import SearchError
from archdsl.language.document import Spec
from archdsl.load.alternatives import assembled
from archdsl.load.specs import spec_of

Costs: TypeAlias = Callable[[Spec], Mapping[str, float]]
"""What a network costs, by metric; of two exchanges together the sum of what each changes."""


@dataclass(frozen=True)
class Derived:
    """A network made of a parent's blocks and fitted alternatives.

    blocks: of the stages that the library has alternatives for, in order. kl: summed scores, in nats. costs: by metric,
    as they sum up.
    """

    spec: Spec
    blocks: tuple[DerivedBlock, ...]
    kl: float
    costs: Mapping[str, float]
    solution: Solution

    @property
    def exchanged(self) -> tuple[DerivedBlock, ...]:
        """Those that are not the parent's."""
        return tuple(block for block in self.blocks if block.key is not None)


class _Asked(NamedTuple):
    """What was solved for: limits by metric, the solutions to differ from, and whether spans are allowed."""

    limits: tuple[tuple[str, float], ...]
    unlike: tuple[tuple[int, ...], ...]
    spans: bool


class Solver:
    """Finds networks inside budgets among the alternatives of one library, and keeps what it found."""

    def __init__(self, library: Library, costs: Costs) -> None:
        """`costs` is asked for the parent and once for each alternative, alone in the place of what it covers."""
        self.parent, self.costs = spec_of(library.index.spec), costs
        self.entries = library.usable
        self.covering = Covering(self.parent, self.entries)
        self._own = self.covering.own
        self.whole = costs(self.parent)
        """What the parent costs, by metric."""
        own = [Option((position,), 0.0, dict.fromkeys(self.whole, 0.0)) for position in self._own]
        self._options = [*own, *(self._option(entry, costs) for entry in self.entries)]
        self._numbers = {entry.key: len(own) + number for number, entry in enumerate(self.entries)}
        self._known: dict[_Asked, Derived | BudgetTooSmall | None] = {}

    def solve(self, limits: Mapping[str, float], unlike: Iterable[Derived] = (), spans: bool = True) -> Derived | None:
        """The network of the least summed KL whose costs are within the limits; unlike others in two positions or more.

        None where there is none but the excluded ones.

        Raises:
            BudgetTooSmall: no network of the library keeps the limits; the least that can be had is named.
        """
        others = [each.solution for each in unlike]
        asked = _Asked(tuple(sorted(limits.items())), tuple(each.chosen for each in others), spans)
        if asked not in self._known:
            self._known[asked] = self._solved(limits, others, spans)
        known = self._known[asked]
        if isinstance(known, BudgetTooSmall):
            raise BudgetTooSmall(known.metric, known.limit, known.least, known.others)
        return known

    def blocks_of(self, spec: Spec) -> tuple[DerivedBlock, ...] | None:
        """The blocks that make up a network of the library, those of the least summed KL where several would do.

        None for a network that the parent's blocks and the alternatives do not make up.
        """
        return self.covering.blocks_of(spec)

    def named(self, blocks: Sequence[DerivedBlock]) -> Spec:
        """The network of some blocks."""
        return self.covering.network(blocks)

    def saved(self, key: str) -> Mapping[str, float]:
        """What the network saves of each cost with this alternative alone exchanged; negative where it costs more."""
        option = self._options[self._numbers[key]]
        return {metric: -change for metric, change in option.costs.items()}

    def _solved(
        self, limits: Mapping[str, float], unlike: Sequence[Solution], spans: bool
    ) -> Derived | BudgetTooSmall | None:
        left = {metric: limit - self.whole[metric] for metric, limit in limits.items()}
        try:
            solution = choose(self._options, left, unlike=unlike, spans=spans)
        except BudgetTooSmall as error:
            whole = self.whole[error.metric]
            others = [name for name in limits if name != error.metric] if error.others else []
            return BudgetTooSmall(error.metric, error.limit + whole, error.least + whole, others)
        return None if solution is None else self._derived(solution)

    def _option(self, entry: Entry, costs: Costs) -> Option:
        positions: tuple[Position, ...] = tuple((entry.stage, entry.first + place) for place in range(entry.span))
        there = costs(assembled(self.parent, [alternative_of(entry)]))
        changes = {metric: there[metric] - whole for metric, whole in self.whole.items()}
        return Option(positions, entry.kl or 0.0, changes)

    def of_blocks(self, blocks: Sequence[DerivedBlock]) -> Derived:
        """The network of some blocks, with its sums.

        Raises:
            SearchError: the library has no such block.
        """
        numbers = {(stage, first, None): number for number, (stage, first) in enumerate(self._own)}
        chosen = [
            numbers.get((block.stage, block.first, None)) if block.key is None else self._numbers.get(block.key)
            for block in blocks
        ]
        numbers_of = tuple(number for number in chosen if number is not None)
        if len(numbers_of) < len(chosen):
            raise SearchError("the library has not the blocks that the run was begun with; use the one that it had")
        options = [self._options[number] for number in numbers_of]
        sums = {metric: sum(option.costs[metric] for option in options) for metric in self.whole}
        return self._derived(Solution(numbers_of, sum(option.kl for option in options), sums))

    def _derived(self, solution: Solution) -> Derived:
        blocks = []
        for number in solution.chosen:
            (stage, first), span = self._options[number].positions[0], len(self._options[number].positions)
            key = self.entries[number - len(self._own)].key if number >= len(self._own) else None
            blocks.append(DerivedBlock(stage, first, span, key))
        sums = {metric: whole + solution.costs[metric] for metric, whole in self.whole.items()}
        return Derived(self.named(blocks), tuple(blocks), solution.kl, sums, solution)
