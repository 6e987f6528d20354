"""How busy the machine was while a search measured: said when it is noticed, and once more at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from archdsl.json_types import JsonObject
from archdsl.latency.result import Latency
from archdsl.search.measurement import Measurement

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

    def note(self, measurement: Measurement) -> None:
        """One reading of a candidate."""
        self._note(measurement.rounds, measurement.undisturbed, measurement.provenance)

    def note_latency(self, latency: Latency) -> None:
        """One reading of a winner."""
        self._note(len(latency.rounds.ms), sum(latency.rounds.undisturbed), latency.provenance)

    def _note(self, rounds: int | None, undisturbed: int | None, provenance: JsonObject | None) -> None:
        is_busy = rounds is not None and undisturbed is not None and undisturbed < _LEAST_SHARE * rounds
        text = f"the machine is busy: {_neighbours(provenance or {})}{undisturbed} of {rounds} rounds were undisturbed"
        self._readings += 1
        self._disturbed += is_busy
        if is_busy and not self._is_busy:
            self._tell(text)
        self._is_busy = is_busy
        self.now = text if is_busy else ""

    @property
    def disturbed(self) -> Disturbed:
        """So far."""
        return Disturbed(self._disturbed, self._readings)


def _neighbours(provenance: JsonObject) -> str:
    cores, slowed = provenance.get("other_cores"), provenance.get("slowed")
    causes = [f"other processes keep {cores:.1f} cores busy"] if isinstance(cores, int | float) else []
    if isinstance(slowed, int) and slowed:
        rounds = "1 round" if slowed == 1 else f"{slowed} rounds"
        causes.append(f"the processor ran slower than usual in {rounds}")
    return "".join(f"{cause}; " for cause in causes)
