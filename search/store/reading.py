"""What a verdict rests on, as it is printed and stands in `verdict.json`: numbers, and their conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from archdsl.latency.result import Latency
from archdsl.timing.estimate import STATS, Estimate, percentile

_VERSIONS = ("torch", "cuda", "driver", "python", "archdsl", "os")


class Reading(NamedTuple):
    """A latency in ms a batch, pooled over fresh processes."""

    value_ms: float
    """The statistic over the undisturbed rounds; over all rounds where none is."""
    interval_ms: tuple[float, float] | None
    """None where no round was undisturbed."""
    latency_ms: dict[str, Any]
    """min, p10, p50 and p90 over the undisturbed rounds; `all_rounds`: the same over all."""
    rounds: int
    undisturbed: int
    processes: int
    calls: int
    """Calls a round."""
    conditions: dict[str, Any]

    @classmethod
    def of(
        cls, latencies: Sequence[Latency], estimate: Estimate | None, stat: str, conditions: dict[str, Any]
    ) -> Reading:
        """The reading of fresh processes, one latency each."""
        every = [ms for latency in latencies for ms in latency.samples]
        counting = [ms for latency in latencies for ms in latency.rounds.counting]
        over_all = _statistics(every)
        over_counting = _statistics(counting or every)
        return cls(
            over_counting[stat] if estimate is None else estimate.value,
            None if estimate is None else (estimate.low, estimate.high),
            {**over_counting, "all_rounds": over_all},
            len(every),
            len(counting),
            len(latencies),
            int(latencies[0].provenance.get("calls", 1)),
            conditions,
        )

    @classmethod
    def from_json(cls, outcome: Mapping[str, Any]) -> Reading | None:
        """As `verdict.json` holds it; None where it holds none, as those of earlier versions."""
        if outcome.get("value_ms") is None:
            return None
        interval = outcome["interval_ms"]
        values = {name: outcome[name] for name in cls._fields if name != "interval_ms"}
        return cls(interval_ms=None if interval is None else (interval[0], interval[1]), **values)

    def as_json(self) -> dict[str, Any]:
        """The keys of `verdict.json`."""
        return self._asdict() | {"interval_ms": None if self.interval_ms is None else list(self.interval_ms)}


NO_READING: dict[str, Any] = dict.fromkeys(Reading._fields)
"""The same keys where nothing was measured again."""


def conditions_of(latencies: Sequence[Latency], stat: str) -> dict[str, Any]:
    """What a reading holds under: the setting, the environment, and how busy the machine was, the worst of it."""
    facts = [latency.provenance for latency in latencies]
    first = facts[0]
    loads = [taken["load_average"][0] for taken in facts if taken.get("load_average")]
    shares = [taken["cpu_share"] for taken in facts if taken.get("cpu_share") is not None]
    others = [taken["other_cores"] for taken in facts if taken.get("other_cores") is not None]
    names = ("threads", "batch", "dtype", "runtime", "device", "device_name", *_VERSIONS)
    return {
        "stat": stat,
        **{name: first.get(name) for name in names},
        "inference_mode": True,
        "environment": first.get("environment") or {},
        "load": max(loads, default=None),
        "cpu_share": min(shares, default=None),
        "other_cores": max(others, default=None),
        "gpu_processes": sorted({name for taken in facts for name in taken.get("gpu_processes") or ()}) or None,
    }


def _statistics(samples: Sequence[float]) -> dict[str, float]:
    return {name: percentile(samples, percent) for name, percent in STATS.items()}
