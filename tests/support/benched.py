"""A benchmark of three networks whose samples are made."""

from __future__ import annotations

from archdsl.latency import Comparison, Latency
from archdsl.latency.provenance import provenance

STEADY = tuple(10 + 0.01 * (number % 5) for number in range(20))


def synthetic(again: float = 1.002) -> Comparison:
    facts = provenance("cpu", "float32", 1, "eager", 2).as_json()
    facts |= {"device_name": "Some CPU @ 2 GHz", "torch": "2.13.0", "omp_wait_policy": "default"}
    facts |= {"rounds": 20, "image": [3, 224, 224], "cpu_share": 1.8}
    factors = {"litv2_s": 1.0, "fast": 0.5, "slow": 1.0}
    items = {name: Latency(name, tuple(factor * ms for ms in STEADY), facts) for name, factor in factors.items()}
    return Comparison("p10", items, Latency("A/A", tuple(again * ms for ms in STEADY), facts))
