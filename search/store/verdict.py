"""What became of the promise: whether the winner keeps the budget, and which numbers decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from archdsl.language.document import Spec
from archdsl.search.store.reading import Reading
from archdsl.search.store.winner import AttemptSummary, Tie, WinnerAccuracy, Word
from archdsl.search.trial import Trial


class Verdict(NamedTuple):
    """What became of the promise."""

    verdict: Word | None
    """None on a machine that only trains."""
    reason: str | None
    """One sentence with the numbers that decided."""
    spec: Spec | None
    """The winner; without one the nearest miss, or None if nothing was measured."""
    record: Trial | None
    """The network's."""
    reading: Reading | None = None
    """As measured again in fresh processes; None where it was not."""
    attempts: Sequence[AttemptSummary] = ()
    """Every network that could have been the winner, in the order of trying."""
    accuracy: WinnerAccuracy | None = None
    """Of the weights that are handed over."""
    ties: Sequence[Tie] = ()
    """Networks whose accuracy cannot be told from the winner's."""
    weights: str | None = None
    """The file of the winner's weights; None where a stored result is read."""
    stored_latency: float | None = None
    """What an earlier version stored as the statistic, in ms, which kept no reading."""

    @property
    def passed(self) -> bool:
        """Whether the promise is kept."""
        return self.verdict == "PASS"

    @property
    def has_winner(self) -> bool:
        """Whether a winner is handed over: it passed, or was measured again and may pass."""
        return self.verdict == "PASS" or (self.verdict == "UNSURE" and self.reading is not None)

    @property
    def latency(self) -> float | None:
        """The statistic, in ms, as measured again; of a nearest miss that was not, as in its trial."""
        if self.reading is not None:
            return self.reading.value_ms
        if self.stored_latency is not None:
            return self.stored_latency
        return None if self.record is None else self.record.latency_ms
