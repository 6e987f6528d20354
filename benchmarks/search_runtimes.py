"""Is it worth searching in the runtime that is deployed? `python benchmarks/search_runtimes.py --seeds 0 1 2`.

Two searches a seed, with equally many trials: one in ONNX Runtime, whose budget is `--budget`, and one in PyTorch
eager, whose budget is the eager latency that the same share of a sample of the space's points keeps. The winner of each
is then exported and measured in ONNX Runtime, side by side in one process; accuracies are those of the files, on
held-out images. A row a seed is kept as it is made, and a run goes on where an earlier one stopped. Writes
benchmarks/results/search_runtimes.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import archdsl
from archdsl.errors import SpecError
from archdsl.latency import compare
from archdsl.latency.provenance import provenance
from archdsl.load.specs import spec_of
from archdsl.spaces.sampling import broken, random_point

RESULTS = Path(__file__).parent / "results" / "search_runtimes.json"
RUNTIMES = ("onnxruntime", "eager")

Row = dict[str, Any]


def main() -> None:
    asked = _arguments()
    result: Row = json.loads(asked.results.read_text()) if asked.results.exists() else {}
    if not result:
        result = {
            "what": "winners of searches in ONNX Runtime and in PyTorch eager at budgets of equal share, both measured "
            "in ONNX Runtime",
            "asked": {name: value for name, value in vars(asked).items() if name not in ("results", "seeds")},
            "provenance": provenance("cpu", "float32", 1, "onnxruntime", 1).as_json(),
            "sample": _sample(asked.space, asked.points, asked.budget_ms),
            "seeds": {},
        }
        _write(asked.results, result)
    budgets = {"onnxruntime": asked.budget_ms, "eager": result["sample"]["eager_budget_ms"]}
    for seed in asked.seeds:
        if str(seed) not in result["seeds"]:
            result["seeds"][str(seed)] = _both(asked, budgets, seed)
            _write(asked.results, result)
    print(json.dumps(result["seeds"], indent=1))


def _sample(space_name: str, number: int, budget_ms: float) -> Row:
    """The latencies of points drawn from the space in both runtimes, and the eager budget of equal share."""
    space, generator = archdsl.load_space(space_name), random.Random(0)
    rows: list[dict[str, float]] = []
    while len(rows) < number:
        point = random_point(space, generator)
        try:
            if any(broken(space, point)):
                continue
            spec = spec_of(point.document)
        except SpecError:
            continue
        rows.append({runtime: archdsl.measure(spec, runtime=runtime, threads=1).p50_ms for runtime in RUNTIMES})
    inside = sum(row["onnxruntime"] <= budget_ms for row in rows)
    eager = sorted(row["eager"] for row in rows)
    if not 0 < inside < number:
        raise SystemExit(f"{inside} of {number} points keep {budget_ms:g} ms: choose another budget")
    between = statistics.mean(eager[inside - 1 : inside + 1])
    return {"points": number, "inside": inside, "eager_budget_ms": round(between, 3), "latencies_ms": rows}


def _both(asked: argparse.Namespace, budgets: dict[str, float], seed: int) -> Row:
    """The two searches of a seed, and their winners side by side."""
    with tempfile.TemporaryDirectory() as place:
        searched = {
            runtime: _search(asked, Path(place) / runtime, runtime, budgets[runtime], seed) for runtime in RUNTIMES
        }
        files = {
            runtime: _exported(Path(place) / runtime / "run", Path(place) / f"{runtime}.onnx")
            for runtime, row in searched.items()
            if row["winner"]
        }
        measured = compare(files, runtime="onnxruntime", threads=1, stat="p50", least_s=5.0) if files else None
    for runtime in files:
        assert measured is not None
        searched[runtime]["onnxruntime_p50_ms"] = measured.latencies[runtime].p50_ms
    return searched


def _search(asked: argparse.Namespace, place: Path, runtime: str, budget_ms: float, seed: int) -> Row:
    """One search as a user runs it, with an empty cache."""
    place.mkdir()
    command = [sys.executable, "-m", "archdsl", "search", asked.space, "--device", "cpu", "--runtime", runtime]
    command += ["--latency-budget", f"{budget_ms}ms", "--trials", str(asked.trials), "--seed", str(seed)]
    command += ["--time", asked.time, "--threads", "1", "--out", "run"]
    started = time.monotonic()
    code = subprocess.run(
        command, cwd=place, env={**os.environ, "ARCHDSL_CACHE": str(place / "cache")}, check=False
    ).returncode
    verdict = json.loads((place / "run" / "verdict.json").read_text())
    has_winner = (place / "run" / "winner.safetensors").exists()
    return {
        "exit_code": code,
        "seconds": round(time.monotonic() - started, 1),
        "budget_ms": budget_ms,
        "verdict": verdict["verdict"],
        "trials": verdict["trials"],
        "value_ms": verdict["value_ms"],
        "interval_ms": verdict["interval_ms"],
        "held_out": verdict["held_out"],
        "winner": json.loads((place / "run" / "winner.json").read_text()) if has_winner else None,
    }


def _exported(run: Path, file: Path) -> Path:
    archdsl.export(archdsl.load_model(run / "winner.safetensors"), file)
    return file


def _write(file: Path, result: Row) -> None:
    file.write_text(json.dumps(result, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="lit-dat-64")
    parser.add_argument("--budget-ms", type=float, default=1.5, help="in ONNX Runtime")
    parser.add_argument("--points", type=int, default=24, help="of the space, measured in both runtimes")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--time", default="15m", help="limit of each search")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
