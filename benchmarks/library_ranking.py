"""How well a library's scores rank networks made of its blocks: `python benchmarks/library_ranking.py --work FOLDER`.

A library of the parent that ships, with as many images and steps as a search takes, of alternatives drawn from those
that a search would fit. 40 random mixes of its blocks are drawn by `spread`, evenly spread over the logarithm of their
summed KL, among those that are predicted to be clearly faster than the parent. Their sum of scores, their untrained KL
and loss, params and MACs are compared with the loss after a fine-tuning, and a second seed of it is what a score can
reach. Then 16 networks of about equal predicted latency are drawn by `of_equal_latency`, and their losses after refits
of 10 and 40 steps are compared with the loss after a refit of 120 and the fine-tuning. `ranking` says which images are
which.

Results are written after each network, and a run goes on where an earlier one stopped. Writes
benchmarks/results/library_ranking.json.
"""

from __future__ import annotations

import argparse
import copy
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from ranking import (
    TABLES,
    TUNING,
    Deadline,
    Job,
    Row,
    Subject,
    add_parts,
    agreements,
    arguments,
    begun,
    built,
    judged,
    logits_of,
    loss_of,
    part,
    scored,
    seconds_of,
    shipped_subject,
    tuned,
    write,
)

import archdsl
from archdsl.compile import Backbone
from archdsl.deriving.fitting import RefitSettings
from archdsl.deriving.library import Derived, Library, LibrarySettings, Solver, build_library, derive
from archdsl.deriving.library.covering import DerivedBlock
from archdsl.deriving.library.facts import Entry
from archdsl.deriving.library.wanted import wanted_alternatives
from archdsl.deriving.score import score
from archdsl.language.document import Spec
from archdsl.load.alternatives import assembled
from archdsl.load.spaces import space_of
from archdsl.load.specs import spec_of
from archdsl.search.policy import SHIPPED
from archdsl.search.predict.formula import Formula, terms_of
from archdsl.spaces.block_choices import block_choices

RESULTS = Path(__file__).parent / "results" / "library_ranking.json"
KL = (0.02, 2.0)
"""Summed, between which mixes are spread."""
MOST_LATENCY = 0.7
"""Of the parent's, predicted, that a mix takes: a search looks for networks that are clearly faster."""
NEAR = 0.2
"""Summed KL below which mixes are looked at by themselves."""
SHARE, TOLERANCE = 0.45, 0.02
"""Of the parent's predicted latency, that networks of equal latency take."""
SCORES = {
    "sum of KL": lambda row: row["kl"],
    "untrained KL": part("untrained", "kl"),
    "untrained loss": part("untrained"),
    "params": lambda row: -float(row["params"]),
    "MACs": lambda row: -float(row["macs"]),
}
POOL_SCORES = SCORES | {"refit of 10 steps": part("refit 10"), "refit of 40 steps": part("refit 40")}
Blocks = tuple[DerivedBlock, ...]
OnePosition = tuple[str, int]


def chosen_keys(parent: Spec, latency: Callable[[Spec], float], count: int, seed: int = 0) -> tuple[str, ...]:
    """So many alternatives, drawn from those that save as much latency as a search asks for."""
    most = (1 - SHIPPED.own_library.least_saving) * latency(parent)
    wanted = wanted_alternatives(parent, space_of(block_choices(parent)[0]))
    keys = sorted(key for key, each in wanted if latency(assembled(parent, [each])) <= most)
    return tuple(sorted(random.Random(f"keys {seed}").sample(keys, min(count, len(keys)))))


def random_mix(own: Sequence[OnePosition], entries: Sequence[Entry], rate: float, generator: random.Random) -> Blocks:
    """A network's blocks from front to back: with a probability an alternative at a position, else the parent's."""
    by_place = dict[OnePosition, list[Entry]]()
    for entry in entries:
        by_place.setdefault((entry.stage, entry.first), []).append(entry)
    blocks, taken = list[DerivedBlock](), set[OnePosition]()
    for stage, first in own:
        if (stage, first) in taken:
            continue
        there = by_place.get((stage, first), ())
        if there and generator.random() < rate:
            entry = generator.choice(there)
            blocks.append(DerivedBlock(stage, first, entry.span, entry.key))
            taken |= {(stage, first + place) for place in range(entry.span)}
        else:
            blocks.append(DerivedBlock(stage, first, 1, None))
    return tuple(blocks)


def random_mixes(
    own: Sequence[OnePosition], entries: Sequence[Entry], count: int, seed: int
) -> list[tuple[float, Blocks]]:
    """Different mixes with their summed KL; of each the share of exchanged positions is drawn from 15 to 95 %."""
    generator, found = random.Random(f"mixes {seed}"), dict[Blocks, float]()
    kls = {entry.key: entry.kl or 0.0 for entry in entries}
    for _ in range(count):
        blocks = random_mix(own, entries, generator.uniform(0.15, 0.95), generator)
        found[blocks] = sum(kls[block.key] for block in blocks if block.key is not None)
    return [(kl, blocks) for blocks, kl in found.items() if kl > 0]


def spread(drawn: Sequence[tuple[float, Blocks]], count: int) -> list[Blocks]:
    """Of drawn mixes those that are nearest to evenly spaced logarithms of the summed KL, in an order that is mixed."""
    left, chosen = list(drawn), list[Blocks]()
    low, high = (math.log(each) for each in KL)
    for number in range(count):
        aim = low + (high - low) * (number + 0.5) / count
        nearest = min(left, key=lambda each: abs(math.log(each[0]) - aim))
        left.remove(nearest)
        chosen.append(nearest[1])
    random.Random(0).shuffle(chosen)  # so that a run that is broken off has seen all of the range
    return chosen


def of_equal_latency(solver: Solver, drawn: Sequence[tuple[float, Blocks]], count: int) -> list[Derived]:
    """Networks near one latency: half of them the program's, unlike each other, half the first of the random mixes."""
    whole, found = solver.whole["latency"], list[Derived]()
    while len(found) < count // 2:
        solved = solver.solve({"latency": SHARE * whole}, unlike=found)
        if solved is None:
            break
        found.append(solved)
    for _, blocks in drawn:
        derived = solver.of_blocks(blocks)
        if len(found) < count and abs(_share(derived, solver) - SHARE) <= TOLERANCE:
            found.append(derived)
    return found


def main() -> None:
    asked = _arguments()
    torch.set_num_threads(1)
    subject = shipped_subject()
    library = _library(subject, asked)
    solver = Solver(library, lambda spec: {"latency": predicted(spec)})
    seconds = round(sum(entry.seconds for entry in library.index.entries), 1)
    made = {"alternatives": len(library.usable), "fitting_s": seconds}
    what = "scores of a library's blocks, and the loss of networks made of them"
    result = begun(asked.results, what, asked, subject, library=made, rows=[], pool=[])
    if not result["rows"]:
        drawn = random_mixes(solver.covering.own, solver.entries, 4000, 0)
        fast = [each for each in drawn if _share(solver.of_blocks(each[1]), solver) <= MOST_LATENCY]
        result["rows"] = [_begun(solver.of_blocks(blocks), solver) for blocks in spread(fast, asked.mixes)]
        result["pool"] = [_begun(each, solver) for each in of_equal_latency(solver, drawn, asked.pool)]
        for which in ("rows", "pool"):
            for number, row in enumerate(result[which], 1):
                row["name"] = f"{'mix' if which == 'rows' else 'equal'}-{number}"
    deadline = Deadline(asked.minutes)

    def keep() -> None:
        write(asked.results, _told(result))

    arms, rows, pool = _Arms(subject, library, asked), result["rows"], result["pool"]
    jobs = {
        "mixes": [
            Job(rows, {"untrained": arms.untrained, "tuned": arms.tuned}, deadline),
            Job(rows[: asked.second_seeds], {"second": arms.second}, deadline),
        ],
        "pool": [
            Job(pool, {"untrained": arms.untrained, "refit 120, tuned": arms.finished}, deadline),
            Job(pool, {"refit 10": arms.refit(10), "refit 40": arms.refit(40)}, deadline),
        ],
    }
    for job in jobs["mixes"] * (asked.only != "pool") + jobs["pool"] * (asked.only != "mixes"):
        add_parts(job, keep, asked.processes)


def predicted(spec: Spec) -> float:
    """The latency by the formula that a search begins with, ms."""
    policy = SHIPPED.inheritance.library
    return Formula(policy.ms_per_mmac, policy.ms_per_100_operators, (0.0,)).predict(terms_of(spec))


def _library(subject: Subject, asked: argparse.Namespace) -> Library:
    fitting = SHIPPED.own_library.fitting
    settings = LibrarySettings(images=fitting.images, scored=fitting.scored, steps=fitting.steps)
    keys = chosen_keys(subject.parent.model.spec, predicted, asked.alternatives)
    return build_library(subject.file, "shapetex", asked.work, settings=settings, device="cpu", keys=keys)


def _share(derived: Derived, solver: Solver) -> float:
    """Of the parent's predicted latency; of the network as it is, not summed."""
    return solver.costs(derived.spec)["latency"] / solver.whole["latency"]


def _begun(derived: Derived, solver: Solver) -> Row:
    counted = archdsl.count(derived.spec)
    share = round(_share(derived, solver), 4)
    sizes = {"kl": round(derived.kl, 5), "share": share, "params": counted.params, "macs": counted.macs}
    return {"name": "", **sizes, "blocks": [list(block) for block in derived.blocks], "parts": {}}


class _Arms:
    """What is done with a network of the library."""

    def __init__(self, subject: Subject, library: Library, asked: argparse.Namespace) -> None:
        self._subject, self._library, self._asked = subject, library, asked
        self._covering = Solver(library, lambda spec: {}).covering
        data, half = subject.data, len(subject.data.val_labels) // 2
        self._images, self._labels = data.normalise(data.val_images[:half]), data.val_labels[:half]
        self._parent_logits = logits_of(subject.parent.model, self._images)
        self._parent_loss = self._loss(copy.deepcopy(subject.parent.model))  # which measures its batch norm again

    def untrained(self, row: Row) -> Row:
        """KL from the parent's output and loss, before any training; and the rate at which it would be fine-tuned."""
        model = self._derived(row, 0)
        broken = self._loss(model) - self._parent_loss > TUNING.broken_nats
        logits = logits_of(model, self._images)
        ours, theirs = (F.log_softmax(each, 1) for each in (logits, self._parent_logits))
        kl = float(F.kl_div(ours, theirs, reduction="batchmean", log_target=True))
        lr = TUNING.broken_lr if broken else TUNING.whole_lr
        return {**loss_of(logits, self._labels), "kl": round(kl, 5), "lr": lr}

    def tuned(self, row: Row, seed: int = 1) -> Row:
        """The target of a mix: fine-tuned at the search's rate for it."""
        model = self._derived(row, 0)
        self._loss(model)  # measures batch norm
        return self._tuned(model, row["parts"]["untrained"]["lr"], seed)

    def second(self, row: Row) -> Row:
        """The same, with the images in another order."""
        return self.tuned(row, 2)

    def refit(self, steps: int) -> Callable[[Row], Row]:
        """A score of a network of the pool: its loss after a refit, without fine-tuning."""
        return lambda row: scored(self._derived(row, steps), self._subject.data)

    def finished(self, row: Row) -> Row:
        """The target of a network of the pool."""
        return self._tuned(self._derived(row, 120, seed=1), TUNING.refitted_lr, seed=1)

    def _tuned(self, model: Backbone, lr: float, seed: int) -> Row:
        data = self._subject.data
        return judged(tuned(model, data, self._asked.steps, lr, seed), data)

    def _derived(self, row: Row, refit: int, seed: int = 0) -> Backbone:
        blocks = [DerivedBlock(*block) for block in row["blocks"]]
        model = built(spec_of(self._covering.network(blocks).to_json()), seed)
        images = self._subject.images(self._asked.refit_images) if refit else None
        settings = RefitSettings(refit, seed=seed) if refit else None
        derive(model, self._subject.parent, blocks, self._library.folder, images, settings)
        return model

    def _loss(self, model: Backbone) -> float:
        count = TUNING.scored_images
        return score(model, self._subject.images(count), self._subject.data.train_labels[:count]).loss


def _told(result: Row) -> Row:
    """The results with their agreements."""
    rows, pool = result["rows"], result["pool"]
    groups = {"all": rows, "summed KL below 0.2": [row for row in rows if row["kl"] < NEAR]}
    scores = SCORES | {"second seed": part("second")}
    mixes = {name: agreements(some, scores, part("tuned")) for name, some in groups.items()}
    equal = agreements(pool, POOL_SCORES, part("refit 120, tuned"))
    told: Row = {
        "agreements": {"mixes": mixes, "equal latency": equal},
        "cpu_seconds": {"mixes": seconds_of(rows), "equal latency": seconds_of(pool)},
    }
    return {name: value for name, value in (result | told).items() if name not in TABLES} | {
        name: result[name] for name in TABLES
    }


def _arguments() -> argparse.Namespace:
    parser = arguments(__doc__, RESULTS)
    parser.add_argument("--work", type=Path, required=True, help="folder of the library")
    parser.add_argument("--alternatives", type=int, default=64, help="that are fitted")
    parser.add_argument("--mixes", type=int, default=40)
    parser.add_argument("--second-seeds", type=int, default=12, help="mixes that are fine-tuned twice")
    parser.add_argument("--pool", type=int, default=16, help="networks of about equal latency")
    parser.add_argument("--steps", type=int, default=63, help="of the fine-tuning")
    parser.add_argument("--refit-images", type=int, default=256)
    parser.add_argument("--only", choices=("mixes", "pool"), help="of the networks")
    return parser.parse_args()


if __name__ == "__main__":
    main()
