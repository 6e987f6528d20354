"""What inheritance and a refit give to a depth cut: `python benchmarks/inherit.py`, some five minutes on an idle core.

A small LITv2 is trained on shapetex at 48 pixels; with `--epochs 6` half as long, far from its end. It is cut to about
half of its MACs, and the cut is compared from scratch, inherited, and inherited with a refit: before any training and
after one epoch, each at a rate of its own that was fixed beforehand. Accuracies are of the held-out images. Writes
benchmarks/results/inherit.json.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path
from typing import Any

import torch

import archdsl
from archdsl.compile import Backbone
from archdsl.data.loading import Data, load
from archdsl.language.document import Spec
from archdsl.latency import compare
from archdsl.latency.provenance import provenance
from archdsl.training.accuracy import evaluate
from archdsl.training.fidelity import Fidelity
from archdsl.training.recipe import LR, train

RESULTS = Path(__file__).parent / "results" / "inherit.json"
SEED = "litv2_s"
PARENT = (
    *("stem.patch=2", "stem.width=16", "merge1.width=32", "merge2.width=64", "merge3.width=128"),
    *("stage3.heads=4", "stage4.heads=8", "image=48", "classes=20", "drop_path=0"),
)
CUT = ("stage1.depth=1", "stage2.depth=1", "stage3.depth=3", "stage4.depth=1")
RATES = {"from scratch": LR * math.sqrt(0.5), "inherited": 1e-3, "inherited, refit": 1e-4}
"""Peak rates of the epoch, at its batch of 16; the first is the recipe's own."""
BATCH = 16


def main() -> None:
    asked = _arguments()
    torch.set_num_threads(1)
    data = load("shapetex", 48, 0, train=2000, validation=1000, held_out=1000)
    spec = archdsl.override(archdsl.load_spec(SEED), PARENT)
    parent, seconds = _trained_parent(spec, data, asked)
    cut = archdsl.override(spec, CUT)
    result: dict[str, Any] = {
        "what": "a depth cut of a trained network: from scratch, inherited, inherited with a refit",
        "asked": {"epochs": asked.epochs, "steps": asked.steps, "seeds": asked.seeds, "rates": RATES},
        "parent": {**_accuracy(parent, data), "seconds": seconds, "depths": [2, 2, 6, 2]},
        "cut": {"depths": [1, 1, 3, 1], **_shares(parent, cut)},
        "rows": [],
        "provenance": provenance("cpu", "float32", BATCH, "eager", 1).as_json(),
    }
    for seed in range(asked.seeds):
        for row in _rows(cut, parent, data, asked, seed):
            result["rows"].append(row)
            print(json.dumps(row), flush=True)
            asked.results.write_text(json.dumps(result, indent=2) + "\n")


def _trained_parent(spec: Spec, data: Data, asked: argparse.Namespace) -> tuple[Backbone, float]:
    parent = _seeded(spec, 0)
    outcome = train(parent, data, Fidelity(asked.epochs, 2000, BATCH), seed=0)
    print(f"parent: {outcome.held_out:.3f} after {outcome.seconds:.0f} s", flush=True)
    return parent.eval(), outcome.seconds


def _rows(cut: Spec, parent: Backbone, data: Data, asked: argparse.Namespace, seed: int) -> list[dict[str, Any]]:
    images = data.normalise(data.train_images)
    rows = []
    for name in RATES:
        model, start = _seeded(cut, 1 + seed), time.monotonic()
        if name == "inherited":
            archdsl.inherit(model, parent)
        elif name == "inherited, refit":
            archdsl.inherit(model, parent, refit=images, steps=asked.steps, seed=seed)
        made_in = time.monotonic() - start
        untrained = _accuracy(model, data)
        trained = copy.deepcopy(model)
        outcome = train(trained, data, Fidelity(1, 2000, BATCH), seed=seed, lr=RATES[name] * math.sqrt(32 / BATCH))
        rows.append(
            {
                "weights": name,
                "seed": seed,
                "untrained": untrained,
                "after_one_epoch": _accuracy(trained, data),
                "seconds_to_make": made_in,
                "seconds_of_the_epoch": outcome.seconds,
            }
        )
    return rows


def _seeded(spec: Spec, seed: int) -> Backbone:
    torch.manual_seed(seed)
    return archdsl.build(spec)


def _accuracy(model: Backbone, data: Data) -> dict[str, float]:
    """Of the held-out images, with its standard error; the model keeps its mode."""
    is_training = model.training
    found = evaluate(model, data.normalise, data.held_images, data.held_labels, data.class_names, 100)
    model.train(is_training)
    assert found is not None
    return {"accuracy": found.accuracy, "standard_error": found.error}


def _shares(parent: Backbone, cut: Spec) -> dict[str, float]:
    """What is left of the parent's MACs and of its latency."""
    macs = [archdsl.count(spec).macs for spec in (cut, parent.spec)]
    measured = compare({"parent": parent.spec, "cut": cut}, device="cpu", runtime="eager", threads=1).latencies
    return {"macs": macs[0] / macs[1], "latency": measured["cut"].stat("p50") / measured["parent"].stat("p50")}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=float, default=12, help="of the parent's training")
    parser.add_argument("--steps", type=int, default=120, help="of the refit, a block")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
