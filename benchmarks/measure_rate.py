"""Candidates that a search measures or rejects in a minute: `python benchmarks/measure_rate.py`.

Networks are drawn from a shipped space and measured once for the gate, which is their median latency: half of them lie
inside it, as far as two readings agree. Then each is measured at that gate as a search does it, in one worker that
stays alive, and the time of that is told, building included. Writes benchmarks/results/measure_rate.json.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any

from archdsl.latency import default_device, default_runtime
from archdsl.load.spaces import load_space
from archdsl.search.config import Settings
from archdsl.search.defaults import default_space, settings_of
from archdsl.search.evaluate.measuring import Measured, measure
from archdsl.search.network import Network
from archdsl.search.policy import SHIPPED
from archdsl.search.propose.candidates import random_candidate
from archdsl.search.request import SettingsRequest
from archdsl.search.store.clock import Clock
from archdsl.search.worker.process import Worker
from archdsl.spaces.variables import variables

RESULTS = Path(__file__).parent / "results" / "measure_rate.json"


def main() -> None:
    asked = _arguments()
    device = asked.device or default_device()
    runtime = asked.runtime or default_runtime(device)
    space = load_space(asked.space or default_space(device))
    settings = settings_of(space, SettingsRequest(device=device, runtime=runtime, threads=asked.threads))
    networks = drawn(settings, asked.networks)
    with Worker() as worker:
        first = [_timed(worker, network, settings, None)[0] for network in networks]
        gate_ms = statistics.median(reading.ms for reading in first)
        began = time.monotonic()
        rows = [_timed(worker, network, settings, gate_ms) for network in networks]
        seconds = time.monotonic() - began
    inside = [reading.ms <= gate_ms for reading, _ in rows]
    result = {
        "what": "candidates measured or rejected a minute at a gate that half of them keep, building included",
        "asked": {"space": space.name, "networks": len(networks), "device": device, "runtime": runtime},
        "per_minute": 60 * len(rows) / seconds,
        "seconds": {"all": seconds, "inside": _mean(rows, inside, True), "rejected": _mean(rows, inside, False)},
        "gate_ms": gate_ms,
        "inside": sum(inside),
        "same_side_in_both_readings": sum(
            (network.ms <= gate_ms) == now for network, now in zip(first, inside, strict=True)
        ),
        "unstable_readings": sum(bool(reading.measurement.unstable) for reading, _ in rows),
        "rounds": {"median": statistics.median(reading.measurement.rounds or 0 for reading, _ in rows)},
        "provenance": rows[-1][0].measurement.provenance,
    }
    text = json.dumps(result, indent=2)
    asked.results.write_text(text + "\n")
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--space")
    parser.add_argument("--device")
    parser.add_argument("--runtime")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def drawn(settings: Settings, count: int) -> list[Network]:
    """Different networks of the space, by seed 0."""
    space, generator, seen = settings.space_document, random.Random(0), set[str]()
    networks: list[Network] = []
    by_name, policy = variables(space.nodes), SHIPPED.drawing
    while len(networks) < count and (drawn := random_candidate(space, by_name, settings, seen, generator, policy)):
        networks.append(drawn[0])
        seen.add(drawn[0].network_hash)
    return networks


def _timed(worker: Worker, network: Network, settings: Settings, gate_ms: float | None) -> tuple[Measured, float]:
    """A reading at the gate, and the seconds that it took."""
    began = time.monotonic()
    reading = measure(worker, network.spec, settings, SHIPPED, Clock(settings, SHIPPED), gate_ms)
    return reading, time.monotonic() - began


def _mean(rows: list[tuple[Any, float]], inside: list[bool], wanted: bool) -> float | None:
    seconds = [spent for (_, spent), is_inside in zip(rows, inside, strict=True) if is_inside is wanted]
    return statistics.mean(seconds) if seconds else None


if __name__ == "__main__":
    main()
