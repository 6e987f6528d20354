"""How wrong predicted latencies are: `python benchmarks/lut_error.py --device cpu --threads 1`.

Builds the tables of a space with an empty cache, as `archdsl lut build` does, which gives the error on whole networks
held out, measured side by side with the parts in the same rounds. Then other networks are measured one by one in a
fresh process, as a search measures its candidates, each twice: the second reading says how far measuring itself can be
believed. Rates are networks a minute by wall time, drawing and checking them included. Writes
benchmarks/results/lut_error.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from archdsl.runtimes.setting import WAITING

os.environ.update({**WAITING, **os.environ})  # before torch is imported

from archdsl import load_space
from archdsl.errors import SpecError
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.latency.stats import STATS
from archdsl.latency.tables import Table, accuracy, build_tables
from archdsl.load.spaces import draw, point
from archdsl.search.worker.messages import HelloRequest, MeasureRequest, MeasuringSetting
from archdsl.search.worker.process import Worker
from archdsl.spaces.space import Space
from archdsl.spaces.variables import variables

RESULTS = Path(__file__).parent / "results" / "lut_error.json"
GOALS = {"mape": 0.05, "p95": 0.10, "kendall_tau": 0.9, "predicted_a_minute": 10_000, "measured_a_minute": 20}


def main() -> None:
    asked = _arguments()
    space = load_space(asked.space)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["ARCHDSL_CACHE"] = cache
        pace: Any = {"calibration": asked.calibration, "held_out": asked.held_out, "rounds": asked.rounds}
        tables = build_tables(space, asked.device, asked.batch, threads=asked.threads, **pace, notify=print)
    plain = next(iter(tables.values()))
    result = {
        "what": "latencies predicted from the times of parts against measured ones, relative error",
        "asked": {name: value for name, value in vars(asked).items() if name != "results"},
        "goals": GOALS,
        "made": plain.made._asdict(),
        "held_out": {stat: _told(table) for stat, table in tables.items()},
        "one_by_one": _one_by_one(space, tables, asked.networks),
        "predicted_a_minute": round(_rate(space, plain)),
        "rows": {stat: [row._asdict() for row in tables[stat].held_out] for stat in ("min", "p10", "p50")},
        "provenance": plain.provenance.as_json(),
    }
    text = json.dumps(result, indent=2)
    asked.results.write_text(text + "\n")
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="lit-dat-64")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calibration", type=int, default=16)
    parser.add_argument("--held-out", type=int, default=32)
    parser.add_argument("--networks", type=int, default=20, help="measured one by one")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def _told(table: Table) -> dict[str, Any]:
    """Errors on the networks held out, the noise of measuring them, and the calibration."""
    return {**table.accuracy._asdict(), "noise": table.noise, "calibration": table.calibration._asdict()}


def _one_by_one(space: Space, tables: dict[str, Table], networks: int) -> dict[str, Any]:
    """Other networks measured as a search does, in two rounds over all of them."""
    table = next(iter(tables.values()))
    held_out = {row.hash for row in table.held_out}
    specs = [spec for spec in _drawn(space, 4 * networks) if canonical_hash(spec) not in held_out][:networks]
    setting = {name: value for name, value in table.setting._asdict().items() if name != "stat"}
    with Worker() as worker:
        worker.ask(HelloRequest(MeasuringSetting(**setting)), 300.0)
        started = time.monotonic()
        first, second = ([_asked(worker, spec, setting) for spec in specs] for _ in range(2))
        seconds = time.monotonic() - started
    errors = {}
    for stat, each in tables.items():
        predicted = [each.predict(spec) for spec in specs]
        once, twice = ([reading[f"{stat}_ms"] for reading in readings] for readings in (first, second))
        errors[stat] = {
            "against_first": accuracy(predicted, once)._asdict(),
            "against_faster": accuracy(predicted, [min(pair) for pair in zip(once, twice, strict=True)])._asdict(),
            "measured_again": accuracy(twice, once)._asdict(),
        }
    return {"errors": errors, "measured_a_minute": round(60 * 2 * len(specs) / seconds, 1)}


def _asked(worker: Worker, spec: Spec, setting: dict[str, Any]) -> dict[str, Any]:
    """Every statistic of one network, in ms."""
    reply = worker.ask(MeasureRequest(spec.to_json(), MeasuringSetting(**setting)), 900.0)
    latency = reply.latency.latency(spec.name)
    return {f"{stat}_ms": latency.stat(stat) for stat in STATS}


def _rate(space: Space, table: Table, networks: int = 1000) -> float:
    """Networks drawn, checked and predicted a minute."""
    started = time.monotonic()
    for spec in _drawn(space, networks, seed=2):
        table.predict(spec)
    return 60 * networks / (time.monotonic() - started)


def _drawn(space: Space, networks: int, seed: int = 1) -> list[Spec]:
    """Different networks of the space."""
    generator, by_name, specs = random.Random(seed), variables(space.nodes), dict[str, Spec]()
    while len(specs) < networks:
        choices = {name: draw(variable, generator) for name, variable in by_name.items()}
        try:
            spec, _ = point(space, choices.__getitem__)
        except SpecError:
            continue
        specs.setdefault(canonical_hash(spec), spec)
    return list(specs.values())


if __name__ == "__main__":
    main()
