"""How busy the machine was while a search measured: said when it is noticed, and once more at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from archdsl.latency.result import Latency

_LEAST_SHARE = 0.75
"""Of the rounds, below which a reading counts as disturbed."""


class Disturbed(NamedTuple):
    """Readings of a search that were disturbed, of all its readings."""

    readings: int
    of: int

    def __str__(self) -> str:
        """One sentence; empty where no reading was disturbed."""
        if not self.readings:
            return ""
        were = "was" if self.readings == 1 else "were"
        return f"{self.readings} of {self.of} readings {were} disturbed (under 75 % of their rounds were undisturbed)"


class MachineLoad:
    """Counts readings, and tells of a busy machine the first time, and whenever it is busy again after it was not."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._readings, self._disturbed, self._is_busy = tell, 0, 0, False
        self.now = ""
        """What the last reading said of a busy machine; empty where it was quiet."""

    def note(self, facts: Mapping[str, Any]) -> None:
        """One reading, by what it tells of its rounds."""
        rounds, undisturbed = facts.get("rounds"), facts.get("undisturbed")
        self._readings += 1
        is_busy = rounds is not None and undisturbed is not None and undisturbed < _LEAST_SHARE * rounds
        self._disturbed += is_busy
        if is_busy and not self._is_busy:
            self._tell(_told(facts))
        self._is_busy = is_busy
        self.now = _told(facts) if is_busy else ""

    def note_latency(self, latency: Latency) -> None:
        """One reading of a winner."""
        rounds = latency.rounds
        facts = {"rounds": len(rounds.ms), "undisturbed": sum(rounds.undisturbed)}
        self.note(facts | {"provenance": latency.provenance})

    @property
    def disturbed(self) -> Disturbed:
        """So far."""
        return Disturbed(self._disturbed, self._readings)


def _told(facts: Mapping[str, Any]) -> str:
    others = (facts.get("provenance") or {}).get("other_cores")
    beside = f"other processes keep {others:.1f} cores busy; " if others is not None else ""
    return f"the machine is busy: {beside}{facts['undisturbed']} of {facts['rounds']} rounds were undisturbed"
