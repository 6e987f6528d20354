"""Readings of possible winners, kept in the run's folder, so that a resumed search pools them with its own."""

from __future__ import annotations

from pathlib import Path

from archdsl.latency.provenance import Provenance
from archdsl.latency.result import Latency
from archdsl.search.config import Conditions
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.run_schema import ReadingFile

FILE = "final_readings.json"
_NOTED_AS = {"optimize": "optimized"}
"""How the provenance of a latency calls a condition, where it has a name of its own."""
_FORMS = ("features_only", "optimized")
"""What the provenance of a latency says only where it is so."""


class FinalReadings:
    """The final readings of one run, by the file that was measured."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def of(self, weights: Path, setting: Conditions, machine: Provenance | None) -> list[Latency]:
        """What was read of a file under a setting, a process each; on this machine, where it is known.

        Raises:
            SearchError: the file of readings is damaged.
        """
        latencies = [_latency(reading) for reading in self._read().get(weights.name, [])]
        return [latency for latency in latencies if _is_under(latency, setting, machine)]

    def add(self, weights: Path, latency: Latency) -> None:
        """Keep one more process's reading of a file."""
        kept = self._read()
        reading = ReadingFile(
            name=latency.name,
            samples_ms=[round(ms, 5) for ms in latency.samples],
            disturbed=sorted(latency.disturbed),
            provenance=latency.provenance,
            turns=[*latency.turns],
        )
        kept[weights.name] = [*kept.get(weights.name, []), reading]
        self._folder.write(
            FILE, {name: [reading.model_dump() for reading in readings] for name, readings in kept.items()}
        )

    def _read(self) -> dict[str, list[ReadingFile]]:
        return self._folder.read(FILE, dict[str, list[ReadingFile]]) or {}


def _latency(reading: ReadingFile) -> Latency:
    samples, turns = tuple(reading.samples_ms), tuple(reading.turns)
    return Latency(reading.name, samples, reading.provenance, frozenset(reading.disturbed), turns)


def _is_under(latency: Latency, setting: Conditions, machine: Provenance | None) -> bool:
    """Whether a reading was taken under a setting, on this device with this version of torch."""
    noted = latency.provenance
    if machine is not None and (noted.get("device_name"), noted.get("torch")) != (machine.device_name, machine.torch):
        return False
    asked = {_NOTED_AS.get(name, name): value for name, value in setting.items()}
    return all(noted.get(name, False if name in _FORMS else None) == value for name, value in asked.items())
