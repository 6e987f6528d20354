"""What a report tells of the run's library: which blocks it replaced in the winner, and its front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from archdsl.deriving.library.covering import Covering, DerivedBlock
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
    """The network of the least summed KL for a budget, and what the run measured of it."""

    limit: float
    """The budget, in the metric of the front."""
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


def library_lines(
    written: JsonObject,
    folder: Path,
    winner: Spec | None,
    trials: Sequence[TrialLine] = (),
    summary: ParentSummary | None = None,
) -> LibraryLines | None:
    """What `library.json` of the run in a folder tells; None where an earlier version kept no facts of the library.

    `winner` is None where there is none, or it did not begin with the library's blocks; `trials` are those of the run
    that may stand on the front, `summary` is what it measured of its parent.

    Raises:
        ValueError: `library.json` holds something else, or blocks that this version cannot read.
    """
    kept = KeptNetworks.model_validate(written)
    if kept.facts is None:
        return None
    front, tried = kept.facts.front, {trial.hash: trial for trial in trials}
    blocks = [] if winner is None else _blocks_of(winner, parent_of(folder), kept.facts)
    winner_hash = "" if winner is None else canonical_hash(winner)
    return LibraryLines(
        folder=kept.library,
        blocks=blocks,
        metric=front.metric,
        parent_cost=front.parent,
        depth=sum(block.span for block in blocks),
        front=[_front_line(point, tried.get(point.network_hash), summary, winner_hash) for point in front.points],
    )


def library_only(folder: str, front: LibraryFront) -> LibraryLines:
    """The front of a library of which no run is told."""
    lines = [_front_line(point) for point in front.points]
    return LibraryLines(folder, [], front.metric, front.parent, 0, lines)


def read_library_lines(folder: Path, winner: Spec | None) -> LibraryLines | None:
    """The same for a run that has just ended; None too where it had no library, or the file cannot be read."""
    written = mapping(read_json(folder / LIBRARY_FILE))
    try:
        return library_lines(written, folder, winner) if written else None
    except ValueError:
        return None


def _blocks_of(winner: Spec, parent: Spec | None, facts: KeptFacts) -> list[WinnerBlock]:
    """Empty for a network without a block of the library."""
    if parent is None:
        return []
    kept = {alternative.key: alternative for alternative in facts.alternatives}
    try:
        blocks = Covering(parent, [alternative.entry for alternative in kept.values()]).blocks_of(winner) or ()
    except (ArchError, ValidationError) as error:
        raise ValueError(str(error)) from None
    if not any(block.key for block in blocks):
        return []
    places = dict[str, int]()
    lines = []
    for block in blocks:
        place = places[block.stage] = places.get(block.stage, -1) + 1
        lines.append(_block(block, place, parent, winner, None if block.key is None else kept[block.key]))
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


def _front_line(
    point: FrontPoint, trial: TrialLine | None = None, parent: ParentSummary | None = None, winner_hash: str = ""
) -> FrontLine:
    line = FrontLine(point.limit, point.cost, point.kl, len(point.exchanged), point.network_hash)
    line = replace(line, is_winner=point.network_hash == winner_hash)
    if trial is not None:
        return replace(line, name=trial.label, latency=trial.latency, accuracy=trial.accuracy, error=trial.proxy.error)
    if parent is not None and not point.exchanged:
        known = parent.validation
        return replace(line, name=parent.name, latency=parent.latency_ms, accuracy=known.accuracy, error=known.error)
    return line
