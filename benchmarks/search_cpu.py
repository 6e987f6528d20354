"""What a search on a CPU is worth: `python benchmarks/search_cpu.py --trials 40 --budget 5ms --seeds 0`.

Runs `archdsl search` as a user would, once a seed, with an empty cache. Afterwards the winner is measured again in some
fresh processes, and every network that was trained once more; both are told as the share inside the budget. Networks
are counted by their canonical hash, so that a duplicate would show. Writes benchmarks/results/search_cpu.json.
search_cpu_20.json is of twenty short searches: `--seeds 0 1 2 ... 19 --trials 8 --epochs 0.4 --images 400 --again 3`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from archdsl.language.canonical import canonical_hash
from archdsl.load.specs import spec_of
from archdsl.search.config import Settings
from archdsl.search.evaluate.measuring import measure
from archdsl.search.policy import SHIPPED
from archdsl.search.store.clock import Clock
from archdsl.search.worker.process import Worker

RESULTS = Path(__file__).parent / "results" / "search_cpu.json"

Record = dict[str, Any]


def main() -> None:
    asked = _arguments()
    runs = [_run(asked, seed) for seed in asked.seeds]
    result = {
        "what": "archdsl search on a CPU, from the command line; latencies measured again after the search",
        "asked": {name: value for name, value in vars(asked).items() if name != "results"},
        "winners_inside": _share(run["winner_again_inside"] for run in runs),
        "trained_inside": _share(run["trained_again_inside"] for run in runs),
        "duplicates": sum(run["duplicates"] for run in runs),
        "hypervolume": {"median": statistics.median(run["hypervolume"] for run in runs)},
        "runs": runs,
    }
    text = json.dumps(result, indent=2)
    asked.results.write_text(text + "\n")
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--budget", default="5ms")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--space", default="lit-dat-64")
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--again", type=int, default=5, help="fresh processes that measure the winner again")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def _run(asked: argparse.Namespace, seed: int) -> Record:
    """One search, and what is measured of it afterwards."""
    with tempfile.TemporaryDirectory() as place:
        started = time.monotonic()
        code = _search(asked, seed, Path(place))
        seconds = time.monotonic() - started
        folder = Path(place) / "run"
        records = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
        settings = Settings.model_validate_json((folder / "run.json").read_bytes())
        verdict = json.loads((folder / "verdict.json").read_text())
        front = json.loads((folder / "front.json").read_text())
    trials = [record for record in records if record["rung"] != "train_longer"]
    trained = [record for record in trials if record["accuracy"] is not None]
    winner = next((record for record in trials if verdict["passed"] and record["hash"] == verdict["hash"]), None)
    winner_ms = [_again([winner], settings)[0] for _ in range(asked.again)] if winner else []
    trained_ms = _again(trained, settings)
    hashes = [canonical_hash(spec_of(record["spec"])) for record in trials]
    return {
        "seed": seed,
        "exit_code": code,
        "passed": verdict["passed"],
        "seconds": round(seconds, 1),
        "trials": len(trials),
        "outcomes": dict(Counter(record["outcome"] for record in trials)),
        "duplicates": len(hashes) - len(set(hashes)),
        "winner": winner and {name: winner[name] for name in ("params", "macs", "latency", "accuracy")},
        "winner_again_ms": winner_ms,
        "winner_again_inside": [ms <= settings.latency_budget_ms for ms in winner_ms if settings.latency_budget_ms],
        "trained_ms": [record["latency"] for record in trained],
        "trained_again_ms": trained_ms,
        "trained_again_inside": [ms <= settings.latency_budget_ms for ms in trained_ms if settings.latency_budget_ms],
        "fidelity": trained[0]["provenance"]["proxy"]["fidelity"] if trained else None,
        "front": [[record["latency"], record["accuracy"]] for record in front],
        "hypervolume": hypervolume(front, settings.latency_budget_ms or 0.0),
        "provenance": verdict["attempts"][0]["provenance"]["provenance"] if verdict["attempts"] else verdict["device"],
    }


def _search(asked: argparse.Namespace, seed: int, place: Path) -> int:
    """The search as a user runs it; its exit code."""
    command = [sys.executable, "-m", "archdsl", "search", asked.space, "--device", "cpu", "--out", "run"]
    command += ["--latency-budget", asked.budget, "--trials", str(asked.trials), "--seed", str(seed)]
    command += ["--epochs", str(asked.epochs), "--images", str(asked.images)]
    environment = {**os.environ, "ARCHDSL_CACHE": str(place / "cache")}
    return subprocess.run(command, cwd=place, env=environment, check=False).returncode


def _again(records: list[Record], settings: Settings) -> list[float]:
    """The statistic of each network, in ms, all measured in one fresh process as a trial is."""
    with Worker() as fresh:
        clock = Clock(settings, SHIPPED)
        return [measure(fresh, spec_of(record["spec"]), settings, SHIPPED, clock).ms for record in records]


def hypervolume(front: list[Record], budget_ms: float) -> float:
    """The area that a front dominates, of accuracy above 0 and latency below the budget; 1 would be all of it."""
    area, edge = 0.0, budget_ms
    for record in sorted(front, key=lambda record: -record["latency"]):
        area += (edge - record["latency"]) * record["accuracy"]
        edge = record["latency"]
    return area / budget_ms if budget_ms else 0.0


def _share(inside: Iterable[list[bool]]) -> dict[str, Any]:
    every = [reading for run in inside for reading in run]
    return {"inside": sum(every), "of": len(every), "share": sum(every) / len(every) if every else None}


if __name__ == "__main__":
    main()
