"""The networks of a proxy check: what their scores and trainings gave, as the folder keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue

from archdsl.errors import MeasureError
from archdsl.json_types import JsonObject
from archdsl.latency.provenance import Provenance
from archdsl.search.training_record import Training


@dataclass(frozen=True)
class CheckTraining:
    """A training to the end."""

    accuracy: float
    """On the validation images, 0 to 1."""
    training: Training
    is_cached: bool = False

    @classmethod
    def from_json(cls, facts: JsonObject) -> CheckTraining:
        """As a line holds it.

        Raises:
            ValidationError: a part is missing, or of another type.
        """
        read = _TrainingLine.model_validate(facts)
        return cls(read.accuracy, Training.from_json(facts), read.cached)

    def as_json(self) -> JsonObject:
        """The same facts for a file."""
        return self.training.as_json() | {"accuracy": self.accuracy, "cached": self.is_cached}


@dataclass(frozen=True)
class CheckedNetwork:
    """A network that was drawn: a line of `networks.jsonl`."""

    number: int
    network_hash: str
    document: JsonObject
    """The network's spec as JSON."""
    params: int
    macs: int
    reason: str | None = None
    """Why it could not be scored or trained; None where it was."""
    scores: Mapping[str, float] = field(default_factory=dict)
    trainings: tuple[CheckTraining, ...] = ()
    """One a seed."""
    score_seconds: Mapping[str, float] | None = None
    """What the scores took that run the network; None where it was not scored."""
    short: CheckTraining | None = None
    """Of a fifth of the length; None in the checks of an earlier version."""

    @property
    def seconds(self) -> float:
        """Of all its full trainings."""
        return sum(each.training.seconds or 0.0 for each in self.trainings)

    @classmethod
    def from_json(cls, line: JsonObject) -> CheckedNetwork:
        """A line of `networks.jsonl`.

        Raises:
            ValidationError: it is none.
        """
        read = _NetworkLine.model_validate(line)
        return cls(
            read.number,
            read.hash,
            read.spec,
            read.params,
            read.macs,
            read.reason,
            read.scores,
            tuple(map(CheckTraining.from_json, read.trainings)),
            read.seconds,
            None if read.short is None else CheckTraining.from_json(read.short),
        )

    def as_json(self) -> JsonObject:
        """The line, as an object."""
        line: JsonObject = {
            "number": self.number,
            "hash": self.network_hash,
            "spec": self.document,
            "reason": self.reason,
            "params": self.params,
            "macs": self.macs,
            "scores": dict(self.scores),
            "trainings": [each.as_json() for each in self.trainings],
        }
        if self.score_seconds is not None:
            line["seconds"] = dict(self.score_seconds)
        return line if self.short is None else line | {"short": self.short.as_json()}


@dataclass(frozen=True)
class EarlierNetwork:
    """A network of an earlier check, as `proxy_check.json` lists it."""

    network_hash: str
    document: JsonObject
    accuracies: tuple[float, ...]
    """One a seed, on all images that were not trained on."""
    scores: Mapping[str, float]
    running: tuple[tuple[float, ...], ...]
    """Of each training the running losses at the marks of `short_quality.SHORT`."""


def _provenance_in(value: Provenance | JsonObject | None) -> Provenance | None:
    """As `machine.json` holds it, also one of an earlier version."""
    if isinstance(value, Provenance):
        return value
    try:
        return Provenance.from_json(value or {})
    except MeasureError:
        return None


class CheckFacts(BaseModel):
    """`machine.json`: where a check is trained, and on what data."""

    model_config = ConfigDict(frozen=True, strict=True)

    provenance: Annotated[Provenance | None, BeforeValidator(_provenance_in)]
    """The device; None where the file does not tell what this version needs to know of it."""
    data: str
    """In one line."""
    chance: float | None = None
    """The share of the largest class."""
    validation: int
    """Images to validate with."""
    held_out: int
    """Images that nothing was chosen by."""
    images: int | None = None
    """To train with; None in the checks of an earlier version."""


class _TrainingLine(BaseModel):
    accuracy: float
    cached: bool = False


class _NetworkLine(BaseModel):
    """What must be there; there may be more."""

    model_config = ConfigDict(extra="ignore", strict=True)

    number: int
    hash: str
    spec: dict[str, JsonValue]
    reason: str | None
    params: int
    macs: int
    scores: dict[str, float]
    trainings: list[dict[str, JsonValue]]
    seconds: dict[str, float] | None = None
    short: dict[str, JsonValue] | None = None
