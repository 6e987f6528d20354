"""What a verdict tells beside its reading: the networks tried before, the winner's accuracy, and its equals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import JsonValue, TypeAdapter
from pydantic.dataclasses import dataclass as validated

from archdsl.json_types import JsonObject

Word = Literal["PASS", "FAIL", "UNSURE"]
QUANTISED = "winner.onnx (int8)"
"""The file that a search in int8 hands over."""


@dataclass(frozen=True)
class AttemptSummary:
    """A network that could have been the winner, as `verdict.json` lists it."""

    name: str
    network_hash: str
    verdict: Word
    reason: str
    gate_reading_ms: float | None = None
    """As its trial measured."""
    latency_ms: float | None = None
    """As measured again, pooled over fresh processes; None where it was not."""
    interval_ms: tuple[float, float] | None = None
    timing: dict[str, JsonValue] | None = None
    """How it was measured again, under the names that a trial's reading has."""

    @classmethod
    def from_json(cls, facts: JsonObject) -> AttemptSummary:
        """An item of `attempts`; earlier versions said by `passed` alone what became of it.

        Raises:
            ValidationError: a part is of another type.
        """
        read = _ATTEMPT.validate_python(facts)
        word: Word = read.verdict or ("PASS" if read.passed else "FAIL")
        return cls(read.name, read.hash, word, read.reason, read.gate_reading, read.latency, read.interval_ms)

    def as_json(self) -> JsonObject:
        """The item."""
        return {
            "name": self.name,
            "hash": self.network_hash,
            "verdict": self.verdict,
            "passed": self.verdict == "PASS",
            "reason": self.reason,
            "gate_reading": self.gate_reading_ms,
            "latency": self.latency_ms,
            "interval_ms": None if self.interval_ms is None else list(self.interval_ms),
            "provenance": self.timing or {},
        }


@validated(frozen=True)
class _Attempt:
    name: str = "unnamed"
    hash: str = ""
    verdict: Word | None = None
    passed: bool = False
    reason: str = ""
    gate_reading: float | None = None
    latency: float | None = None
    interval_ms: tuple[float, float] | None = None


@dataclass(frozen=True)
class Tie:
    """A network whose validation accuracy cannot be told from the winner's."""

    name: str
    network_hash: str
    latency_ms: float
    """As its trial measured."""
    validation_accuracy: float
    error: float | None = None
    """Standard error, from the number of validation images."""

    @classmethod
    def from_json(cls, facts: JsonObject) -> Tie:
        """An item of `ties`.

        Raises:
            ValidationError: a part is of another type.
        """
        read = _TIE.validate_python(facts)
        return cls(read.name, read.hash, read.latency, read.validation_accuracy, read.error)

    def as_json(self) -> JsonObject:
        """The item."""
        return {
            "name": self.name,
            "hash": self.network_hash,
            "latency": self.latency_ms,
            "validation_accuracy": self.validation_accuracy,
            "error": self.error,
        }


@validated(frozen=True)
class _Tie:
    name: str
    hash: str
    latency: float
    validation_accuracy: float
    error: float | None = None


@dataclass(frozen=True)
class ValidationAccuracy:
    """Of the winner's weights on the images by which they were chosen, and over the seeds of their network."""

    accuracy: float
    error: float
    """Standard error, from the number of images alone."""
    images: int
    fidelity: str
    number: int = 1
    """Seeds of the network's longest training."""
    mean: float | None = None
    """Over these seeds, as the following two."""
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class HeldOutAccuracy:
    """Of the winner's weights on images that nothing was chosen by, and over the seeds of their network.

    A run of an earlier version kept no weights: its `accuracy` is the mean over the seeds, and it tells no images.
    """

    accuracy: float
    error: float | None = None
    images: int | None = None
    fidelity: str = "a training of unknown length"
    seeds: int = 1
    least: float | None = None
    most: float | None = None
    mean: float | None = None


@dataclass(frozen=True)
class Float32Beside:
    """Of the weights from which a quantised winner was exported: accuracy on the same images, and latency."""

    validation: float
    held_out: float | None = None
    latency_ms: float | None = None
    """At the search's statistic, by one short reading; None where there was no time for one."""
    rounds: int | None = None
    """Of that reading."""


@dataclass(frozen=True)
class WinnerAccuracy:
    """What is known of the accuracy of the weights that are handed over."""

    held_out: HeldOutAccuracy | None = None
    validation: ValidationAccuracy | None = None
    chance: float | None = None
    """The share of the largest class."""
    per_class: dict[str, dict[str, tuple[int, int]] | None] | None = None
    """Of "validation" and "held_out": by class how many images are named rightly, of how many."""
    balanced_accuracy: dict[str, float | None] | None = None
    """The mean of the classes' recalls, by the set of images."""
    float32: Float32Beside | None = None
    """Where the accuracies are those of winner.onnx in int8: what its weights reach and take in float32."""

    @property
    def file(self) -> str:
        """What the accuracies are of."""
        return "winner.safetensors" if self.float32 is None else QUANTISED

    @classmethod
    def from_json(cls, outcome: JsonObject) -> WinnerAccuracy | None:
        """As `verdict.json` tells it; None where it tells neither.

        Raises:
            ValidationError: a part is of another type.
        """
        accuracy = _ACCURACY.validate_python(outcome)
        return None if accuracy.held_out is None and accuracy.validation is None else accuracy

    def as_json(self) -> JsonObject:
        """The keys of `verdict.json`."""
        facts: JsonObject = asdict(self)
        if self.float32 is None:
            del facts["float32"]
        if self.per_class is not None:
            facts["per_class"] = {
                of: None if classes is None else {label: list(pair) for label, pair in classes.items()}
                for of, classes in self.per_class.items()
            }
        return facts


_ATTEMPT, _TIE, _ACCURACY = TypeAdapter(_Attempt), TypeAdapter(_Tie), TypeAdapter(WinnerAccuracy)
