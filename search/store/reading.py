"""What a verdict rests on, as it is printed and stands in `verdict.json`: numbers, and their conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import JsonValue, TypeAdapter

from archdsl.json_types import Json, JsonObject
from archdsl.latency.result import Latency
from archdsl.timing.estimate import STATS, Estimate, percentile

_VERSIONS = ("torch", "cuda", "driver", "python", "archdsl", "os")


class Reading(NamedTuple):
    """A latency in ms a batch, pooled over fresh processes."""

    value_ms: float
    """The statistic over the undisturbed rounds; over all rounds where none is."""
    interval_ms: tuple[float, float] | None
    """None where no round was undisturbed."""
    latency_ms: dict[str, float]
    """min, p10, p50 and p90 over the undisturbed rounds."""
    all_rounds_ms: dict[str, float]
    """The same over all rounds."""
    rounds: int
    undisturbed: int
    processes: int
    calls: int
    """Calls a round."""
    conditions: dict[str, JsonValue]

    @classmethod
    def of(cls, latencies: Sequence[Latency], estimate: Estimate | None, stat: str, conditions: JsonObject) -> Reading:
        """The reading of fresh processes, one latency each."""
        every = [ms for latency in latencies for ms in latency.samples]
        counting = [ms for latency in latencies for ms in latency.rounds.counting]
        over_all = _statistics(every)
        over_counting = _statistics(counting or every)
        return cls(
            over_counting[stat] if estimate is None else estimate.value,
            None if estimate is None else (estimate.low, estimate.high),
            over_counting,
            over_all,
            len(every),
            len(counting),
            len(latencies),
            latencies[0].noted.calls,
            conditions,
        )

    @classmethod
    def from_json(cls, outcome: Mapping[str, JsonValue]) -> Reading | None:
        """As `verdict.json` holds it; None where it holds none, as those of earlier versions.

        Raises:
            ValidationError: a part is of another type.
        """
        if outcome.get("value_ms") is None:
            return None
        facts = {name: outcome.get(name) for name in cls._fields}
        statistics = outcome.get("latency_ms")
        if isinstance(statistics, dict):
            facts["latency_ms"] = {name: value for name, value in statistics.items() if name != "all_rounds"}
            facts["all_rounds_ms"] = statistics.get("all_rounds")
        return _READING.validate_python(facts)

    def as_json(self) -> JsonObject:
        """The keys of `verdict.json`."""
        facts: JsonObject = self._asdict()
        del facts["all_rounds_ms"]
        facts["interval_ms"] = None if self.interval_ms is None else list(self.interval_ms)
        facts["latency_ms"] = {**self.latency_ms, "all_rounds": dict(self.all_rounds_ms)}
        return facts


_READING = TypeAdapter(Reading)

NO_READING: JsonObject = dict.fromkeys(name for name in Reading._fields if name != "all_rounds_ms")
"""The same keys where nothing was measured again."""


def conditions_of(latencies: Sequence[Latency], stat: str) -> JsonObject:
    """What a reading holds under: the setting, the environment, and how busy the machine was, the worst of it."""
    first, noted = latencies[0].provenance, [latency.noted for latency in latencies]
    loads = [taken.load_average[0] for taken in noted if taken.load_average]
    shares = [taken.cpu_share for taken in noted if taken.cpu_share is not None]
    others = [taken.other_cores for taken in noted if taken.other_cores is not None]
    slowed = [taken.slowed for taken in noted if taken.slowed is not None]
    gpu_processes: list[Json] = [*sorted({name for taken in noted for name in taken.gpu_processes or ()})]
    names = ("threads", "batch", "dtype", "runtime", "device", "device_name", *_VERSIONS)
    return {
        "stat": stat,
        **{name: first.get(name) for name in names},
        **({"target": first["target"]} if first.get("target") else {}),
        **({"features_only": True} if first.get("features_only") else {}),
        **({"optimized": True} if first.get("optimized") else {}),
        **({"file": first["file"]} if "file" in first else {}),
        "inference_mode": "file" not in first,
        "environment": first.get("environment") or {},
        "load": max(loads, default=None),
        "cpu_share": min(shares, default=None),
        "other_cores": max(others, default=None),
        "gpu_processes": gpu_processes or None,
        "slowed_rounds": sum(slowed) if slowed else None,
    }


def _statistics(samples: Sequence[float]) -> dict[str, float]:
    return {name: percentile(samples, percent) for name, percent in STATS.items()}
