"""How busy the machine was while a search measured: said when it is noticed, and once more at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

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
        return f"{self.readings} of {self.of} readings were disturbed by other processes on this machine"


class MachineLoad:
    """Counts readings, and tells of a busy machine the first time, and whenever it is busy again after it was not."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._readings, self._disturbed, self._is_busy = tell, 0, 0, False

    def note(self, facts: Mapping[str, Any]) -> None:
        """One reading, by what it tells of its rounds."""
        rounds, undisturbed = facts.get("rounds"), facts.get("undisturbed")
        self._readings += 1
        is_busy = rounds is not None and undisturbed is not None and undisturbed < _LEAST_SHARE * rounds
        self._disturbed += is_busy
        if is_busy and not self._is_busy:
            others = (facts.get("provenance") or {}).get("other_cores")
            beside = f"other processes keep {others:.1f} cores busy; " if others is not None else ""
            self._tell(f"the machine is busy: {beside}{undisturbed} of {rounds} rounds were undisturbed")
        self._is_busy = is_busy

    @property
    def disturbed(self) -> Disturbed:
        """So far."""
        return Disturbed(self._disturbed, self._readings)
