"""What the two ranking benchmarks share: the shipped parent with its data, trainings by steps, and agreements of ranks.

Scores are losses on the first half of the validation images, targets are losses on the first half of the held-out
images; both are mean cross entropies without label smoothing. Seconds are CPU seconds of one thread, which other
processes on the machine change less than those of a clock.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

import archdsl
from archdsl.compile import Backbone
from archdsl.data.loading import Data, load
from archdsl.deriving.parents import Parent, read_parent
from archdsl.files import write_text
from archdsl.language.document import Spec
from archdsl.latency.provenance import provenance
from archdsl.search.policy import SHIPPED
from archdsl.search.predict.ranks import interval, kendall, spearman
from archdsl.training.fidelity import Fidelity
from archdsl.training.normalising import normalised_as
from archdsl.training.recipe import LR, train
from archdsl.zoo import shipped_parent

Row = dict[str, Any]
_LEAST = 5
"""Networks of an agreement."""
BATCH = 16
HOW = ("work", "minutes", "processes", "only", "results")
"""Options that change nothing of a result."""
TABLES = ("rows", "pool")
"""The keys of the results under which networks are listed."""
TUNING = SHIPPED.inheritance.fine_tuning
SCRATCH_LR = LR * math.sqrt(BATCH / 32)
"""The recipe's own peak rate, at the batch of 16."""


class Subject(NamedTuple):
    """The parent that ships, and its data."""

    file: Path
    parent: Parent
    data: Data

    def images(self, count: int) -> torch.Tensor:
        """So many training images, as the parent reads them."""
        return self.data.normalise(self.data.train_images[:count])


def shipped_subject() -> Subject:
    """The parent of lit-dat-64 on shapetex, at its own image size."""
    file = shipped_parent("lit-dat-64")
    assert file is not None
    parent = read_parent(file)
    data = load("shapetex", parent.model.spec.image_size, 0, train=2000)
    return Subject(file, parent, normalised_as(data, parent.facts.preprocessing))


def built(spec: Spec, seed: int) -> Backbone:
    """A network with initial weights."""
    torch.manual_seed(seed)
    return archdsl.build(spec).eval()


def tuned(model: Backbone, data: Data, steps: int, lr: float, seed: int) -> Backbone:
    """The model trained for so many steps of 16 images, by the recipe of short trainings with a peak rate of `lr`."""
    images = len(data.train_labels)
    few = {"val_images": data.val_images[:BATCH], "val_labels": data.val_labels[:BATCH]}
    few |= {"held_images": data.held_images[:0], "held_labels": data.held_labels[:0]}
    short = replace(data, **few, _on={})  # type: ignore[arg-type]  # the accuracy that `train` tells is not used
    train(model, short, Fidelity(steps * BATCH / images, images, BATCH), seed=seed, lr=lr * math.sqrt(32 / BATCH))
    return model.eval()


def scored(model: Backbone, data: Data) -> Row:
    """Loss and accuracy on the first half of the validation images."""
    half = len(data.val_labels) // 2
    return _evaluated(model, data, data.val_images[:half], data.val_labels[:half])


def judged(model: Backbone, data: Data) -> Row:
    """Loss and accuracy on the first half of the held-out images."""
    half = len(data.held_labels) // 2
    return _evaluated(model, data, data.held_images[:half], data.held_labels[:half])


def logits_of(model: Backbone, images: torch.Tensor) -> torch.Tensor:
    """(N, channels, H, W), normalised -> (N, classes)."""
    with torch.inference_mode():
        return torch.cat([model(some) for some in torch.split(images, 128)])


def _evaluated(model: Backbone, data: Data, images: torch.Tensor, labels: torch.Tensor) -> Row:
    return loss_of(logits_of(model, data.normalise(images)), labels)


def loss_of(logits: torch.Tensor, labels: torch.Tensor) -> Row:
    """Mean cross entropy, and the share named rightly."""
    accuracy = float((logits.argmax(1) == labels).float().mean())
    return {"loss": round(float(F.cross_entropy(logits, labels)), 5), "accuracy": round(accuracy, 4)}


def timed(make: Callable[[], Row]) -> Row:
    """What `make` gives, with the CPU seconds that it took."""
    started = time.process_time()
    made = make()
    return {**made, "cpu_s": round(time.process_time() - started, 1)}


def agreement(score: Sequence[float], target: Sequence[float]) -> Row:
    """How alike two orders are: Spearman's rho with its interval of 90 %, and Kendall's tau-b."""
    rho = interval(spearman, score, target)
    bounds = [round(rho.low, 3), round(rho.high, 3)]
    tau = float(kendall(score, target))
    return {"networks": len(score), "spearman": round(rho.value, 3), "interval": bounds, "kendall": round(tau, 3)}


def agreements(
    rows: Sequence[Row], scores: Mapping[str, Callable[[Row], float | None]], target: Callable[[Row], float | None]
) -> dict[str, Row]:
    """Of each score with a target, over the rows that have both; those with fewer than five such rows are left out."""
    found = dict[str, Row]()
    for name, score in scores.items():
        pairs = [(a, b) for row in rows if (a := score(row)) is not None and (b := target(row)) is not None]
        if len(pairs) >= _LEAST:
            found[name] = agreement(*zip(*pairs, strict=True))
    return found


def part(name: str, field: str = "loss") -> Callable[[Row], float | None]:
    """What a part of a row tells; None while it is missing."""
    return lambda row: row["parts"].get(name, {}).get(field)


def seconds_of(rows: Sequence[Row]) -> dict[str, float]:
    """CPU seconds by part, over all rows."""
    names = dict.fromkeys(name for row in rows for name in row["parts"])
    return {name: round(sum(row["parts"][name]["cpu_s"] for row in rows if name in row["parts"]), 1) for name in names}


def begun(file: Path, what: str, options: argparse.Namespace, subject: Subject, **more: Any) -> Row:
    """The results so far, or new ones; of the options those in `HOW` may differ between runs.

    Raises:
        SystemExit: the file holds results of other settings.
    """
    asked = {name: value for name, value in vars(options).items() if name not in HOW}
    earlier: Row = json.loads(file.read_text()) if file.exists() else {}
    if earlier and earlier["asked"] != asked:
        raise SystemExit(f"{file} holds results of other settings; name another file with --results")
    count = archdsl.count(subject.parent.model.spec)
    parent = {"params": count.params, "macs": count.macs, **judged(subject.parent.model, subject.data)}
    return earlier or {
        "what": what,
        "asked": asked,
        "parent": parent,
        "provenance": provenance("cpu", "float32", BATCH, "eager", 1).as_json(),
        **more,
    }


def write(file: Path, result: Row) -> None:
    """The results, a row of them a line."""
    lists = {name: value for name, value in result.items() if name in TABLES}
    head = json.dumps({name: value for name, value in result.items() if name not in lists}, indent=1)[:-2]
    tables = [f' "{name}": [\n  ' + ",\n  ".join(map(json.dumps, rows)) + "\n ]" for name, rows in lists.items()]
    write_text(file, ",\n".join([head, *tables]) + "\n}\n")


def arguments(description: str | None, results: Path) -> argparse.ArgumentParser:
    """The options of both benchmarks."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help="after which no further part is begun")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--results", type=Path, default=results)
    return parser


class Deadline:
    """Ends a run between two parts."""

    def __init__(self, minutes: float | None) -> None:
        self._ends = math.inf if minutes is None else time.monotonic() + 60 * minutes

    @property
    def is_over(self) -> bool:
        """Whether no further part is begun."""
        return time.monotonic() > self._ends


class Job(NamedTuple):
    """Parts to be made of rows; a part may read those before it of its own row."""

    rows: Sequence[Row]
    parts: Mapping[str, Callable[[Row], Row]]
    deadline: Deadline

    def make(self, number: int) -> tuple[int, dict[str, Row]]:
        """What is missing of a row, unless the time is over first."""
        row, made = self.rows[number], dict[str, Row]()
        for name, make in self.parts.items():
            if name not in row["parts"] and not self.deadline.is_over:
                row["parts"][name] = made[name] = timed(partial(make, row))
                print(row["name"], name, json.dumps(made[name]), flush=True)
        return number, made


_job: list[Job] = []
"""What forked processes work on, which inherit it."""


def add_parts(job: Job, keep: Callable[[], None], processes: int = 1) -> None:
    """Make what is missing of the rows, in one process or several, and keep the results after each row."""
    missing = [number for number, row in enumerate(job.rows) if job.parts.keys() - row["parts"]]
    _job[:] = [job]
    with multiprocessing.get_context("fork").Pool(processes) if processes > 1 else nullcontext() as pool:
        for number, made in (map if pool is None else pool.imap_unordered)(_made, missing):
            job.rows[number]["parts"].update(made)
            keep()


def _made(number: int) -> tuple[int, dict[str, Row]]:
    return _job[0].make(number)
