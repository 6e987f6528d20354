"""How well short trainings rank the points of lit-dat-64 with its parent: `python benchmarks/inherited_ranking.py`.

24 points, six of each kind of `KINDS`, drawn by `drawn`. Each is scored by its loss right after it inherited, after 63
and 125 steps of the search's own fine-tuning, after refits of 10 and 40 steps, after two epochs from initial weights,
and by params and MACs. The first target is the loss after a finalist's way, shortened: a refit and a fine-tuning at the
rate of a long one. The second is the loss after a training from initial weights alone; where two seeds of it are there,
their agreement is what a score can reach. The seeds of scores and targets differ. `ranking` says which images are
which.

Results are written after each point, and a run goes on where an earlier one stopped; it takes hours of one core. Writes
benchmarks/results/inherited_ranking.json.
"""

from __future__ import annotations

import argparse
import copy
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import torch
from ranking import (
    SCRATCH_LR,
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
from archdsl.deriving.inheriting import inherit_from
from archdsl.deriving.score import score
from archdsl.errors import SpecError
from archdsl.json_types import Scalar
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.spaces import choices_of, load_space, point
from archdsl.load.specs import spec_of
from archdsl.search.worker.inheriting_actions import inherited_loss
from archdsl.search.worker.training_messages import Inheriting
from archdsl.spaces.sampling import draw
from archdsl.spaces.space import Space
from archdsl.spaces.variables import variables

RESULTS = Path(__file__).parent / "results" / "inherited_ranking.json"
DEPTHS = ("d1", "d2", "d3", "d4")
KINDS: dict[str, tuple[dict[str, tuple[Scalar, ...]], tuple[str, ...]]] = {
    "depth": ({}, DEPTHS),
    "narrower": ({"w": (16,)}, DEPTHS),
    "type": ({"w": (16, 24), "stem.patch": (2,)}, ("*",)),
    "patch": ({"stem.patch": (4,)}, ("*",)),
}
"""By kind what variables are drawn from, and which others are drawn from all of their values; the rest is as the parent
has it."""
MOST_MACS = 0.6
"""Of the parent's: a search looks for networks that are about twice as fast as its parent."""
REFIT_IMAGES = 256
SCORED, TARGET, SECOND = 1, 2, 3
"""Seeds."""
SCORES = {
    "right after inheriting": part("inherited"),
    "63 steps": part("63 steps"),
    "125 steps": part("125 steps"),
    "refit of 10 steps": part("refit 10"),
    "refit of 40 steps": part("refit 40"),
    "two epochs from scratch": part("250 steps from scratch"),
    "params": lambda row: -float(row["params"]),
    "MACs": lambda row: -float(row["macs"]),
}
TARGETS = {
    "finished from the inheritance": part("finished"),
    "trained from scratch": part("scratch"),
}


def drawn(space: Space, parent: Spec, each: int, seed: int = 0) -> list[tuple[str, Spec]]:
    """So many points of each kind with at most 0.6 of the parent's MACs, one kind after another in turn.

    Each variable is drawn evenly, by a generator of the kind; no network occurs twice, nor the parent. Points of the
    kind `type` differ from the parent in a stage's type, the MLP or the merge.
    """
    most = MOST_MACS * archdsl.count(parent).macs
    found: dict[str, tuple[str, Spec]] = {canonical_hash(parent): ("parent", parent)}
    streams = {kind: _points(space, parent, kind, seed) for kind in KINDS}
    for _ in range(each):
        for kind, stream in streams.items():
            for spec in stream:
                if canonical_hash(spec) not in found and archdsl.count(spec).macs <= most:
                    found[canonical_hash(spec)] = kind, spec.model_copy(update={"name": f"{kind}-{len(found)}"})
                    break
    return list(found.values())[1:]


def _points(space: Space, parent: Spec, kind: str, seed: int) -> Iterator[Spec]:
    domains, generator = variables(space.nodes), random.Random(f"{kind} {seed}")
    own = choices_of(space, parent) or {}
    given, free = KINDS[kind]

    def choose(name: str) -> Scalar:
        if name in given:
            return generator.choice(given[name])
        return draw(domains[name], generator) if name in free or "*" in free else own[name]

    while True:
        with suppress(SpecError):
            spec, choices = point(space, choose)
            types = [name for name in own if name not in ("w", "stem.patch", "stage3.hilo.alpha", *DEPTHS)]
            if kind != "type" or any(choices.get(name, own[name]) != own[name] for name in types):
                yield spec


def main() -> None:
    asked = _arguments()
    torch.set_num_threads(1)
    subject = shipped_subject()
    result = begun(asked.results, "scores of points that inherit, and what they reach", asked, subject, rows=[])
    if not result["rows"]:
        space = load_space("lit-dat-64")
        result["rows"] = [_begun(kind, spec) for kind, spec in drawn(space, subject.parent.model.spec, asked.points)]
    deadline, rows = Deadline(asked.minutes), result["rows"]

    def keep() -> None:
        write(asked.results, _told(result))

    first, *others = _scores(subject)
    passes = [first | _finished(subject, asked), *others, _scratch(subject, asked, "scratch", TARGET)]
    for parts in passes:
        add_parts(Job(rows, parts, deadline), keep, asked.processes)
    second = _scratch(subject, asked, "second scratch", SECOND)
    add_parts(Job(rows[: asked.second_seeds], second, deadline), keep, asked.processes)


def _begun(kind: str, spec: Spec) -> Row:
    counted = archdsl.count(spec)
    sizes = {"params": counted.params, "macs": counted.macs}
    return {"name": spec.name, "kind": kind, **sizes, "spec": spec.to_json(), "parts": {}}


def _scores(subject: Subject) -> list[dict[str, Callable[[Row], Row]]]:
    """The scores, those first that are made of all points first."""
    data, parent_loss = subject.data, _loss(copy.deepcopy(subject.parent.model), subject)

    def fine_tuned(row: Row, steps: int) -> Row:
        model = _inherited(row, subject)
        lr = row["parts"]["inherited"]["lr"]
        return scored(tuned(model, data, steps, lr, SCORED), data)

    def refitted(row: Row, steps: int) -> Row:
        return scored(_inherited(row, subject, steps, SCORED), data)

    def from_scratch(row: Row) -> Row:
        return scored(tuned(built(spec_of(row["spec"]), SCORED), data, 250, SCRATCH_LR, SCORED), data)

    return [
        {"inherited": lambda row: _right_after(row, subject, parent_loss), "63 steps": lambda row: fine_tuned(row, 63)},
        {"refit 10": lambda row: refitted(row, 10), "refit 40": lambda row: refitted(row, 40)},
        {"125 steps": lambda row: fine_tuned(row, 125), "250 steps from scratch": from_scratch},
    ]


def _right_after(row: Row, subject: Subject, parent_loss: float) -> Row:
    """The loss that a search computes first, with whether it lets the point inherit and the rate that follows."""
    data, spec = subject.data, spec_of(row["spec"])
    inheriting = Inheriting(str(subject.file), "", 0.5)
    reason = inherited_loss(built(spec, SCORED), inheriting, data, "cpu").reason
    loss = _loss(_inherited(row, subject), subject)
    lr = TUNING.broken_lr if loss - parent_loss > TUNING.broken_nats else TUNING.whole_lr
    return {"loss": round(loss, 5), "inherits": reason is None, "reason": reason, "lr": lr}


def _inherited(row: Row, subject: Subject, refit: int | None = None, seed: int = SCORED) -> Backbone:
    model = built(spec_of(row["spec"]), seed)
    images = None if refit is None else subject.images(REFIT_IMAGES)
    settings = None if refit is None else RefitSettings(refit, seed=seed)
    inherit_from(model, subject.parent, images, settings, subject.data.class_names)
    if refit is None:
        _loss(model, subject)  # which measures its batch norm again
    return model


def _loss(model: Backbone, subject: Subject) -> float:
    count = TUNING.scored_images
    return score(model, subject.images(count), subject.data.train_labels[:count]).loss


def _finished(subject: Subject, asked: argparse.Namespace) -> dict[str, Callable[[Row], Row]]:
    def finished(row: Row) -> Row:
        model = _inherited(row, subject, asked.finish_refit, TARGET)
        return judged(tuned(model, subject.data, asked.finish_steps, TUNING.long_lr, TARGET), subject.data)

    return {"finished": finished}


def _scratch(subject: Subject, asked: argparse.Namespace, name: str, seed: int) -> dict[str, Callable[[Row], Row]]:
    def trained(row: Row) -> Row:
        model = built(spec_of(row["spec"]), seed)
        return judged(tuned(model, subject.data, asked.scratch_steps, SCRATCH_LR, seed), subject.data)

    return {name: trained}


def _told(result: Row) -> Row:
    """The results with the agreements over all points, those that inherit, those that do not, and each kind."""
    rows = result["rows"]
    groups = {"all": rows}
    for name, inherits in (("inherit", True), ("do not inherit", False)):
        groups[name] = [row for row in rows if row["parts"].get("inherited", {}).get("inherits") is inherits]
    groups |= {kind: [row for row in rows if row["kind"] == kind] for kind in KINDS}
    tables = {
        name: {group: agreements(of_group, SCORES, target) for group, of_group in groups.items()}
        for name, target in TARGETS.items()
    }
    second = {"second seed": part("second scratch"), "finished": part("finished")}
    ceiling = agreements(rows, second, TARGETS["trained from scratch"])
    told = {"agreements": tables, "targets": ceiling, "cpu_seconds": seconds_of(rows)}
    return {**{name: value for name, value in result.items() if name != "rows"}, **told, "rows": rows}


def _arguments() -> argparse.Namespace:
    parser = arguments(__doc__, RESULTS)
    parser.add_argument("--points", type=int, default=6, help="of each kind")
    parser.add_argument("--finish-refit", type=int, default=40, help="steps of a block, before the finish")
    parser.add_argument("--finish-steps", type=int, default=250)
    parser.add_argument("--scratch-steps", type=int, default=500)
    parser.add_argument("--second-seeds", type=int, default=12, help="points that are trained from scratch twice")
    return parser.parse_args()


if __name__ == "__main__":
    main()
