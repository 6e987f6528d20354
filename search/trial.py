"""What a trial of a network told: how it was measured, how it was trained, and how far it climbed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from archdsl.json_types import JsonObject
from archdsl.timing.verdict import LEAST_SHARE

Rung = Literal["latency", "zero_cost", "train", "halving", "train_longer"]
"""The last rung that a trial reached: a reading at the gate, the zero-cost scores, a short training to the end or
stopped early, and a finalist's longer trainings.
"""
Outcome = Literal["failed", "fell", "measured", "trained", "cached"]
"""`fell` at its rung; `measured` and not trained yet, on a machine that only measures; `cached`: trained before."""

ALSO = "also"
"""The origin of a network that was named beside the space."""
PARENT = "parent"
"""The origin of the parent of a search, where it is no point of the space."""
BESIDE: Mapping[str, str] = {ALSO: "--also", PARENT: "the parent"}
"""Origins of networks beside the space, and how a table marks them."""

RUNGS: Mapping[str, str] = {
    "static": "not a valid network: its shapes do not fit, or a constraint is not met",
    "cost": "over the params, MACs or memory budget",
    "duplicate": "the same network as an earlier candidate",
    "inheritance": "cannot inherit from the parent: wider than it, or with another patch size; one in eight is tried",
    "predicted": "predicted latency over the budget by more than the error of the prediction",
    "preselection": "not exported or measured: predicted accuracy in the lower half of equal-or-cheaper networks",
    "latency": "measured latency over the gate",
    "zero_cost": "zero-cost score or predicted accuracy in the lowest 20 % of equal-or-cheaper networks",
    "halving": "training stopped early: its running loss is too high",
    "failed": "failed while measured or trained",
    "trained": "trained",
}
"""Where a candidate can end, in the order in which it meets the rungs, and what that means."""
ONLY_OF_FILES = ("preselection",)
"""Rungs of searches alone whose runtime runs exported files."""
ONLY_OF_HEIRS = ("inheritance",)
"""Rungs of searches alone that have a parent."""


@dataclass(frozen=True)
class Measurement:
    """How a latency was measured; None for what an earlier version did not write.

    Statistics are in ms a batch, over the undisturbed rounds, or over all rounds where none is.
    """

    min_ms: float | None = None
    p10_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    spread: float | None = None
    """(p50 - p10) / p10 of the last reading."""
    unstable: bool | None = None
    """Whether the latency drifted, or too few rounds were undisturbed."""
    provenance: dict[str, JsonValue] | None = None
    """Device, versions and setting of the last reading (`archdsl.latency.provenance`)."""
    stat: str | None = None
    interval_ms: tuple[float, float] | None = None
    """Of the statistic; None where no round was undisturbed."""
    samples: int | None = None
    rounds: int | None = None
    undisturbed: int | None = None
    """Rounds that no other process disturbed."""
    reading_count: int | None = None

    @property
    def is_disturbed(self) -> bool:
        """Whether less than a quarter of the rounds count; False where it is not known."""
        if self.rounds is None or self.undisturbed is None:
            return False
        return self.undisturbed < LEAST_SHARE * self.rounds

    @classmethod
    def from_json(cls, facts: JsonObject) -> Measurement:
        """`provenance.latency` of a line of `trials.jsonl`.

        Raises:
            ValidationError: a part is of another type.
        """
        return _MEASUREMENT.validate_python(facts)

    def as_json(self) -> JsonObject:
        """The same facts for a file."""
        interval = None if self.interval_ms is None else list(self.interval_ms)
        return {**asdict(self), "interval_ms": interval}


@dataclass(frozen=True)
class SeedAccuracy:
    """What one of a finalist's longer trainings gave."""

    seed: int
    accuracy: float
    held_out: float | None = None
    answers: str | None = None
    """Which validation images were named rightly, as `archdsl.training.accuracy.packed` writes them."""

    def as_json(self) -> JsonObject:
        """The same facts for a file."""
        facts: JsonObject = {"seed": self.seed, "accuracy": self.accuracy, "held_out": self.held_out}
        return facts if self.answers is None else facts | {"answers": self.answers}


@dataclass(frozen=True)
class Training:
    """How a proxy accuracy came about; None for what an earlier version did not write.

    Of a finalist it tells the last training, and `per_seed` the accuracy of each.
    """

    fidelity: str | None = None
    """The budget that names the accuracy, as `2 epochs of 2,000 images`."""
    data: str | None = None
    seed: int | None = None
    threads: int | None = None
    device: str | None = None
    torch: str | None = None
    seconds: float | None = None
    steps: int | None = None
    loss: float | None = None
    """Mean training loss over the last epoch."""
    error: float | None = None
    """Standard error of the accuracy, from the number of validation images alone."""
    held_out: float | None = None
    """Accuracy on images that no choice has seen; None where there are none."""
    key: str | None = None
    """Its name in the cache of results."""
    running: tuple[float, ...] = ()
    """The running training loss after each twentieth of the steps that was reached."""
    epochs: float | None = None
    batch: int | None = None
    autocast: str | None = None
    halted: int | None = None
    """The mark of the running loss at which it was stopped early; None where it was not."""
    answers: str | None = None
    """Which validation images were named rightly, as `archdsl.training.accuracy.packed` writes them."""
    validation_images: int | None = None
    held_out_images: int | None = None
    per_seed: tuple[SeedAccuracy, ...] = ()
    """A finalist's longer trainings, one a seed."""
    spread: float | None = None
    """The most less the least of their accuracies."""
    parent: str | None = None
    """The SHA-256 of the file of the parent that the network inherited from; None where it began with initial
    weights.
    """
    not_inherited: str | None = None
    """Why it began with initial weights in a search that has a parent."""
    inherited_loss: float | None = None
    """On some training images right after inheriting, in nats."""
    parent_loss: float | None = None
    """Of the parent, on the same images."""
    lr: float | None = None
    """The peak rate of a fine-tuning after inheriting."""
    refitted: int | None = None
    """Blocks that a refit made better."""
    is_untuned: bool | None = None
    """Whether the fine-tuning was undone, since it named fewer validation images rightly than before."""
    inherited_blocks: tuple[tuple[str, str, str], ...] = ()
    """Each node or block of a network that inherited, the parent's that it came from, and how its tensors did."""

    @classmethod
    def from_json(cls, facts: JsonObject) -> Training:
        """`provenance.proxy` of a line of `trials.jsonl`, and `facts` of a stored result.

        Raises:
            ValidationError: a part is of another type.
        """
        named = {_TRAINING_FIELDS.get(name, name): value for name, value in facts.items()}
        return _TRAINING.validate_python(named)

    def as_json(self) -> JsonObject:
        """The same facts for a file; what only some trainings have stands there where it is known."""
        facts: JsonObject = asdict(self)
        facts |= {"running": list(self.running), "per_seed": [each.as_json() for each in self.per_seed]}
        facts["inherited_blocks"] = [list(row) for row in self.inherited_blocks]
        kept = {name: value for name, value in facts.items() if name not in _WHERE_KNOWN or value not in (None, [])}
        return {"trainings" if name == "per_seed" else name: value for name, value in kept.items()}


_TRAINING_FIELDS = {"trainings": "per_seed"}
_WHERE_KNOWN = (
    *("halted", "answers", "validation_images", "held_out_images", "per_seed", "spread"),
    *("parent", "not_inherited", "inherited_loss", "parent_loss", "lr", "refitted", "is_untuned", "inherited_blocks"),
)


@dataclass(frozen=True)
class Trial:
    """A network and how far it climbed: a line of `trials.jsonl`."""

    number: int
    network_hash: str
    document: JsonObject
    """The network's spec as JSON."""
    params: int
    macs: int
    """Multiply-adds of one image."""
    rung: Rung = "latency"
    outcome: Outcome = "failed"
    reason: str | None = None
    latency_ms: float | None = None
    """ms a batch, at the search's statistic."""
    inside_budget: bool | None = None
    accuracy: float | None = None
    """Proxy accuracy, 0 to 1; of a finalist's longer trainings the mean over the seeds."""
    seconds: float = 0.0
    """What measuring and training took."""
    origin: str | None = None
    """The folder of the earlier run that the network comes from, or one of `BESIDE`."""
    measurement: Measurement | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    """At initialisation, by name (`worker/scores`)."""
    training: Training | None = None

    @property
    def name(self) -> str:
        """The network's."""
        return str(self.document["name"])

    @property
    def is_baseline(self) -> bool:
        """Whether it is a network that was named beside the space."""
        return self.origin in BESIDE

    @property
    def label(self) -> str:
        """The name in a table, in which baselines are marked."""
        return marked(self.name, self.origin)

    @property
    def can_win(self) -> bool:
        """Whether the files of a winner can be written for it: of a network without a spec they cannot."""
        return self.document.get("kind") != "timm"

    @property
    def is_longer(self) -> bool:
        """Whether it tells of a finalist's longer trainings, and is no trial of its own."""
        return self.rung == "train_longer"

    @property
    def is_over_gate(self) -> bool:
        """Whether its measured latency is what it fell by."""
        return self.rung == "latency" and self.outcome == "fell"

    @property
    def is_inherited(self) -> bool:
        """Whether it was fine-tuned from a parent's weights."""
        return self.training is not None and self.training.parent is not None

    @property
    def end(self) -> str:
        """Where on the ladder it ended: one of `RUNGS`."""
        return {"fell": str(self.rung), "failed": "failed"}.get(self.outcome, "trained")

    @property
    def error(self) -> float | None:
        """Standard error of the accuracy; None where it is not known."""
        return None if self.training is None else self.training.error

    @classmethod
    def from_json(cls, record: JsonObject) -> Trial:
        """A line of `trials.jsonl`, also of an earlier version.

        Raises:
            ValidationError: it is none.
        """
        line = _Line.model_validate(record)
        provenance = line.provenance
        return cls(
            number=line.number,
            network_hash=line.hash,
            document=line.spec,
            params=line.params,
            macs=line.macs,
            rung=line.rung,
            outcome=line.outcome,
            reason=line.reason,
            latency_ms=line.latency,
            inside_budget=line.inside_budget,
            accuracy=line.accuracy,
            seconds=line.seconds,
            origin=provenance.origin,
            measurement=None if provenance.latency is None else Measurement.from_json(provenance.latency),
            scores=provenance.scores,
            training=None if provenance.proxy is None else Training.from_json(provenance.proxy),
        )

    def as_json(self) -> JsonObject:
        """The line, as an object."""
        provenance: JsonObject = {} if self.origin is None else {"from": self.origin}
        if self.measurement is not None:
            provenance["latency"] = self.measurement.as_json()
        if self.scores:
            provenance["scores"] = dict(self.scores)
        if self.training is not None:
            provenance["proxy"] = self.training.as_json()
        return {
            "number": self.number,
            "hash": self.network_hash,
            "spec": self.document,
            "rung": self.rung,
            "outcome": self.outcome,
            "reason": self.reason,
            "params": self.params,
            "macs": self.macs,
            "latency": self.latency_ms,
            "inside_budget": self.inside_budget,
            "accuracy": self.accuracy,
            "seconds": self.seconds,
            "provenance": provenance,
        }


def marked(name: str, origin: str | None) -> str:
    """A network's name in a table."""
    mark = BESIDE.get(origin or "")
    return name if mark is None else f"{name} ({mark})"


class _Provenance(BaseModel):
    """Where a trial's numbers come from, as a line tells it."""

    origin: str | None = Field(None, alias="from")
    latency: dict[str, JsonValue] | None = None
    scores: dict[str, float] = {}
    proxy: dict[str, JsonValue] | None = None


class _Line(BaseModel):
    """What must be there in a line; there may be more."""

    model_config = ConfigDict(extra="ignore", strict=True)

    number: int
    hash: str
    spec: dict[str, JsonValue]
    rung: Rung
    outcome: Outcome
    reason: str | None
    params: int
    macs: int
    latency: float | None
    inside_budget: bool | None
    accuracy: float | None
    seconds: float
    provenance: _Provenance


_MEASUREMENT, _TRAINING = TypeAdapter(Measurement), TypeAdapter(Training)
