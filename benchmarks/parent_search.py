"""Does a search with the parent that ships beat a hand-made network? `python benchmarks/parent_search.py`.

A search as a user runs it (`--latency-budget 2ms --time 6m`), and three rivals that were fixed beforehand: the three
best published backbones of benchmarks/results/search_and_zoo.json, at the widths and patches that they have there, with
fewer blocks until their median latency in ONNX Runtime keeps the budget. Each rival is trained by `archdsl train` for
all the time that the search has. Accuracies are those of the files, on the same held-out images; the difference of the
winner and the best rival stands with its standard error over paired images. With `--no-library` a search that trains no
replacement blocks for its parent stands beside them, with `--none` one without a parent. Rows are kept as they are
made, and a run goes on where an earlier one stopped; on one machine nothing else should run. Writes
benchmarks/results/parent_search.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import archdsl
from archdsl.language.document import Spec
from archdsl.language.text.writing import dump
from archdsl.latency.provenance import provenance
from archdsl.training.accuracy import unpacked
from archdsl.weights import read_facts

RESULTS = Path(__file__).parent / "results" / "parent_search.json"
RIVALS = {"litv2_s-0.25-2": (4, 2), "litv2_s-0.50-4": (2, 4), "litv2_s-0.33-4": (3, 4)}
"""Of the three best of search_and_zoo.json by held-out accuracy what widths are divided by, and the patch. A width and
a patch stand there once: with fewer blocks two of one width are one network.
"""
DEPTHS = ((1, 1, 3, 1), (1, 1, 2, 1), (1, 1, 1, 1))

Row = dict[str, Any]


def main() -> None:
    asked = _arguments()
    result: Row = json.loads(asked.results.read_text()) if asked.results.exists() else {}
    result = result or {
        "what": "held-out accuracy of a search's winner with a parent, and of rivals trained for as many seconds",
        "asked": {"budget_ms": asked.budget_ms, "time_s": asked.time_s, "data": asked.data},
        "provenance": provenance("cpu", "float32", 1, "onnxruntime", 1).as_json(),
        "rows": {},
    }
    jobs: dict[str, Callable[[Path], Row]] = {}
    for seed in asked.seeds:
        jobs[f"parent-{seed}"] = partial(_search, asked, seed, [])
        if asked.run is not None and seed == asked.seeds[0]:
            jobs[f"parent-{seed}"] = lambda place: _row(asked.run)
        if asked.no_library:
            jobs[f"no_library-{seed}"] = partial(_search, asked, seed, ["--library", "none"])
        if asked.none:
            jobs[f"none-{seed}"] = partial(_search, asked, seed, ["--parent", "none"])
        rivals = {} if asked.no_rivals else RIVALS
        jobs |= {f"{name}-{seed}": partial(_rival, asked, seed, rival) for name, rival in rivals.items()}
    for name, job in jobs.items():
        if name not in result["rows"]:
            with tempfile.TemporaryDirectory() as place:
                result["rows"][name] = job(Path(place))
            result["compared"] = _compared(result["rows"], asked.seeds)
            asked.results.write_text(json.dumps(result, indent=1) + "\n")
            print(name, {key: result["rows"][name].get(key) for key in ("held_out", "ms", "seconds")}, flush=True)


def _search(asked: argparse.Namespace, seed: int, more: list[str], place: Path) -> Row:
    """A search with an empty cache, and what its winner's file says."""
    command = [sys.executable, "-m", "archdsl", "search", "--latency-budget", f"{asked.budget_ms}ms", "--device", "cpu"]
    command += ["--time", f"{asked.time_s}s", "--data", asked.data, "--seed", str(seed), "--out", "run", *more]
    subprocess.run(command, cwd=place, env={**os.environ, "ARCHDSL_CACHE": str(place / "cache")}, check=False)
    return _row(place / "run")


def _row(run: Path) -> Row:
    """What the folder of a search tells."""
    verdict = json.loads((run / "verdict.json").read_text())
    kept = {
        "seconds": "seconds",
        "verdict": "verdict",
        "ms": "latency",
        "interval_ms": "interval_ms",
        "trials": "trials",
    }
    row = {name: verdict[key] for name, key in kept.items()} | {"parent": verdict.get("parent")}
    weights = run / "winner.safetensors"
    return row | (_stated(weights) if weights.exists() else {"held_out": None})


def _rival(asked: argparse.Namespace, seed: int, rival: tuple[int, int], place: Path) -> Row:
    """A published backbone in the budget, trained for the search's time."""
    spec, ms = _within(rival, asked.budget_ms)
    (place / "spec.json").write_text(dump(spec))
    command = [sys.executable, "-m", "archdsl", "train", "spec.json", "--data", asked.data, "--seed", str(seed)]
    started = time.monotonic()
    subprocess.run([*command, "--time", f"{asked.time_s}s", "-o", "out.safetensors"], cwd=place, check=True)
    row = {"seconds": round(time.monotonic() - started, 1), "ms": ms}
    return row | _stated(place / "out.safetensors")


def _within(rival: tuple[int, int], budget_ms: float) -> tuple[Spec, float]:
    """The backbone with as many blocks as keep the budget, and its median latency."""
    divided, patch = rival
    for depths in DEPTHS:
        spec = _litv2(divided, patch, depths)
        ms = archdsl.measure(spec, runtime="onnxruntime", threads=1, least_s=2.0).p50_ms
        if ms <= budget_ms:
            return spec, ms
    raise SystemExit(f"LITv2-S with widths over {divided} keeps {budget_ms} ms at no depth")


def _litv2(divided: int, patch: int, depths: tuple[int, int, int, int]) -> Spec:
    """LITv2-S for 20 classes at 64 px, narrower and with fewer blocks."""
    changes = ["image=64", "classes=20", f"stem.patch={patch}", f"stem.width={96 // divided}", "drop_path=0"]
    changes += [f"merge{place}.width={96 * 2**place // divided}" for place in (1, 2, 3)]
    changes += [f"stage3.heads={12 // divided}", f"stage4.heads={24 // divided}"]
    changes += [f"stage{place}.depth={depth}" for place, depth in enumerate(depths, 1)]
    return archdsl.override(archdsl.load_spec("litv2_s"), changes)


def _stated(file: Path) -> Row:
    facts = read_facts(file).accuracy
    assert facts is not None
    assert facts.held_out is not None
    spec = archdsl.load_spec(file)
    return {
        "network": spec.to_json(),
        "params": archdsl.count(spec).params,
        "data": facts.data.fingerprint,
        "validation": facts.validation.accuracy,
        "held_out": facts.held_out.accuracy,
        "error": facts.held_out.standard_error,
        "images": facts.held_out.images,
        "answers": facts.held_out.answers,
    }


def _compared(rows: Row, seeds: list[int]) -> Row:
    """The winner of each seed against the best rival of that seed, and against the search without a parent."""
    compared: Row = {}
    for seed in seeds:
        mine = rows.get(f"parent-{seed}")
        if not mine or not mine.get("answers"):
            continue
        rivals = {name: row for name, row in rows.items() if name.endswith(f"-{seed}") and name != f"parent-{seed}"}
        named = {name: row for name, row in rivals.items() if row.get("answers") and row["data"] == mine["data"]}
        compared[str(seed)] = {name: _difference(mine, row) for name, row in named.items()}
    return compared


def _difference(mine: Row, other: Row) -> Row:
    """Of two accuracies on the same images, with its standard error over pairs."""
    first, second = (unpacked(row["answers"], row["images"]) for row in (mine, other))
    gained = sum(a and not b for a, b in zip(first, second, strict=True))
    lost = sum(b and not a for a, b in zip(first, second, strict=True))
    n = len(first)
    error = math.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
    return {"difference": (gained - lost) / n, "error": error, "is_above": gained - lost > 2 * error * n}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget-ms", type=float, default=2.0)
    parser.add_argument("--time-s", type=int, default=360)
    parser.add_argument("--data", default="shapetex")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--run", type=Path, help="folder of a finished search with the first seed, as `make search` leaves"
    )
    parser.add_argument("--no-library", action="store_true", help="a search with --library none too")
    parser.add_argument("--no-rivals", action="store_true", help="searches alone")
    parser.add_argument("--none", action="store_true", help="a search without a parent too")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
