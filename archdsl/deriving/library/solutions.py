"""Networks that a library gives inside budgets: the integer program over its alternatives, without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from archdsl.deriving.choice import BudgetTooSmall, Option, Position, Solution, choose
from archdsl.deriving.library.facts import Entry
from archdsl.deriving.library.folder import Library
from archdsl.errors import SearchError
from archdsl.families.common.base import Part
from archdsl.families.common.block import Block
from archdsl.families.common.stage import Stage
from archdsl.json_types import JsonObject
from archdsl.language.canonical import canonical_block, canonical_hash
from archdsl.language.document import Spec
from archdsl.load.alternatives import Alternative, assembled
from archdsl.load.specs import spec_of

Costs: TypeAlias = Callable[[Spec], Mapping[str, float]]
"""What a network costs, by metric; of two exchanges together the sum of what each changes."""


class DerivedBlock(NamedTuple):
    """A block of a derived network. first, span: the parent's positions that it covers. key: its file in the library;
    None for the parent's own block.
    """

    stage: str
    first: int
    span: int
    key: str | None


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


class Solver:
    """Finds networks inside budgets among the alternatives of one library."""

    def __init__(self, library: Library, costs: Costs) -> None:
        """`costs` is asked for the parent and once for each alternative, alone in the place of what it covers."""
        self.parent, self.costs = spec_of(library.index.spec), costs
        self.entries = library.usable
        stages = dict.fromkeys(entry.stage for entry in self.entries)
        self._own = [(stage, first) for stage in stages for first in range(_depth(self.parent, stage))]
        self._by_place: dict[tuple[str, int], list[Entry]] = {}
        for entry in self.entries:
            self._by_place.setdefault((entry.stage, entry.first), []).append(entry)
        self._canonical = {entry.key: canonical_block(alternative_of(entry).block) for entry in self.entries}
        self._whole = costs(self.parent)
        own = [Option((position,), 0.0, dict.fromkeys(self._whole, 0.0)) for position in self._own]
        self._options = [*own, *(self._option(entry, costs) for entry in self.entries)]

    def solve(self, limits: Mapping[str, float], unlike: Iterable[Derived] = (), spans: bool = True) -> Derived | None:
        """The network of the least summed KL whose costs are within the limits; unlike others in two positions or more.

        None where there is none but the excluded ones.

        Raises:
            BudgetTooSmall: no network of the library keeps the limits; the least that can be had is named.
        """
        left = {metric: limit - self._whole[metric] for metric, limit in limits.items()}
        try:
            solution = choose(self._options, left, unlike=[each.solution for each in unlike], spans=spans)
        except BudgetTooSmall as error:
            whole = self._whole[error.metric]
            others = [name for name in limits if name != error.metric] if error.others else []
            raise BudgetTooSmall(error.metric, error.limit + whole, error.least + whole, others) from None
        return None if solution is None else self._derived(solution)

    def blocks_of(self, spec: Spec) -> tuple[DerivedBlock, ...] | None:
        """The blocks that make up a network of the library, those of the least summed KL where several would do.

        None for a network that the parent's blocks and the alternatives do not make up.
        """
        blocks = list[DerivedBlock]()
        for stage in dict.fromkeys(stage for stage, _ in self._own):
            if (of_stage := self._cover(stage, spec)) is None:
                return None
            blocks += of_stage
        same = canonical_hash(self.named(blocks)) == canonical_hash(spec)
        return tuple(blocks) if same else None

    def _cover(self, stage: str, spec: Spec) -> tuple[DerivedBlock, ...] | None:
        """The blocks of a stage, from its first on: by each number of positions, the least KL that covers so many."""
        node = spec.node(stage) if any(each.id == stage for each in spec.nodes) else None
        if not isinstance(node, Stage):
            return None
        own = {(first, 1): canonical for first, canonical in enumerate(_canonical_blocks(self.parent, stage))}
        covered: dict[int, tuple[float, tuple[DerivedBlock, ...]]] = {0: (0.0, ())}
        for canonical in _canonical_blocks(spec, stage):
            there: dict[int, tuple[float, tuple[DerivedBlock, ...]]] = {}
            for first, (kl, blocks) in covered.items():
                choices = [(1, 0.0, None)] if own.get((first, 1)) == canonical else []
                choices += [
                    (entry.span, entry.kl or 0.0, entry.key)
                    for entry in self._by_place.get((stage, first), ())
                    if self._canonical[entry.key] == canonical
                ]
                for span, more, key in choices:
                    made = (kl + more, (*blocks, DerivedBlock(stage, first, span, key)))
                    if first + span not in there or made[0] < there[first + span][0]:
                        there[first + span] = made
            covered = there
        whole = covered.get(_depth(self.parent, stage))
        return None if whole is None else whole[1]

    def named(self, blocks: Sequence[DerivedBlock]) -> Spec:
        """The network of some blocks."""
        by_key = {entry.key: entry for entry in self.entries}
        return assembled(self.parent, [alternative_of(by_key[block.key]) for block in blocks if block.key is not None])

    def _option(self, entry: Entry, costs: Costs) -> Option:
        positions: tuple[Position, ...] = tuple((entry.stage, entry.first + place) for place in range(entry.span))
        there = costs(assembled(self.parent, [alternative_of(entry)]))
        changes = {metric: there[metric] - whole for metric, whole in self._whole.items()}
        return Option(positions, entry.kl or 0.0, changes)

    def of_blocks(self, blocks: Sequence[DerivedBlock]) -> Derived:
        """The network of some blocks, with its sums.

        Raises:
            SearchError: the library has no such block.
        """
        numbers = {(stage, first, None): number for number, (stage, first) in enumerate(self._own)}
        keyed = {entry.key: len(self._own) + number for number, entry in enumerate(self.entries)}
        chosen = [
            numbers.get((block.stage, block.first, None)) if block.key is None else keyed.get(block.key)
            for block in blocks
        ]
        numbers_of = tuple(number for number in chosen if number is not None)
        if len(numbers_of) < len(chosen):
            raise SearchError("the library has not the blocks that the run was begun with; use the one that it had")
        options = [self._options[number] for number in numbers_of]
        sums = {metric: sum(option.costs[metric] for option in options) for metric in self._whole}
        return self._derived(Solution(numbers_of, sum(option.kl for option in options), sums))

    def _derived(self, solution: Solution) -> Derived:
        blocks = []
        for number in solution.chosen:
            (stage, first), span = self._options[number].positions[0], len(self._options[number].positions)
            key = self.entries[number - len(self._own)].key if number >= len(self._own) else None
            blocks.append(DerivedBlock(stage, first, span, key))
        sums = {metric: whole + solution.costs[metric] for metric, whole in self._whole.items()}
        return Derived(self.named(blocks), tuple(blocks), solution.kl, sums, solution)


def alternative_of(entry: Entry) -> Alternative:
    """What a library's entry stands for.

    Raises:
        SearchError: its block is of a type that is not known here.
    """
    kind = Part.kinds["block"].get(str(entry.block.get("type")))
    if kind is None:
        raise SearchError(f"the library's block {entry.name} is of a type that is not installed here")
    block = kind.model_validate(entry.block)
    assert isinstance(block, Block)
    choice = {name: value for name, value in entry.choice.items() if not isinstance(value, list | dict)}
    return Alternative(entry.stage, entry.first, entry.span, block, choice)


def _canonical_blocks(spec: Spec, stage: str) -> list[JsonObject]:
    node = spec.node(stage)
    assert isinstance(node, Stage)
    return [canonical_block(block) for block in node.blocks_in_order()]


def _depth(spec: Spec, stage: str) -> int:
    node = spec.node(stage)
    assert isinstance(node, Stage)
    return node.depth
