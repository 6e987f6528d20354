"""Whether a quiet machine decides: `python benchmarks/verdicts.py [--runtime eager]`, some twenty minutes.

Networks of a shipped space are read in fresh processes as the winner of a search is, against budgets 5 % above and 5 %
below their latency, which is the statistic of a reading just before. Told are the verdicts, how wide the intervals are,
and how far two readings of one network lie apart. Right before and after each reading a fixed product of matrices is
timed for a second: where its median moved by more than 2 %, the machine was not quiet, whatever its processes did; a
neighbour on the host shows in nothing else. Writes benchmarks/results/verdicts.json, or
verdicts-NAME.json where a runtime is named.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure_rate import drawn

from archdsl.language.document import Spec
from archdsl.latency.measuring import seeded
from archdsl.search.defaults import settings_of
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.final_reading import read_winner
from archdsl.search.policy import SHIPPED
from archdsl.search.request import SettingsRequest
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.progress import State
from archdsl.weights import save_model

RESULTS = Path(__file__).parent / "results"
AWAY = 1.05
_NO_BUDGET_MS = 1e6
QUIET = 0.02
"""Up to which the speed of the machine may move between the start and the end of a reading."""


def main() -> None:
    asked = _arguments()
    results = _results(asked)
    rows: list[dict[str, Any]] = json.loads(results.read_text())["rows"] if asked.resume else []
    with tempfile.TemporaryDirectory() as place:
        for number, network in enumerate(drawn(settings_of(asked.space, _request(asked, None)), asked.networks)):
            spec = network.spec
            if any(row["network"] == spec.name for row in rows):
                continue
            file = Path(place) / f"{number}.safetensors"
            save_model(seeded(spec), file)  # type: ignore[arg-type]  # it is a Backbone
            rows += _read(spec, file, asked)
            _write(asked, rows)


def _read(spec: Spec, file: Path, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """One reading for the network's latency, then one against a budget above it and one against one below it."""
    reference_ms = _reading(spec, file, asked, _NO_BUDGET_MS)["value_ms"]
    rows = []
    for is_above in (True, False):
        budget_ms = reference_ms * AWAY if is_above else reference_ms / AWAY
        before = _product_ms()
        row = _reading(spec, file, asked, budget_ms) | {"reference_ms": reference_ms, "is_above": is_above}
        row["machine_moved"] = abs(_product_ms() / before - 1)
        rows.append(row)
        print(f"{row['verdict']:7} budget {budget_ms:.2f} ms: {row['reason']}", flush=True)
    return rows


def _product_ms(seconds: float = 1.0) -> float:
    """The median time of a fixed product of matrices, which only the machine's speed changes."""
    left = np.random.default_rng(0).standard_normal((192, 192), dtype=np.float32)
    out, times, ends = np.empty_like(left), list[float](), time.perf_counter() + seconds
    while time.perf_counter() < ends:
        started = time.perf_counter()
        np.matmul(left, left, out=out)
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times)


def _reading(spec: Spec, file: Path, asked: argparse.Namespace, budget_ms: float) -> dict[str, Any]:
    settings = settings_of(asked.space, _request(asked, budget_ms))
    with tempfile.TemporaryDirectory() as place:  # a folder of its own, so that nothing is pooled with other readings
        context = Context(settings, SHIPPED, RunFolder(Path(place)), _tell)
        judged, reading = read_winner(context, spec, file, 1.0)
    facts = reading.as_json()
    kept = ("value_ms", "interval_ms", "rounds", "undisturbed", "processes", "conditions")
    return {
        "network": spec.name,
        "budget_ms": budget_ms,
        "verdict": judged.verdict,
        "reason": judged.reason,
        **{name: facts[name] for name in kept},
    }


def _request(asked: argparse.Namespace, budget_ms: float | None) -> SettingsRequest:
    return SettingsRequest(
        device="cpu", threads=asked.threads, runtime=asked.runtime, latency_budget_ms=budget_ms, trials=1
    )


def _tell(state: State, line: str | None) -> None:
    """What a search says meanwhile."""
    if line is not None:
        print(line, flush=True)


def _write(asked: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    decided = [row for row in rows if row["verdict"] != "UNSURE"]
    quiet = [row for row in rows if row["machine_moved"] <= QUIET]
    wide = [(row["interval_ms"][1] - row["interval_ms"][0]) / row["value_ms"] for row in rows if row["interval_ms"]]
    apart = [abs(row["value_ms"] / row["reference_ms"] - 1) for row in rows]
    result = {
        "what": "verdicts on networks 5 % below and above the latency of a reading just before",
        "readings": len(rows),
        "decided": len(decided),
        "as_expected": sum((row["verdict"] == "PASS") == row["is_above"] for row in decided),
        "readings_on_a_quiet_machine": len(quiet),
        "decided_on_a_quiet_machine": sum(row["verdict"] != "UNSURE" for row in quiet),
        "widest_interval": max(wide, default=None),
        "furthest_from_the_reading_before": max(apart, default=None),
        "rows": rows,
    }
    _results(asked).write_text(json.dumps(result, indent=2) + "\n")


def _results(asked: argparse.Namespace) -> Path:
    results: Path | None = asked.results
    return results or RESULTS / (f"verdicts-{asked.runtime}.json" if asked.runtime else "verdicts.json")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--space", default="lit-dat-64")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runtime", help="eager, onnxruntime, ...; by default the one that a search would take")
    parser.add_argument("--results", type=Path, help="the file to write")
    parser.add_argument("--resume", action="store_true", help="go on with the networks that the file lacks")
    return parser.parse_args()


if __name__ == "__main__":
    main()
