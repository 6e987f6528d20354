"""Search quality on the recorded table: `python benchmarks/search_quality/compare.py`, some minutes on a laptop.

Every optimiser is given the same number of evaluations, once a seed. An evaluation is a network whose latency was
measured, trained or not; what is no network of the space costs nobody anything. archdsl's searches are the real ones
with a worker that answers from the table. Plain Optuna is told by `set_constraint` how far a network is over the budget
and is not made to train it: it gets the mean accuracy of the others in its place, as archdsl's samplers do. It may ask
for a network again, which costs it an evaluation as it would in use; the rows "repeats free" tell what it reaches where
that costs neither an evaluation nor seconds, asked three times as often at most. The row "by hand" is what who does not
search would try: LIT, LITv2 and DAT in the forms that the space has, at each of its scales, the largest first. Quality
is the hypervolume of the networks that were trained inside the budget, as a share of that of all networks in the table:
accuracy above chance, latency below the budget. Seconds are those recorded for measuring, scoring and training, with an
optimiser's own as they pass here; studies are kept in memory. Writes benchmarks/results/search_quality.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many processes as cores, before torch is imported

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from replay import Evaluation, cost_of, latency_of, read_table, replayed
from table import SPACE, Row, read

from archdsl.errors import SpecError
from archdsl.language.canonical import canonical_hash
from archdsl.load.spaces import load_space, point
from archdsl.search.propose.distributions import as_places, choices
from archdsl.spaces.variables import variables

RESULTS = Path(__file__).parents[1] / "results" / "search_quality.json"
OURS = ("auto", "tpe", "nsga2")
"""Of `--sampler`; `gp` takes a second a proposal, and is compared where it is named."""
PLAIN: dict[str, Callable[[int], BaseSampler]] = {
    "Optuna TPE": lambda seed: TPESampler(seed=seed),
    "Optuna NSGA-II": lambda seed: NSGAIISampler(seed=seed),
    "Optuna NSGA-II, 20 a generation": lambda seed: NSGAIISampler(population_size=20, seed=seed),
    "random": lambda seed: RandomSampler(seed=seed),
}
RIVALS = tuple(name for name in PLAIN if name != "random")
FREE = ", repeats free"
BY_HAND = {
    "LIT": {"stage1": "mlp", "stage2": "mlp", "stage3": "attention", "merge": "deformable_merge"},
    "LITv2": {"stage1": "mlp", "stage2": "mlp", "stage3": "hilo", "merge": "deformable_merge"},
    "DAT": {"stage1": "windows", "stage2": "windows", "stage3": "window_deformable", "merge": "conv_merge"},
}
"""The published backbones as choices of the recorded space, but for their scale."""
CHANCE = 1 / 20
MOST_REPEATS = 3
"""Times the evaluations that plain Optuna is asked, for as many different networks."""

Result = dict[str, Any]


def main() -> None:
    asked = _arguments()
    table = read_table()
    budget_ms = budget_of(table, asked.percentile)
    jobs = [(name, seed) for seed in range(asked.seeds) for name in (*asked.optimisers, *PLAIN)]
    with ProcessPoolExecutor(asked.processes) as pool:
        runs = list(pool.map(_run, *zip(*((*job, budget_ms, asked.evaluations) for job in jobs), strict=True)))
    most = hypervolume(table.values(), budget_ms)
    by_label = {"by hand": [_curve(_by_hand(table, budget_ms), table, budget_ms, most)]}
    for (name, _), evaluations in zip(jobs, runs, strict=True):
        label = name if name in PLAIN else f"archdsl {name}"
        by_label.setdefault(label, []).append(_curve(evaluations[: asked.evaluations], table, budget_ms, most))
        if name in RIVALS:
            different = _without_repeats(evaluations)[: asked.evaluations]
            by_label.setdefault(label + FREE, []).append(_curve(different, table, budget_ms, most))
    result = {
        "what": "hypervolume inside a latency budget over evaluations, replayed from a table of trained networks",
        "command": "python benchmarks/search_quality/compare.py",
        "asked": {name: value for name, value in vars(asked).items() if name != "results"},
        "networks": len(table),
        "budget_ms": budget_ms,
        "inside": sum(latency_of(row) <= budget_ms for row in table.values()),
        "hypervolume_of_the_table": most,
        "recorded_on": read()["provenance"],
        "versions": {name: version(name) for name in ("archdsl", "optuna", "torch")},
        "optimisers": {name: _told(curves) for name, curves in by_label.items()},
        "against": {name: _against(by_label, name) for name in by_label if name.startswith(("Optuna", "by hand"))},
    }
    asked.results.write_text(_text(result))
    _show(result)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--percentile", type=int, default=50, help="of the table's latencies: the budget")
    parser.add_argument("--optimisers", nargs="+", default=list(OURS))
    parser.add_argument("--processes", type=int)
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def budget_of(table: Mapping[str, Row], percentile: int) -> float:
    """The latency, in ms, that so many percent of the networks keep."""
    return round(statistics.quantiles(map(latency_of, table.values()), n=100)[percentile - 1], 2)


def _run(name: str, seed: int, budget_ms: float, evaluations: int) -> list[Evaluation]:
    """One optimiser with one seed."""
    table = read_table()
    if name in PLAIN:
        return plain(PLAIN[name](seed), table, budget_ms, evaluations)
    return replayed(table, budget_ms, evaluations, seed, sampler=name)


def plain(sampler: BaseSampler, table: Mapping[str, Row], budget_ms: float, evaluations: int) -> list[Evaluation]:
    """Optuna as it comes, with both objectives and the budget as a constraint."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space, evaluated, spent, started = load_space(SPACE), list[Evaluation](), 0.0, time.monotonic()
    parameters = {name: as_places(variable) for name, variable in variables(space.nodes).items()}
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    accuracies = list[float]()
    while (
        len({evaluation.hash for evaluation in evaluated}) < evaluations and len(evaluated) < MOST_REPEATS * evaluations
    ):
        trial = study.ask()
        chosen = choices(trial, parameters)
        try:
            row = table[canonical_hash(point(space, chosen.__getitem__)[0])]
        except SpecError:
            trial.set_constraint("budget", 1.0)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            continue
        latency, accuracy = latency_of(row), row["training"]["accuracy"]
        trial.set_constraint("budget", latency / budget_ms - 1)
        if is_inside := latency <= budget_ms:
            accuracies.append(accuracy)
        study.tell(trial, (accuracy if is_inside else statistics.mean(accuracies or [0.0]), latency))
        spent += cost_of(row, is_measured_only=not is_inside, is_scored=False)
        evaluated.append(Evaluation(row["hash"], spent + time.monotonic() - started, is_inside))
    return evaluated


def _by_hand(table: Mapping[str, Row], budget_ms: float) -> list[Evaluation]:
    """Every published backbone at every scale."""
    space, evaluated, spent = load_space(SPACE), list[Evaluation](), 0.0
    by_name = variables(space.nodes)
    for width, depth, kind in product(by_name["w"].values[::-1], by_name["d3"].values[::-1], BY_HAND.values()):
        chosen = {**kind, "w": width, "d3": depth}
        row = table[canonical_hash(point(space, chosen.__getitem__)[0])]
        is_inside = latency_of(row) <= budget_ms
        spent += cost_of(row, is_measured_only=not is_inside, is_scored=False)
        evaluated.append(Evaluation(row["hash"], spent, is_inside))
    return evaluated


def _without_repeats(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The first of each network, in order, and the seconds without those of the others."""
    first_of_each, before, spent = dict[str, Evaluation](), 0.0, 0.0
    for evaluation in evaluations:
        if evaluation.hash not in first_of_each:
            spent += evaluation.seconds - before
            first_of_each[evaluation.hash] = evaluation._replace(seconds=spent)
        before = evaluation.seconds
    return list(first_of_each.values())


def hypervolume(rows: Any, budget_ms: float) -> float:
    """The area that networks inside the budget dominate, of accuracy above chance and latency below the budget."""
    area, best = 0.0, CHANCE
    inside = sorted((latency_of(row), row["training"]["accuracy"]) for row in rows)
    for latency, accuracy in inside:
        if latency <= budget_ms and accuracy > best:
            area += (budget_ms - latency) * (accuracy - best)
            best = accuracy
    return area / budget_ms


def _curve(evaluations: Sequence[Evaluation], table: Mapping[str, Row], budget_ms: float, most: float) -> Result:
    """The share of the table's hypervolume after each evaluation, and the seconds by then."""
    trained, shares = list[Row](), list[float]()
    for evaluation in evaluations:
        if evaluation.is_trained:
            trained.append(table[evaluation.hash])
        shares.append(round(hypervolume(trained, budget_ms) / most, 4))
    hashes = [evaluation.hash for evaluation in evaluations]
    return {
        "shares": shares,
        "seconds": [round(evaluation.seconds, 1) for evaluation in evaluations],
        "trained": len(trained),
        "duplicates": len(hashes) - len(set(hashes)),
        "best_accuracy": max((row["training"]["accuracy"] for row in trained), default=0.0),
    }


def _told(curves: list[Result]) -> Result:
    """Medians over the seeds, and every curve."""
    ends = [curve["shares"][-1] for curve in curves]
    return {
        "share_at_the_end": {"median": statistics.median(ends), "least": min(ends), "most": max(ends)},
        "share_at_half": statistics.median(_at(curve["shares"], 0.5) for curve in curves),
        "seconds": statistics.median(curve["seconds"][-1] for curve in curves),
        "duplicates": statistics.mean(curve["duplicates"] for curve in curves),
        "best_accuracy": statistics.median(curve["best_accuracy"] for curve in curves),
        "curves": curves,
    }


def _at(shares: Sequence[float], part: float) -> float:
    return shares[max(0, round(part * len(shares)) - 1)]


def _against(by_label: Mapping[str, list[Result]], rival: str) -> Result:
    """After what part of a rival's evaluations, and of its seconds, the median of each other one is where it ends."""
    evaluations = max(len(curve["shares"]) for curve in by_label[rival])
    end = statistics.median(curve["shares"][-1] for curve in by_label[rival])
    took = statistics.median(curve["seconds"][-1] for curve in by_label[rival])
    parts = Result()
    for name, curves in by_label.items():
        needed = [_first(curve, end) for curve in curves]
        count = statistics.median_high(math.inf if index is None else index + 1 for index in needed)
        second = statistics.median_high(
            math.inf if index is None else curve["seconds"][index] for index, curve in zip(needed, curves, strict=True)
        )
        parts[name] = {
            "reached_by": f"{sum(index is not None for index in needed)} of {len(curves)} seeds",
            "evaluations": None if count == math.inf else round(count / evaluations, 3),
            "seconds": None if second == math.inf else round(second / took, 3),
        }
    return {"its_share_at_the_end": end, "part_needed": parts}


def _first(curve: Result, share: float) -> int | None:
    return next((index for index, reached in enumerate(curve["shares"]) if reached >= share), None)


def _text(result: Result) -> str:
    """As JSON, a line for each list of numbers."""
    lists = re.compile(r"\[\s+([^\[\]{}]*?)\s+\]")
    return lists.sub(lambda numbers: f"[{' '.join(numbers[1].split())}]", json.dumps(result, indent=1)) + "\n"


def _show(result: Result) -> None:
    print(f"{result['networks']} networks, {result['inside']} of them inside {result['budget_ms']} ms")
    print(f"of the evaluations of: {', '.join(result['against'])}")
    for name, outcome in result["optimisers"].items():
        end = outcome["share_at_the_end"]
        parts = [against["part_needed"][name]["evaluations"] for against in result["against"].values()]
        print(
            f"{name:20} half {outcome['share_at_half']:.3f} end {end['median']:.3f} "
            f"[{end['least']:.3f}, {end['most']:.3f}], {outcome['seconds']:6.0f} s, "
            f"duplicates {outcome['duplicates']:.1f}, best {outcome['best_accuracy']:.3f}, "
            f"needs {parts}"
        )


if __name__ == "__main__":
    main()
