"""Networks derived from a trained parent, by a library and by hand: `python benchmarks/derive.py --work FOLDER`.

For shares of the parent's latency, by the formula of MACs and operators that a search begins with, the same budget is
kept by: the library's best choice of blocks, the best one of single blocks alone, the deepest even cut of the parent's
own blocks, the same with a refit, and the cut from initial weights. Each is fine-tuned for the same steps at several
rates, of which the validation images choose; accuracies are of held-out images. Differences are paired over images and
seeds, with Holm's correction. What each took stands beside it, the library's seconds apart, since one serves all
budgets.

`--parents`: `shipped` is the one of lit-dat-64, which hardly uses its attention; `attention` has plain MLPs, so that it
needs it; `digits` is trained on real images. The folder keeps parents and libraries, and rows are kept as they are
made: a run goes on where an earlier one stopped. One parent at two shares with three seeds takes half an hour on an
idle core. Writes benchmarks/results/derive.json.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

import archdsl
from archdsl.compile import Backbone
from archdsl.data.loading import Data, load
from archdsl.deriving.choice import BudgetTooSmall
from archdsl.deriving.fitting import RefitSettings
from archdsl.deriving.inheriting import inherit_from
from archdsl.deriving.library import Library, LibrarySettings, Solver, build_library, derive
from archdsl.deriving.library.solutions import Derived
from archdsl.deriving.parents import Parent, read_parent
from archdsl.language.document import Spec
from archdsl.latency.provenance import provenance
from archdsl.search.policy import SHIPPED
from archdsl.search.predict.formula import Formula, terms_of
from archdsl.training.accuracy import evaluate, unpacked
from archdsl.training.fidelity import Fidelity
from archdsl.training.normalising import normalised_as
from archdsl.training.recipe import LR, train
from archdsl.training.saving import Training, save_trained
from archdsl.zoo import shipped_parent

RESULTS = Path(__file__).parent / "results" / "derive.json"
BATCH = 16
REFIT = RefitSettings(steps=120, lr=3e-3)
RATES = (1e-4, 3e-4, 1e-3)
SCRATCH_RATES = (LR * math.sqrt(BATCH / 32),)
_SMALL = ("stem.patch=2", "stem.width=16", "merge1.width=32", "merge2.width=64", "merge3.width=128")
_HEADS = ("stage3.heads=4", "stage4.heads=8", "drop_path=0")
_PLAIN = tuple(f'stage{stage}.mlp={{"type":"plain"}}' for stage in (3, 4))

Row = dict[str, Any]


class Made(NamedTuple):
    """A network with its weights before any fine-tuning. share: of the parent's latency, by the formula."""

    model: Backbone
    share: float
    seconds: float


class Subject(NamedTuple):
    """A parent, its data and its library."""

    name: str
    parent: Parent
    data: Data
    library: Library
    solver: Solver
    images: torch.Tensor

    @property
    def whole(self) -> float:
        """The parent's latency by the formula."""
        return self.latency(self.parent.model.spec)

    def latency(self, spec: Spec) -> float:
        """Of a network by the formula."""
        return self.solver.costs(spec)["latency"]


def main() -> None:
    asked = _arguments()
    torch.set_num_threads(asked.threads)
    result: Row = json.loads(asked.results.read_text()) if asked.results.exists() else {}
    result = result or {
        "what": "networks derived from a trained parent within shares of its latency, fine-tuned by the same steps",
        "asked": {"rates": RATES, "scratch_rates": SCRATCH_RATES, "refit_steps": REFIT.steps, "refit_lr": REFIT.lr},
        "provenance": provenance("cpu", "float32", BATCH, "eager", asked.threads).as_json(),
        "parents": {},
        "rows": [],
    }
    for name in asked.parents:
        subject = _subject(name, asked)
        seconds = sum(entry.seconds for entry in subject.library.index.entries)
        alternatives = len(subject.library.usable)
        accuracy = _evaluated(subject.parent.model, subject.data)
        result["parents"][name] = accuracy | {"library_s": round(seconds, 1), "alternatives": alternatives}
        for share in asked.shares:
            for seed in range(asked.seeds):
                _add_rows(result, subject, share, seed, asked)


def _add_rows(result: Row, subject: Subject, share: float, seed: int, asked: argparse.Namespace) -> None:
    done = {(row["parent"], row["budget"], row["seed"], row["arm"], row["steps"]) for row in result["rows"]}
    for arm, make in ARMS.items():
        missing = [steps for steps in asked.steps if (subject.name, share, seed, arm, steps) not in done]
        if not missing:
            continue
        made = make(subject, share, seed)
        for steps in missing:
            row: Row = {"parent": subject.name, "budget": share, "seed": seed, "arm": arm, "steps": steps}
            row |= {"reached": False} if made is None else _tuned(made, subject, arm, steps, seed)
            result["rows"].append(row)
            result["compared"] = compared(result["rows"])
            asked.results.write_text(json.dumps(result, indent=1) + "\n")
            print(json.dumps({key: value for key, value in row.items() if key != "answers"}), flush=True)


def _tuned(made: Made, subject: Subject, arm: str, steps: int, seed: int) -> Row:
    """The row of a network fine-tuned at each rate; the validation images choose, and no training is a choice too."""
    data = subject.data
    before = _evaluated(made.model, data)
    tried, started = [(before, 0.0)], time.monotonic()
    state = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    for rate in SCRATCH_RATES if arm == "from scratch" else RATES:
        made.model.load_state_dict(state)
        length = Fidelity(steps * BATCH / len(data.train_labels), len(data.train_labels), BATCH)
        train(made.model, data, length, seed=seed, lr=rate * math.sqrt(32 / BATCH))
        tried.append((_evaluated(made.model.eval(), data), rate))
    made.model.load_state_dict(state)
    best, rate = max(tried, key=lambda each: each[0]["validation"])
    seconds = {"seconds_to_make": round(made.seconds, 1), "seconds": round(time.monotonic() - started, 1)}
    spec = made.model.spec
    sizes = {"share": round(made.share, 4), "params": archdsl.count(spec).params, "macs": archdsl.count(spec).macs}
    return {"reached": True, "untuned": before["held_out"], "rate": rate, **best, **sizes, **seconds}


# ------------------------------------------------------------------------------------------------------------- the arms


def _solved(subject: Subject, share: float, spans: bool) -> Derived | None:
    try:
        return subject.solver.solve({"latency": share * subject.whole}, spans=spans)
    except BudgetTooSmall:
        return None


def _from_library(subject: Subject, share: float, seed: int, spans: bool) -> Made | None:
    started, derived = time.monotonic(), _solved(subject, share, spans)
    if derived is None:
        return None
    model = _seeded(derived.spec, seed)
    settings = RefitSettings(REFIT.steps, REFIT.lr, seed=seed)
    derive(model, subject.parent, derived.blocks, subject.library.folder, subject.images, settings)
    return Made(model, subject.latency(derived.spec) / subject.whole, time.monotonic() - started)


def _derived(subject: Subject, share: float, seed: int) -> Made | None:
    return _from_library(subject, share, seed, spans=True)


def _single_blocks(subject: Subject, share: float, seed: int) -> Made | None:
    return _from_library(subject, share, seed, spans=False)


def _cut(subject: Subject, share: float, seed: int, refit: bool | None) -> Made | None:
    """The deepest even cut; `refit` None begins with initial weights."""
    started, parent = time.monotonic(), subject.parent.model.spec
    depths = {node.id: node.depth for node in parent.nodes if node.kind == "stage"}
    for percent in range(100, 0, -1):
        changes = [f"{name}.depth={max(1, round(percent / 100 * depth))}" for name, depth in depths.items()]
        spec = archdsl.override(parent, changes)
        if subject.latency(spec) <= share * subject.whole:
            model = _seeded(spec, seed)
            if refit is not None:
                settings = RefitSettings(REFIT.steps, REFIT.lr, seed=seed) if refit else None
                inherit_from(model, subject.parent, subject.images if refit else None, settings)
            return Made(model, subject.latency(spec) / subject.whole, time.monotonic() - started)
    return None


ARMS: dict[str, Callable[[Subject, float, int], Made | None]] = {
    "derived": _derived,
    "single blocks": _single_blocks,
    "depth cut": lambda subject, share, seed: _cut(subject, share, seed, refit=False),
    "depth cut, refit": lambda subject, share, seed: _cut(subject, share, seed, refit=True),
    "from scratch": lambda subject, share, seed: _cut(subject, share, seed, refit=None),
}

# --------------------------------------------------------------------------------------------------------- the subjects


def _subject(name: str, asked: argparse.Namespace) -> Subject:
    data_name = "digits" if name == "digits" else "shapetex"
    file = shipped_parent("lit-dat-64") if name == "shipped" else asked.work / f"{name}.safetensors"
    assert file is not None
    asked.work.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        _train_parent(name, data_name, file, asked)
    parent = read_parent(file)
    data = load(data_name, parent.model.spec.image_size, 0, train=2000)
    folder = asked.work / f"{name}-library"
    settings = LibrarySettings(images=asked.fit_images, scored=asked.score_images, steps=asked.fit_steps)
    library = build_library(file, data_name, folder, settings=settings, workers=asked.workers, device="cpu")
    policy = SHIPPED.inheritance.library
    formula = Formula(policy.ms_per_mmac, policy.ms_per_100_operators, (0.0,))
    solver = Solver(library, lambda spec: {"latency": formula.predict(terms_of(spec))})
    data = normalised_as(data, parent.facts.preprocessing)
    return Subject(name, parent, data, library, solver, data.normalise(data.train_images[:1000]))


def _train_parent(name: str, data_name: str, file: Path, asked: argparse.Namespace) -> None:
    data = load(data_name, 48, 0, train=2000)
    changes = [*_SMALL, *_HEADS, "image=48", f"classes={data.classes}", f"name={name}"]
    changes += [f"channels={data.channels}"] if data.channels != 3 else []
    spec = archdsl.override(archdsl.load_spec("litv2_s"), [*changes, *(_PLAIN if name == "attention" else ())])
    model, fidelity = _seeded(spec, 0), Fidelity(asked.epochs, len(data.train_labels), BATCH)
    outcome = train(model, data, fidelity, seed=0)
    save_trained(model, file, Training(data, data.fingerprint(), fidelity, 0, "cpu", outcome))


def _seeded(spec: Spec, seed: int) -> Backbone:
    torch.manual_seed(seed)
    return archdsl.build(spec).eval()


def _evaluated(model: Backbone, data: Data) -> Row:
    """Validation and held-out accuracy in per cent, and which held-out images are right."""
    sets = ((data.val_images, data.val_labels), (data.held_images, data.held_labels))
    validation, held = (evaluate(model, data.normalise, *each, data.class_names, 100) for each in sets)
    if validation is None or held is None:
        return {"validation": -1.0, "held_out": 0.0, "images": len(data.held_labels), "answers": ""}
    return {
        "validation": round(100 * validation.accuracy, 2),
        "held_out": round(100 * held.accuracy, 2),
        "images": held.images,
        "answers": held.answers,
    }


# ------------------------------------------------------------------------------------------------------- the comparison


def compared(rows: Sequence[Row]) -> list[Row]:
    """Derived against each other arm: points of held-out accuracy, paired over images and seeds, by Holm."""
    found = list[Row]()
    for parent, budget, steps in sorted({(row["parent"], row["budget"], row["steps"]) for row in rows}):
        mine = [row for row in rows if (row["parent"], row["budget"], row["steps"]) == (parent, budget, steps)]
        for arm in ARMS:
            pairs = _pairs(mine, arm)
            if arm != "derived" and pairs:
                place = {"parent": parent, "budget": budget, "steps": steps, "against": arm, "seeds": len(pairs)}
                found.append(place | _difference(pairs))
    by_p = sorted(found, key=lambda each: each["p"])
    highest = 0.0
    for number, each in enumerate(by_p):
        highest = max(highest, min(1.0, each["p"] * (len(by_p) - number)))
        each["p_holm"] = highest
    return found


def _pairs(rows: Sequence[Row], arm: str) -> list[tuple[tuple[bool, ...], tuple[bool, ...]]]:
    """The right held-out images of derived and of another arm, a seed each."""
    by_arm = [
        {row["seed"]: unpacked(row["answers"], row["images"]) for row in rows if row["arm"] == each and row["reached"]}
        for each in ("derived", arm)
    ]
    return [(by_arm[0][seed], by_arm[1][seed]) for seed in by_arm[0] if seed in by_arm[1]]


def _difference(pairs: Sequence[tuple[tuple[bool, ...], tuple[bool, ...]]]) -> Row:
    """The mean over images of the mean over seeds; its error is over images, to which the spread of seeds is added."""
    images = list(zip(*([a - b for a, b in zip(*pair, strict=True)] for pair in pairs), strict=True))
    means = [statistics.mean(each) for each in images]
    by_seed = [statistics.mean(a - b for a, b in zip(*pair, strict=True)) for pair in pairs]
    variance = statistics.pvariance(means) / len(means)
    variance += statistics.variance(by_seed) / len(by_seed) if len(by_seed) > 1 else 0.0
    difference, error = statistics.mean(means), math.sqrt(variance)
    p = math.erfc(abs(difference) / error / math.sqrt(2)) if error > 0 else float(difference == 0)
    return {"difference": round(100 * difference, 2), "error": round(100 * error, 2), "p": p}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of parents and libraries")
    parser.add_argument("--parents", nargs="+", choices=("shipped", "attention", "digits"), default=["shipped"])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 0.35])
    parser.add_argument("--steps", type=int, nargs="+", default=[125])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=12, help="of a parent's training")
    parser.add_argument("--fit-images", type=int, default=1000)
    parser.add_argument("--score-images", type=int, default=500)
    parser.add_argument("--fit-steps", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2, help="processes that build a library")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
