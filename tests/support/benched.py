"""A benchmark of three networks whose samples are made."""

from __future__ import annotations

from archdsl.latency import Comparison, Latency

STEADY = tuple(10 + 0.01 * (number % 5) for number in range(20))


def synthetic(again: float = 1.002) -> Comparison:
    facts = {"device_name": "Some CPU @ 2 GHz", "batch": 1, "dtype": "float32", "runtime": "eager", "threads": 2}
    facts |= {"torch": "2.13.0", "driver": None, "rounds": 20, "image": [3, 224, 224], "cpu_share": 1.8}
    factors = {"litv2_s": 1.0, "fast": 0.5, "slow": 1.0}
    items = {name: Latency(name, tuple(factor * ms for ms in STEADY), facts) for name, factor in factors.items()}
    return Comparison("p10", items, Latency("A/A", tuple(again * ms for ms in STEADY), facts))
