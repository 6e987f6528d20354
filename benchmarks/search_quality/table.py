"""The recorded table: every network of a small space with its latency, its scores and its training.

`python benchmarks/search_quality/table.py --measure`, on a quiet machine, then `--train --workers 2`. Both can be
broken off and go on where they were: a line a network in `table.json` beside this file. Each is scored and trained as a
trial of a search is, trained on one thread, so that a search can be replayed from the table (`replay.py`). Latencies
are of one thread too, but of networks side by side in the same rounds, which repeats better than one after another.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any, TypedDict

from archdsl.runtimes.setting import WAITING

os.environ.update({**WAITING, **os.environ})  # before torch is imported

from archdsl.errors import SpecError
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.latency import STATS, compare
from archdsl.load.spaces import load_space, point
from archdsl.search.config import Settings
from archdsl.search.loaded_data import DataRequest
from archdsl.search.worker.process import Worker
from archdsl.search.worker.training_messages import ScoreRequest, TrainRequest
from archdsl.spaces.space import Space
from archdsl.spaces.variables import variables
from archdsl.training.fidelity import Fidelity

HERE = Path(__file__).parent
SPACE, TABLE = HERE / "space.json", HERE / "table.json"
PASSES, TOGETHER = 3, 21
"""Readings of each latency, of which the faster is kept, as a search keeps it; networks measured side by side."""

Row = dict[str, Any]


class Table(TypedDict):
    """Where it was recorded, and a row a network."""

    provenance: dict[str, Any]
    rows: list[Row]


def main() -> None:
    asked = _arguments()
    space = load_space(SPACE)
    settings, specs = settings_of(space), networks(space)
    table = read() if TABLE.exists() else Table(provenance={}, rows=[{"hash": network_hash} for network_hash in specs])
    print(f"{len(specs)} networks")
    if asked.measure:
        _measure(table, specs, settings)
    if asked.train:
        _train(table, specs, settings, asked.workers)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    return parser.parse_args()


def settings_of(space: Space, **others: Any) -> Settings:
    """Of a search of the recorded space, as the table was recorded."""
    document = json.loads(SPACE.read_bytes())
    return Settings(**{"space": document, "device": "cpu", "stat": "p10", "threads": 1, "trials": 1, **others})


def networks(space: Space) -> dict[str, Spec]:
    """Every network of the space by its hash, classes and channels those of the data."""
    specs = dict[str, Spec]()
    by_name = variables(space.nodes)
    for values in product(*(variable.values for variable in by_name.values())):
        try:
            spec, _ = point(space, dict(zip(by_name, values, strict=True)).__getitem__)
        except SpecError:
            continue
        specs.setdefault(canonical_hash(spec), spec)
    return specs


def read() -> Table:
    """What was recorded so far."""
    table: Table = json.loads(TABLE.read_bytes())
    return table


def write(table: Table) -> None:
    """Keep the table, a line a network; it is never there in part."""
    lines = ",\n".join(json.dumps(row) for row in table["rows"])
    fresh = TABLE.with_suffix(".new")
    fresh.write_text(f'{{"provenance": {json.dumps(table["provenance"])}, "rows": [\n{lines}\n]}}\n')
    fresh.replace(TABLE)


def _measure(table: Table, specs: Mapping[str, Spec], settings: Settings) -> None:
    """The latency of every network, `PASSES` times: some side by side in the same rounds, in an order of chance."""
    generator, rows = random.Random(0), {row["hash"]: row for row in table["rows"]}
    for number in range(PASSES):
        order = generator.sample(list(rows), len(rows))
        for group in (order[begin : begin + TOGETHER] for begin in range(0, len(order), TOGETHER)):
            asked = [
                network_hash for network_hash in group if len(rows[network_hash].setdefault("readings", [])) == number
            ]
            if not asked:
                continue
            began, items = time.monotonic(), {network_hash: specs[network_hash] for network_hash in asked}
            compared = compare(items, **settings.measuring(), warmup_s=0.05, settle_s=0.2)
            seconds = round((time.monotonic() - began) / len(asked), 3)
            for network_hash, latency in compared.latencies.items():
                kept = {f"{stat}_ms": round(latency.stat(stat), 4) for stat in STATS}
                rows[network_hash]["readings"].append(kept | {"seconds": seconds})
                table["provenance"] = latency.provenance
            write(table)
        print(f"measured {number + 1} of {PASSES} times", flush=True)


def _train(table: Table, specs: Mapping[str, Spec], settings: Settings, workers: int) -> None:
    """Scores, and a training as a search's trial has it, of every network."""
    rows = table["rows"]
    left, lock = iter([row for row in rows if "training" not in row]), Lock()
    fidelity = Fidelity(settings.epochs, settings.images)
    data = DataRequest(settings.data, 64, settings.seed, settings.images)

    def work(_: int) -> None:
        with Worker() as worker:
            for row in _shared(left, lock):
                spec = specs[row["hash"]].to_json()
                scored = worker.ask(ScoreRequest(spec, data, settings.seed, "cpu"), 600.0)
                length = fidelity.epochs, fidelity.batch, fidelity.images
                trained = worker.ask(TrainRequest(spec, data, *length, settings.seed, "cpu", 1), 3600.0)
                outcome = {name: getattr(trained.outcome, name) for name in _KEPT}
                with lock:
                    row["scores"], row["score_seconds"] = scored.scores, sum(scored.seconds.values())
                    row["training"] = outcome | {"fidelity": str(fidelity)}
                    write(table)
                    done = sum("training" in row for row in rows)
                    print(f"{done} of {len(rows)}: {outcome['accuracy']:.3f} in {outcome['seconds']:.1f} s", flush=True)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))


_KEPT = ("accuracy", "error", "loss", "held_out", "running", "seconds", "steps")


def _shared(left: Iterator[Row], lock: Lock) -> Iterator[Row]:
    """What several threads take from together."""
    while True:
        with lock:
            row = next(left, None)
        if row is None:
            return
        yield row


if __name__ == "__main__":
    main()
