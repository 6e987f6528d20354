"""Evolution in plain Optuna studies: `python benchmarks/sampler_plain.py`, some minutes on a laptop; no training.

Two problems, each with an accuracy to maximise, a latency to minimise and a latency budget as a constraint. "formula"
is synthetic: a made-up network whose accuracy and latency are formulas, with whole numbers, decimals, numbers by ratio,
categories and a parameter that only some categories have. "table" is the recorded space of `search_quality`; no sampler
is told more of its networks than their parameters. Every sampler is as it comes but for its seed; evolution also with
its latency modelled by the logarithm. Quality is the hypervolume inside the budget. Writes
benchmarks/results/sampler_plain.json: the hypervolume at the end for each seed, the medians, and for how many seeds
evolution is ahead.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many processes as cores

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler

from archdsl.search.propose.evolution import EvolutionSampler

RESULTS = Path(__file__).parent / "results" / "sampler_plain.json"
SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "EvolutionSampler": lambda seed: EvolutionSampler(seed),
    "EvolutionSampler, latency by its logarithm": lambda seed: EvolutionSampler(seed, log_objectives=[1]),
    "RandomSampler": lambda seed: RandomSampler(seed),
    "TPESampler": lambda seed: TPESampler(seed=seed),
    "NSGAIISampler": lambda seed: NSGAIISampler(seed=seed),
}
TRIALS = {"formula": 100, "table": 60}
BUDGET_MS = 10.0
"""Of the formula's networks, as a constraint."""
_COSTS = {"convolution": 1.0, "window": 1.6, "attention": 2.5}
_STRENGTHS = {"convolution": (1.0, 0.9, 0.6), "window": (0.7, 1.0, 0.9), "attention": (0.5, 0.9, 1.2)}
"""Of the mixers, by stage: convolutions early and attention late are worth most."""


class Share(NamedTuple):
    """How one sampler ended with one seed."""

    problem: str
    sampler: str
    seed: int
    hypervolume: float


def formula(trial: optuna.Trial) -> tuple[float, float]:
    """The accuracy and the latency, in ms, of a made-up network of three stages."""
    patch = trial.suggest_categorical("patch", [2, 4, 8])
    width = trial.suggest_int("width", 16, 128, step=8)
    expansion = trial.suggest_float("expansion", 1.0, 6.0, step=0.5)
    strength, cost, depths = 0.0, 0.3, 0
    for stage in range(3):
        mixer = trial.suggest_categorical(f"mixer{stage}", list(_COSTS))
        depth = trial.suggest_int(f"depth{stage}", 1, 8)
        window = trial.suggest_categorical(f"window{stage}", [4, 7, 14]) if mixer == "window" else 7
        places = (16 / patch / 2**stage) ** 2
        strength += _STRENGTHS[mixer][stage] * (1 - 0.1 * abs(math.log2(window / 7))) * math.log1p(depth)
        cost += 0.02 * depth * (_COSTS[mixer] * window / 7 + expansion / 4) * (width / 64) ** 1.5 * (1 + places)
        depths += depth
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    drop = trial.suggest_float("drop", 0.0, 0.5)
    capacity = strength * math.sqrt(width / 64) * expansion**0.25 * (1 + 2 / patch)
    trial.set_constraint("budget", cost / BUDGET_MS - 1)
    best_rate = 0.02 / math.sqrt(depths)
    lost = 0.04 * math.log10(rate / best_rate) ** 2 + 0.6 * (drop - 0.02 * depths / 2) ** 2
    return max(0.0, 0.95 * (1 - math.exp(-capacity / 5)) - lost), cost


def hypervolume(points: Sequence[tuple[float, float]]) -> float:
    """The share of the area from accuracy 0 to 1 and from 0 ms to the budget that points dominate."""
    area, best = 0.0, 0.0
    for accuracy, latency in sorted(points, key=lambda point: point[1]):
        if latency <= BUDGET_MS and accuracy > best:
            area += (BUDGET_MS - latency) * (accuracy - best)
            best = accuracy
    return area / BUDGET_MS


def on_formula(sampler: BaseSampler, trials: int) -> float:
    """The hypervolume at the end of a study of the formula."""
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.optimize(formula, n_trials=trials)
    return hypervolume([(trial.values[0], trial.values[1]) for trial in study.trials])


def on_table(sampler: BaseSampler, trials: int) -> float:
    """The hypervolume at the end of a study of the recorded space, as a share of that of the whole table."""
    sys.path.insert(0, str(Path(__file__).parent / "search_quality"))
    import compare
    import replay

    table = replay.read_table()
    budget_ms = compare.budget_of(table, 50)
    evaluations = compare.plain(sampler, table, budget_ms, trials)[:trials]
    rows = [table[evaluation.hash] for evaluation in evaluations if evaluation.is_trained]
    return float(compare.hypervolume(rows, budget_ms) / compare.hypervolume(table.values(), budget_ms))


PROBLEMS: dict[str, Callable[[BaseSampler, int], float]] = {"formula": on_formula, "table": on_table}


def run(problem: str, sampler: str, seed: int) -> Share:
    """One sampler on one problem with one seed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    end = PROBLEMS[problem](SAMPLERS[sampler](seed), TRIALS[problem])
    return Share(problem, sampler, seed, round(end, 4))


def summary(shares: Sequence[Share]) -> dict[str, Any]:
    """Every sampler's median, extremes and ends by seed, and for how many seeds the first is ahead of each other."""
    ends = {
        name: [share.hypervolume for share in sorted(shares, key=lambda share: share.seed) if share.sampler == name]
        for name in SAMPLERS
    }
    first, *others = SAMPLERS
    return {
        "trials": TRIALS[shares[0].problem],
        "samplers": {
            name: {
                "median": round(statistics.median(volumes), 4),
                "least": min(volumes),
                "most": max(volumes),
                "hypervolumes": volumes,
            }
            for name, volumes in ends.items()
        },
        "evolution_is_ahead_of": {
            name: sum(volume > rival for volume, rival in zip(ends[first], ends[name], strict=True)) for name in others
        },
    }


def table(result: Mapping[str, Any]) -> str:
    """The medians and how often evolution is ahead, as the page of the documentation has them."""
    lines = ["| problem | trials | sampler | median hypervolume | evolution ahead |", "|---|---|---|---|---|"]
    for problem, outcome in result["problems"].items():
        for name, ends in outcome["samplers"].items():
            ahead = outcome["evolution_is_ahead_of"].get(name)
            of = "" if ahead is None or name.startswith("Evolution") else f"{ahead} of {result['seeds']}"
            lines.append(f"| {problem} | {outcome['trials']} | {name} | {ends['median']:.3f} | {of} |")
    return "\n".join(lines) + "\n"


def _text(result: Mapping[str, Any]) -> str:
    """As JSON, a line for each list of numbers."""
    lists = re.compile(r"\[\s+([^\[\]{}]*?)\s+\]")
    return lists.sub(lambda numbers: f"[{' '.join(numbers[1].split())}]", json.dumps(result, indent=1)) + "\n"


def main() -> None:
    asked = _arguments()
    jobs = [(problem, name, seed) for problem in asked.problems for name in SAMPLERS for seed in range(asked.seeds)]
    with ProcessPoolExecutor(asked.processes) as pool:
        shares = list(pool.map(run, *zip(*jobs, strict=True)))
    result = {
        "what": "hypervolume at the end of plain Optuna studies, by sampler and seed; nothing is trained",
        "command": "python benchmarks/sampler_plain.py",
        "seeds": asked.seeds,
        "versions": {name: version(name) for name in ("archdsl", "optuna", "numpy", "scipy")},
        "problems": {
            problem: summary([share for share in shares if share.problem == problem]) for problem in asked.problems
        },
    }
    asked.results.write_text(_text(result))
    for problem in asked.problems:
        for name in SAMPLERS:
            volumes = [share.hypervolume for share in shares if (share.problem, share.sampler) == (problem, name)]
            least, most, middle = min(volumes), max(volumes), statistics.median(volumes)
            print(f"{problem:8} {name:42} median {middle:.4f} [{least:.4f}, {most:.4f}]")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--processes", type=int)
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
