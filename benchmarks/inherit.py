"""What inheritance and a refit give to depth cuts: `python benchmarks/inherit.py`, an hour on a core, resumable.

A small LITv2 is trained at 48 pixels, on shapetex and on real images (digits), and cut by whole blocks until it takes
at most 0.7 and 0.5 of its latency in ONNX Runtime. Each cut is compared from scratch, inherited, and inherited with a
refit: before any training, after 1 epoch, inherited after 12 too, and after as many seconds as the refit and its epoch
take together.
Peak rates are each arm's own: the best on validation images of those in `RATES`, after one epoch of the first seed.
Accuracies are of the held-out images. Rows are kept as they are made. Writes benchmarks/results/inherit.json.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

import archdsl
from archdsl.compile import Backbone
from archdsl.data.loading import Data, load
from archdsl.language.document import Spec
from archdsl.latency import compare
from archdsl.latency.provenance import provenance
from archdsl.load.smaller import with_fewer_blocks
from archdsl.training.accuracy import evaluate
from archdsl.training.fidelity import Fidelity
from archdsl.training.recipe import LR, train

RESULTS = Path(__file__).parent / "results" / "inherit.json"
SEED = "litv2_s"
PARENT = (
    *("stem.patch=2", "stem.width=16", "merge1.width=32", "merge2.width=64", "merge3.width=128"),
    *("stage3.heads=4", "stage4.heads=8", "image=48", "drop_path=0"),
)
SHARES = (0.7, 0.5)
"""Of the parent's latency, that a cut takes at most."""
BATCH = 16
RATES = {
    "from scratch": (LR * math.sqrt(BATCH / 32), 2 * LR * math.sqrt(BATCH / 32)),
    "inherited": (1e-3, 3e-4),
    "inherited, refit": (3e-4, 1e-4),
}
"""Peak rates that are tried, at a batch of 16; the first one from scratch is the recipe's own."""
LONG = 12.0
"""Epochs of the long training, of what inherited."""

Row = dict[str, Any]


class Cut(NamedTuple):
    """A depth cut of a trained parent."""

    data_name: str
    share: float
    parent: Backbone
    spec: Spec
    data: Data


def main() -> None:
    asked = _arguments()
    torch.set_num_threads(1)
    result: Row = json.loads(asked.results.read_text()) if asked.results.exists() else {}
    if "parents" not in result:
        settings = {"epochs": asked.epochs, "steps": asked.steps, "seeds": asked.seeds, "rates": RATES, "batch": BATCH}
        result = {
            "what": "depth cuts of a trained network: from scratch, inherited, inherited with a refit",
            "asked": settings,
            "parents": {},
            "cuts": {},
            "rates": {},
            "rows": [],
            "provenance": provenance("cpu", "float32", BATCH, "eager", 1).as_json(),
        }
    for data_name in asked.data:
        for cut in _cuts(data_name, asked, result):
            _compare(cut, asked, result)
    result["means"] = means(result["rows"])
    _write(asked, result)


def _cuts(data_name: str, asked: argparse.Namespace, result: Row) -> Iterator[Cut]:
    """The cuts of a parent that is trained once; their latencies are measured once, in one run with the parent's."""
    data = load(data_name, 48, 0, train=2000, validation=1000, held_out=1000)
    changes = [*PARENT, f"classes={data.classes}", f"channels={data.channels}"]
    spec = archdsl.override(archdsl.load_spec(SEED), changes)
    parent, file = _seeded(spec, 0), asked.work / f"{data_name}.pt"
    if data_name not in result["parents"] or not file.exists():
        outcome = train(parent, data, Fidelity(asked.epochs, len(data.train_labels), BATCH), seed=0)
        asked.work.mkdir(parents=True, exist_ok=True)
        torch.save(parent.state_dict(), file)
        facts = {**_accuracy(parent, data), "seconds": outcome.seconds, "images": len(data.train_labels)}
        result["parents"][data_name] = facts | {"depths": _depths(spec)}
        _write(asked, result)
    parent.load_state_dict(torch.load(file, weights_only=True))
    every = {str(_depths(each)): each for each in (with_fewer_blocks(spec, step / 12) for step in range(12))}
    every.pop(str(_depths(spec)), None)
    if f"{data_name} 0.5" not in result["cuts"]:
        measured = compare({"parent": spec} | every, device="cpu", runtime="onnxruntime", threads=1).latencies
        shares = {name: measured[name].stat("p50") / measured["parent"].stat("p50") for name in every}
        for share in SHARES:
            within = [name for name in every if shares[name] <= share] or [min(shares, key=lambda name: shares[name])]
            name = max(within, key=lambda name: shares[name])
            macs = archdsl.count(every[name]).macs / archdsl.count(spec).macs
            result["cuts"][f"{data_name} {share}"] = {"depths": name, "latency": shares[name], "macs": macs}
        _write(asked, result)
    for share in SHARES:
        cut = every[result["cuts"][f"{data_name} {share}"]["depths"]]
        yield Cut(data_name, share, parent.eval(), cut, data)


def _compare(cut: Cut, asked: argparse.Namespace, result: Row) -> None:
    """All rows of a cut that are not there yet."""
    place = {"data": cut.data_name, "share": cut.share}
    done = {(row["data"], row["share"], row["seed"], row["weights"]) for row in result["rows"]}
    for seed in range(asked.seeds):
        seconds: float | None = None
        for arm in reversed(RATES):  # the refit first: its seconds are the others' too
            if (cut.data_name, cut.share, seed, arm) in done:
                kept = next(row for row in result["rows"] if row | place | {"seed": seed, "weights": arm} == row)
                seconds = seconds or kept["seconds_to_make"] + kept["seconds_of_an_epoch"]
                continue
            rate = _best_rate(cut, arm, asked, result)
            row = _row(cut, arm, seed, rate, seconds, asked)
            seconds = seconds or row["seconds_to_make"] + row["seconds_of_an_epoch"]
            result["rows"].append(place | {"seed": seed, "weights": arm} | row)
            print(json.dumps(result["rows"][-1]), flush=True)
            _write(asked, result)


def _best_rate(cut: Cut, arm: str, asked: argparse.Namespace, result: Row) -> float:
    """The best of the arm's rates on validation images, after one epoch of the first seed."""
    place = f"{cut.data_name} {cut.share} {arm}"
    if place not in result["rates"]:
        model, _ = _made(cut, arm, 0, asked)
        found = {}
        for rate in RATES[arm]:
            trained, _ = _trained(model, cut.data, 1.0, 0, rate)
            found[rate] = _accuracy(trained, cut.data, "val")["accuracy"]
        result["rates"][place] = max(found, key=lambda rate: found[rate])
        _write(asked, result)
    best: float = result["rates"][place]
    return best


def _row(cut: Cut, arm: str, seed: int, rate: float, seconds: float | None, asked: argparse.Namespace) -> Row:
    model, made_in = _made(cut, arm, seed, asked)
    short, short_s = _trained(model, cut.data, 1.0, seed, rate)
    row: Row = {
        "rate": rate,
        "untrained": _accuracy(model, cut.data),
        "epochs_1": _accuracy(short, cut.data),
        "seconds_to_make": made_in,
        "seconds_of_an_epoch": short_s,
    }
    if arm == "inherited":
        long, long_s = _trained(model, cut.data, LONG, seed, rate)
        row |= {"epochs_12": _accuracy(long, cut.data), "seconds_of_12_epochs": long_s}
    if seconds is not None:
        epochs = max(seconds - made_in, 0.0) / short_s
        same, same_s = _trained(model, cut.data, epochs, seed, rate)
        row["same_seconds"] = _accuracy(same, cut.data) | {"epochs": epochs, "seconds": made_in + same_s}
    return row


def _made(cut: Cut, arm: str, seed: int, asked: argparse.Namespace) -> tuple[Backbone, float]:
    """The cut as an arm begins, and the seconds that it took."""
    model, start = _seeded(cut.spec, 1 + seed), time.monotonic()
    if arm == "inherited":
        archdsl.inherit(model, cut.parent)
    elif arm == "inherited, refit":
        images = cut.data.normalise(cut.data.train_images)
        archdsl.inherit(model, cut.parent, refit=images, steps=asked.steps, seed=seed)
    return model, time.monotonic() - start


def _trained(model: Backbone, data: Data, epochs: float, seed: int, rate: float) -> tuple[Backbone, float]:
    """A copy, fine-tuned; `rate` is the peak at the batch that is used."""
    trained = copy.deepcopy(model)
    fidelity = Fidelity(epochs, len(data.train_labels), BATCH)
    return trained, train(trained, data, fidelity, seed=seed, lr=rate * math.sqrt(32 / BATCH)).seconds


def means(rows: list[Row]) -> list[Row]:
    """Of each arm over its seeds: mean accuracies, each with the standard error of images and seeds."""
    found = list[Row]()
    for data, share, arm in dict.fromkeys((row["data"], row["share"], row["weights"]) for row in rows):
        mine = [row for row in rows if (row["data"], row["share"], row["weights"]) == (data, share, arm)]
        cells: Row = {"data": data, "share": share, "weights": arm, "seeds": len(mine)}
        for cell in ("untrained", "epochs_1", "epochs_12", "same_seconds"):
            if all(cell in row for row in mine):
                values = [row[cell]["accuracy"] for row in mine]
                spread = statistics.variance(values) / len(values) if len(values) > 1 else 0.0
                error = math.sqrt(spread + max(row[cell]["standard_error"] for row in mine) ** 2)
                cells[cell] = {"accuracy": round(statistics.mean(values), 4), "error": round(error, 4)}
        found.append(cells)
    return found


def _depths(spec: Spec) -> list[int]:
    return [node.depth for node in spec.nodes if hasattr(node, "depth")]


def _seeded(spec: Spec, seed: int) -> Backbone:
    torch.manual_seed(seed)
    return archdsl.build(spec)


def _accuracy(model: Backbone, data: Data, which: str = "held") -> dict[str, float]:
    """Of the held-out images, with its standard error; the model keeps its mode."""
    is_training = model.training
    images, labels = getattr(data, f"{which}_images"), getattr(data, f"{which}_labels")
    found = evaluate(model, data.normalise, images, labels, data.class_names, 100)
    model.train(is_training)
    assert found is not None
    return {"accuracy": found.accuracy, "standard_error": found.error}


def _write(asked: argparse.Namespace, result: Row) -> None:
    asked.results.write_text(json.dumps(result, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=float, default=12, help="of the parent's training")
    parser.add_argument("--steps", type=int, default=120, help="of the refit, a block")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="+", choices=("shapetex", "digits"), default=["shapetex", "digits"])
    parser.add_argument("--work", type=Path, default=Path("runs/inherit"), help="folder of the trained parents")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
