"""Which of a library's blocks make up a network, and the network that some of them make up; without torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from archdsl.deriving.library.facts import Entry
from archdsl.errors import SearchError
from archdsl.families.common.base import Part
from archdsl.families.common.block import Block
from archdsl.families.common.stage import Stage
from archdsl.json_types import JsonObject
from archdsl.language.canonical import canonical_block, canonical_hash
from archdsl.language.document import Spec
from archdsl.load.alternatives import Alternative, assembled


class DerivedBlock(NamedTuple):
    """A block of a derived network. first, span: the parent's positions that it covers. key: its file in the library;
    None for the parent's own block.
    """

    stage: str
    first: int
    span: int
    key: str | None


class Covering:
    """Covers the positions of a parent with its own blocks and a library's."""

    def __init__(self, parent: Spec, entries: Iterable[Entry]) -> None:
        """`entries`: the alternatives that were not left out.

        Raises:
            SearchError: the parent has no stage of an entry, or the entry's type is not known here.
        """
        self.parent, self.entries = parent, {entry.key: entry for entry in entries}
        places = {node.id: place for place, node in enumerate(parent.nodes)}
        named = dict.fromkeys(entry.stage for entry in self.entries.values())
        stages = sorted(named, key=lambda stage: places.get(stage, len(places)))  # entries may be in any order
        self.own = [(stage, first) for stage in stages for first in range(_stage(parent, stage).depth)]
        """The positions of the stages that have alternatives, in order."""
        self._stages = tuple(stages)
        self._by_place: dict[tuple[str, int], list[Entry]] = {}
        for entry in self.entries.values():
            self._by_place.setdefault((entry.stage, entry.first), []).append(entry)
        self._canonical = {key: canonical_block(alternative_of(entry).block) for key, entry in self.entries.items()}

    def network(self, blocks: Sequence[DerivedBlock]) -> Spec:
        """The network of some blocks."""
        chosen = [alternative_of(self.entries[block.key]) for block in blocks if block.key is not None]
        return assembled(self.parent, chosen)

    def blocks_of(self, spec: Spec) -> tuple[DerivedBlock, ...] | None:
        """The blocks that make up a network of the library, those of the least summed KL where several would do.

        None for a network that the parent's blocks and the alternatives do not make up.
        """
        blocks = list[DerivedBlock]()
        for stage in self._stages:
            if (of_stage := self._cover(stage, spec)) is None:
                return None
            blocks += of_stage
        same = canonical_hash(self.network(blocks)) == canonical_hash(spec)
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
        whole = covered.get(_stage(self.parent, stage).depth)
        return None if whole is None else whole[1]


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
    return [canonical_block(block) for block in _stage(spec, stage).blocks_in_order()]


def _stage(spec: Spec, stage: str) -> Stage:
    node = next((node for node in spec.nodes if node.id == stage), None)
    if not isinstance(node, Stage):
        raise SearchError(f"the library has blocks of {stage}, which is no stage of {spec.name}")
    return node
