"""What a trial of a network told, and how far up the rungs it climbed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from archdsl.json_types import JsonObject
from archdsl.search.measurement import Measurement
from archdsl.search.training_record import Training

Rung = Literal["inheritance", "inherited_loss", "latency", "zero_cost", "train", "halving", "train_longer"]
"""The last rung that a trial reached: what it takes over from a parent, the loss right after that, a reading at the
gate, the zero-cost scores, a short training to the end or stopped early, and a finalist's longer trainings.
"""
Outcome = Literal["failed", "fell", "measured", "trained", "cached"]
"""`fell` at its rung; `measured` and not trained yet, on a machine that only measures; `cached`: trained before."""

ALSO = "also"
"""The origin of a network that was named beside the space."""
PARENT = "parent"
"""The origin of the parent of a search, where it is no point of the space."""
LIBRARY = "library"
"""The origin of a network that a library gives for the budget."""
NARROWER = "narrower"
"""The origin of a copy of the parent with fewer channels."""
SMALLER = "smaller"
"""The origin of a network with fewer channels than the smallest one of the space, which cannot inherit."""
BESIDE: Mapping[str, str] = {
    ALSO: "--also",
    PARENT: "the parent",
    LIBRARY: "the library",
    NARROWER: "fewer channels",
    SMALLER: "smaller than the space",
}
"""Origins of networks beside the space, and how a table marks them."""

RUNGS: Mapping[str, str] = {
    "static": "not a valid network: its shapes do not fit, or a constraint is not met",
    "cost": "over the params, MACs or memory budget",
    "duplicate": "the same network as an earlier candidate",
    "inheritance": "cannot inherit from the parent: wider than it, with another patch size, or at chance after it",
    "predicted": "predicted latency over the budget by more than the error of the prediction",
    "preselection": "not exported or measured: predicted accuracy in the lower half of equal-or-cheaper networks",
    "inherited_loss": "loss right after inheriting not in the better quarter of networks with no more MACs",
    "latency": "measured latency over the gate",
    "zero_cost": "zero-cost score or predicted accuracy in the lowest 20 % of equal-or-cheaper networks",
    "halving": "training stopped early: its running loss is too high",
    "failed": "failed while measured or trained",
    "trained": "trained",
}
"""Where a candidate can end, in the order in which it meets the rungs, and what that means."""
ONLY_OF_FILES = ("preselection",)
"""Rungs of searches alone whose runtime runs exported files."""
ONLY_OF_HEIRS = ("inheritance", "inherited_loss")
"""Rungs of searches alone that have a parent."""


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
    def is_disturbed(self) -> bool:
        """Whether its latency was read on so busy a machine that it says little."""
        return self.measurement is not None and self.measurement.is_disturbed

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
