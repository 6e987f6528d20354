"""Readings of possible winners, kept in the run's folder, so that a resumed search pools them with its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archdsl.latency.result import Latency
from archdsl.search.store.folder import RunFolder

FILE = "final_readings.json"


class FinalReadings:
    """The final readings of one run, by the file that was measured."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def of(self, weights: Path, setting: Mapping[str, Any]) -> list[Latency]:
        """What was read of a file under a setting, a process each.

        Raises:
            SearchError: the file of readings is damaged.
        """
        kept = (self._folder.read(FILE) or {}).get(weights.name, [])
        latencies = [
            Latency(
                reading["name"], tuple(reading["samples_ms"]), reading["provenance"], frozenset(reading["disturbed"])
            )
            for reading in kept
        ]
        return [latency for latency in latencies if _is_of(latency, setting)]

    def add(self, weights: Path, latency: Latency) -> None:
        """Keep one more process's reading of a file."""
        kept = self._folder.read(FILE) or {}
        reading = {
            "name": latency.name,
            "samples_ms": [round(ms, 5) for ms in latency.samples],
            "disturbed": sorted(latency.disturbed),
            "provenance": latency.provenance,
        }
        self._folder.write(FILE, kept | {weights.name: [*kept.get(weights.name, []), reading]})


def _latency(reading: Mapping[str, Any]) -> Latency:
    samples, disturbed = tuple(reading["samples_ms"]), frozenset(reading["disturbed"])
    return Latency(reading["name"], samples, reading["provenance"], disturbed)


def _is_of(latency: Latency, setting: Mapping[str, Any]) -> bool:
    """Whether a reading holds for a setting."""
    return all(latency.provenance.get(name) == value for name, value in setting.items())
