"""What a run keeps of its library in `library.json`: enough to tell of it after the library was moved or deleted."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, JsonValue

from archdsl.deriving.library.facts import Entry
from archdsl.deriving.library.front import LibraryFront

LIBRARY_FILE = "library.json"


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class KeptNetwork(_Kept):
    """A solved network. what: which one. blocks: stage, first position, span and key; no key for the parent's own.
    scale: by which its predicted latency was corrected.
    """

    what: str
    limit_ms: float | None
    tries: int
    scale: float = 1.0
    blocks: tuple[tuple[str, int, int, str | None], ...]


class KeptAlternative(_Kept):
    """An alternative as the library's index has it, and what a network saves with it alone exchanged.

    kl: in nats. saved_ms: predicted ms, None where no latency is known. Both savings are negative where it costs more.
    """

    key: str
    stage: str
    first: int
    span: int
    block: dict[str, JsonValue]
    kl: float
    saved_ms: float | None
    saved_macs: float

    @property
    def entry(self) -> Entry:
        """As an entry of the index."""
        return Entry(
            key=self.key,
            stage=self.stage,
            first=self.first,
            span=self.span,
            block=self.block,
            state="fitted",
            kl=self.kl,
        )


class KeptFacts(_Kept):
    """The alternatives of the library that were not left out, and its front: by latency, or by MACs where no latency is
    known.
    """

    alternatives: tuple[KeptAlternative, ...]
    front: LibraryFront


class KeptNetworks(_Kept):
    """`library.json`. library: its folder. measured: MACs, operators and ms of networks to which the formula of
    latencies was fitted. facts: None in a run of an earlier version.
    """

    library: str
    networks: tuple[KeptNetwork, ...]
    measured: tuple[tuple[float, float, float], ...] = ()
    depth_cut: dict[str, JsonValue] | None = None
    facts: KeptFacts | None = None
