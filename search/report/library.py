"""What a report tells of the run's library: which blocks it replaced in the winner, and its front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from archdsl.deriving.library.covering import Covering, DerivedBlock
from archdsl.deriving.library.folder import Library
from archdsl.deriving.library.front import FrontPoint, LibraryFront
from archdsl.errors import ArchError
from archdsl.files import read_json
from archdsl.json_types import JsonObject
from archdsl.language.block_lists import block_documents, is_listable
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.search.report.changes import parent_of
from archdsl.search.report.reading import mapping
from archdsl.search.report.trials import TrialLine
from archdsl.search.store.parent import ParentSummary
from archdsl.search.store.run_library import LIBRARY_FILE, KeptAlternative, KeptFacts, KeptNetworks


@dataclass(frozen=True)
class WinnerBlock:
    """A block of a network that is made of a library's, in a stage that the library has alternatives for."""

    stage: str
    place: int
    """In the network's stage, from 0."""
    first: int
    """Of the parent's positions that it stands for, from 0."""
    span: int
    """How many of them."""
    block: JsonObject
    replaced: list[JsonObject]
    """The parent's blocks there; empty where it is the parent's own."""
    kl: float
    """How much the parent's output changes with it alone exchanged, in nats."""
    saved_ms: float | None
    """Predicted; None where no latency is known."""
    saved_macs: float

    @property
    def is_exchanged(self) -> bool:
        """Whether it is not the parent's own."""
        return bool(self.replaced)


@dataclass(frozen=True)
class FrontLine:
    """The network of the least summed KL for a budget, or another of the library, and what the run measured of it."""

    limit: float | None
    """The budget, in the metric of the front; None for a network that is not the best for any."""
    cost: float
    """Predicted, in the same."""
    kl: float
    exchanged: int
    """Blocks that are not the parent's own."""
    hash: str
    name: str = ""
    """Empty where the run did not try it."""
    latency: float | None = None
    """ms, measured."""
    accuracy: float | None = None
    """Measured on validation images after the short training of the run, of the parent as it is; 0 to 1, or None."""
    error: float | None = None
    """Standard error of the accuracy."""
    is_winner: bool = False


@dataclass(frozen=True)
class LibraryLines:
    """A run's library, as far as `library.json` tells it."""

    folder: str
    blocks: list[WinnerBlock]
    """Of the winner; empty where it has no block of the library."""
    metric: str
    """Of the front: `latency` (ms) or `macs`."""
    parent_cost: float
    depth: int
    """The parent's blocks in the stages of `blocks`."""
    front: list[FrontLine]
    """The most expensive first; among them the networks of the library that were trained and are not on it."""

    @property
    def exchanged(self) -> list[WinnerBlock]:
        """The winner's blocks that are not the parent's own."""
        return [block for block in self.blocks if block.is_exchanged]

    @property
    def kl(self) -> float:
        """Of the winner, summed."""
        return sum(block.kl for block in self.blocks)

    @property
    def saved_ms(self) -> float | None:
        """Of the winner, summed; None where no latency is known."""
        known = [block.saved_ms for block in self.exchanged if block.saved_ms is not None]
        return sum(known) if known else None


@dataclass(frozen=True)
class Tried:
    """What a run measured of networks that may be made of its library's blocks."""

    trials: Sequence[TrialLine] = ()
    specs: Mapping[str, Spec] = field(default_factory=dict)
    """Of the trials, by hash."""
    parent: ParentSummary | None = None


def library_lines(
    written: JsonObject,
    folder: Path,
    winner: Spec | None,
    tried: Tried | None = None,
) -> LibraryLines | None:
    """What `library.json` of the run in a folder tells; None where an earlier version kept no facts of the library.

    `winner` is None where there is none, or it did not begin with the library's blocks.

    Raises:
        ValueError: `library.json` holds something else, or blocks that this version cannot read.
    """
    kept = KeptNetworks.model_validate(written)
    if kept.facts is None:
        return None
    network = _Networks(kept.facts, parent_of(folder))
    blocks = [] if winner is None else network.blocks_of(winner)
    winner_hash = "" if winner is None else canonical_hash(winner)
    return LibraryLines(
        folder=kept.library,
        blocks=blocks,
        metric=kept.facts.front.metric,
        parent_cost=kept.facts.front.parent,
        depth=sum(block.span for block in blocks),
        front=_front(kept.facts, network, tried or Tried(), winner_hash),
    )


def library_only(folder: str, front: LibraryFront) -> LibraryLines:
    """The front of a library of which no run is told."""
    lines = [_front_line(point) for point in front.points]
    return LibraryLines(folder, [], front.metric, front.parent, 0, lines)


def front_of_run(library: Library) -> LibraryFront | None:
    """The front by latency that a run predicted of a library in its folder; None where there is no such run."""
    written = mapping(read_json(library.folder.absolute().parent / LIBRARY_FILE))
    try:
        facts = KeptNetworks.model_validate(written).facts if written else None
    except ValidationError:
        return None
    if facts is None or facts.front.metric != "latency":
        return None
    is_same = {each.key: each.kl for each in facts.alternatives} == {each.key: each.kl for each in library.usable}
    return facts.front if is_same else None


def read_library_lines(folder: Path, winner: Spec | None) -> LibraryLines | None:
    """The same for a run that has just ended; None too where it had no library, or the file cannot be read."""
    written = mapping(read_json(folder / LIBRARY_FILE))
    try:
        return library_lines(written, folder, winner) if written else None
    except ValueError:
        return None


class _Networks:
    """Networks by the library's blocks that make them up."""

    def __init__(self, facts: KeptFacts, parent: Spec | None) -> None:
        self.parent, self._kept = parent, {alternative.key: alternative for alternative in facts.alternatives}
        try:
            entries = [alternative.entry for alternative in facts.alternatives]
            self._covering = None if parent is None else Covering(parent, entries)
        except (ArchError, ValidationError) as error:
            raise ValueError(str(error)) from None

    def blocks_of(self, spec: Spec) -> list[WinnerBlock]:
        """Empty for a network without a block of the library."""
        if self.parent is None or self._covering is None:
            return []
        blocks = self._covering.blocks_of(spec) or ()
        if not any(block.key for block in blocks):
            return []
        places, lines = dict[str, int](), list[WinnerBlock]()
        for block in blocks:
            place = places[block.stage] = places.get(block.stage, -1) + 1
            alternative = None if block.key is None else self._kept[block.key]
            lines.append(_block(block, place, self.parent, spec, alternative))
        return lines


def _block(
    block: DerivedBlock, place: int, parent: Spec, winner: Spec, alternative: KeptAlternative | None
) -> WinnerBlock:
    theirs = _documents(parent, block.stage)[block.first : block.first + block.span]
    return WinnerBlock(
        stage=block.stage,
        place=place,
        first=block.first,
        span=block.span,
        block=_documents(winner, block.stage)[place],
        replaced=[] if alternative is None else theirs,
        kl=0.0 if alternative is None else alternative.kl,
        saved_ms=None if alternative is None else alternative.saved_ms,
        saved_macs=0.0 if alternative is None else alternative.saved_macs,
    )


def _documents(spec: Spec, stage: str) -> list[JsonObject]:
    node = spec.node(stage)
    return block_documents(node) if is_listable(node) else []


def _front(facts: KeptFacts, networks: _Networks, tried: Tried, winner_hash: str) -> list[FrontLine]:
    """The front, and what else of the library was trained, the most expensive first."""
    by_hash = {trial.hash: trial for trial in tried.trials}
    points = [
        _measured(_front_line(point, point.network_hash == winner_hash), by_hash.get(point.network_hash), tried.parent)
        for point in facts.front.points
    ]
    known = {point.hash for point in points}
    for trial in by_hash.values():
        if trial.accuracy is None or trial.hash in known or trial.hash not in tried.specs or not _has_begun(trial):
            continue
        if blocks := networks.blocks_of(tried.specs[trial.hash]):
            points.append(_measured(_beside(blocks, facts.front, trial.hash, winner_hash), trial))
    return sorted(points, key=lambda point: -point.cost)


def _has_begun(trial: TrialLine) -> bool:
    """Whether it began with the weights of the parent and the library."""
    return bool(trial.proxy.document.get("inherited_blocks"))


def _front_line(point: FrontPoint, is_winner: bool = False) -> FrontLine:
    replaced = len(point.exchanged)
    return FrontLine(point.limit, point.cost, point.kl, replaced, point.network_hash, is_winner=is_winner)


def _beside(blocks: list[WinnerBlock], front: LibraryFront, network_hash: str, winner_hash: str) -> FrontLine:
    """A network that is not the best for its cost."""
    saved = [(block.saved_ms or 0.0) if front.metric == "latency" else block.saved_macs for block in blocks]
    replaced, kl = sum(block.is_exchanged for block in blocks), sum(block.kl for block in blocks)
    cost, is_winner = front.parent - sum(saved), network_hash == winner_hash
    return FrontLine(None, cost, kl, replaced, network_hash, is_winner=is_winner)


def _measured(line: FrontLine, trial: TrialLine | None, parent: ParentSummary | None = None) -> FrontLine:
    """With what the run measured of it; the parent's own accuracy is known where its trial ended before a training."""
    is_parent = parent is not None and not line.exchanged
    if trial is not None and not (is_parent and trial.accuracy is None):
        return replace(line, name=trial.label, latency=trial.latency, accuracy=trial.accuracy, error=trial.proxy.error)
    if parent is not None and is_parent:
        known = parent.validation
        return replace(line, name=parent.name, latency=parent.latency_ms, accuracy=known.accuracy, error=known.error)
    return line
