"""Every published backbone and a mixture of all families exported in every format: `python benchmarks/export_zoo.py`.

Weights are seeded, and parameters that are zero or nearly (offsets, scales of residual branches) have noise in their
place. Each file is held against its network as `archdsl.export` does it; what is refused stands in the table with its
reason. Rows are kept as they are made, and a run goes on where an earlier one stopped. Writes
benchmarks/results/export_zoo.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from archdsl import zoo
from archdsl.json_types import JsonObject

RESULTS = Path(__file__).parent / "results" / "export_zoo.json"
ENDINGS = {"onnx": ".onnx", "pt2": ".pt2", "python": ".py", "safetensors": ".safetensors"}
MIXED = "mixed"
"""Stands for the network of `tests/support/small_networks.py`."""


class Case(NamedTuple):
    """One file."""

    network: str
    image: int | None
    format: str
    dynamic_batch: bool

    @property
    def key(self) -> str:
        """What the row is found by."""
        size = "own size" if self.image is None else f"{self.image}x{self.image}"
        return f"{self.network}, {size}, {self.format}, {'any batch' if self.dynamic_batch else 'batch 1'}"


def main() -> None:
    asked = _arguments()
    done = _kept(asked.results)
    left = [case for case in _cases(asked.image, asked.networks) if case.key not in done]
    with ProcessPoolExecutor(asked.workers, max_tasks_per_child=1) as pool:
        for row in pool.map(_row, left):
            done[row["case"]] = row
            _write(asked.results, done)
            print(f"{row['case']}: {row['error'] or format(row['largest_error'], '.1e')}", flush=True)


def _cases(image: int | None, networks: list[str] | None) -> list[Case]:
    free = ("python", "safetensors")
    return [
        Case(network, image, format_name, dynamic_batch)
        for network in networks or [*zoo.names(), MIXED]
        for format_name in ENDINGS
        for dynamic_batch in ((True,) if format_name in free else (False, True))
    ]


def _row(case: Case) -> dict[str, Any]:
    import torch

    import archdsl
    from archdsl.errors import ArchError
    from archdsl.exporting.frozen import perturbed
    from archdsl.latency.provenance import cpu_name

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = perturbed(archdsl.build(_spec(case)).eval())
    begun = time.process_time()
    facts: JsonObject = dict.fromkeys(("largest_error", "operators", "bytes", "image"))
    error = None
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = archdsl.export(
                model, Path(folder) / f"network{ENDINGS[case.format]}", dynamic_batch=case.dynamic_batch
            ).as_json()
            facts = {name: done[name] for name in facts}
        except ArchError as refused:
            error = str(refused)
    seconds = round(time.process_time() - begun, 1)
    return {"case": case.key, **case._asdict(), **facts, "error": error, "cpu_seconds": seconds, "cpu": cpu_name()}


def _spec(case: Case) -> Any:
    import archdsl

    if case.network == MIXED:
        from tests.support.small_networks import small

        return small(MIXED)
    return archdsl.override(archdsl.load_spec(case.network), [] if case.image is None else [f"image={case.image}"])


def _kept(file: Path) -> dict[str, dict[str, Any]]:
    if not file.exists():
        return {}
    return {row["case"]: row for row in json.loads(file.read_text())["rows"]}


def _write(file: Path, rows: dict[str, dict[str, Any]]) -> None:
    import onnxruntime

    from archdsl.exporting.onnx_file import versions

    errors = [row["largest_error"] for row in rows.values() if row["largest_error"] is not None]
    result = {
        "what": "files written by archdsl.export, held against their networks; seeded weights, noise in place of zeros",
        "versions": {**versions(), "onnxruntime": onnxruntime.__version__},
        "files": len(rows),
        "right": len(errors),
        "largest_error": max(errors, default=None),
        "rows": list(rows.values()),
    }
    file.write_text(json.dumps(result, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", help="names of the zoo, or mixed (default: all)")
    parser.add_argument("--image", type=int, help="side in pixels (default: each network's own)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
