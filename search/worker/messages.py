"""What a worker is asked and what it answers: a value a message, which is JSON on the pipe alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import JsonValue, TypeAdapter

from archdsl.json_types import JsonObject
from archdsl.latency.provenance import Provenance
from archdsl.latency.result import Latency
from archdsl.search.loaded_data import DataRequest, LoadedData
from archdsl.search.policy.pace import Pace as Pace

T = TypeVar("T")
R = TypeVar("R")

_ADAPTERS: dict[type[object], TypeAdapter[Any]] = {}
"""By the type that each reads: making one takes ten times as long as reading a message."""


def parsed(kind: type[T], facts: JsonObject) -> T:
    """A message of this kind as it came over the pipe.

    Raises:
        ValidationError: it is none.
    """
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    message: T = _ADAPTERS[kind].validate_python(facts)
    return message


@dataclass(frozen=True)
class Request(ABC, Generic[R]):
    """Something that is asked; R is what is answered."""

    do: ClassVar[str]
    """Its name on the pipe."""
    needs_quiet: ClassVar[bool] = False
    """Whether nobody else may compute on the device meanwhile."""

    def as_json(self) -> JsonObject:
        """As it goes over the pipe: its name, and its parts side by side."""
        return {"do": self.do, **asdict(self)}

    @abstractmethod
    def reply(self, facts: JsonObject) -> R:
        """What was answered.

        Raises:
            ValidationError: it is no such answer.
        """


# ------------------------------------------------------------------------------------------------------ the device


@dataclass(frozen=True)
class MeasuringSetting:
    """What a latency depends on beside the network and the machine."""

    device: str
    batch: int
    dtype: str
    runtime: str
    threads: int | None
    features_only: bool = False
    """Whether it is the backbone for dense prediction that is measured, without its head."""


@dataclass(frozen=True)
class HelloReply:
    """The device of a worker."""

    provenance: Provenance


@dataclass(frozen=True)
class HelloRequest(Request[HelloReply]):
    """Which device is there, and what is known of it?"""

    do = "hello"
    setting: MeasuringSetting

    def as_json(self) -> JsonObject:
        """The setting's parts side by side."""
        return {"do": self.do, **asdict(self.setting)}

    def reply(self, facts: JsonObject) -> HelloReply:
        """The device."""
        return parsed(HelloReply, facts)


# -------------------------------------------------------------------------------------------------------- the data


@dataclass(frozen=True)
class LoadRequest(Request[LoadedData]):
    """Load the data, and tell of it."""

    do = "data"
    data: DataRequest

    def as_json(self) -> JsonObject:
        """As it goes over the pipe."""
        return {"do": self.do, "data": [*self.data]}

    def reply(self, facts: JsonObject) -> LoadedData:
        """The data."""
        return parsed(LoadedData, facts)


# ------------------------------------------------------------------------------------------------------- measuring


@dataclass(frozen=True)
class LatencyReading:
    """One reading of a network."""

    samples_ms: tuple[float, ...]
    """Of each round, ms a batch."""
    provenance: dict[str, JsonValue]
    disturbed_rounds: tuple[int, ...] = ()

    def latency(self, name: str) -> Latency:
        """The same as a latency of the network of that name."""
        return Latency(name, self.samples_ms, self.provenance, frozenset(self.disturbed_rounds))


@dataclass(frozen=True)
class MeasureReply:
    """A reading, and the seconds that it took without waiting for the device."""

    latency: LatencyReading
    seconds: float = 0.0


@dataclass(frozen=True)
class CandidateReply:
    """The file is there; its size in bytes."""

    bytes: int


@dataclass(frozen=True)
class CandidateRequest(Request[CandidateReply]):
    """Export a network that was not trained to `file`, for a setting, unless it is there."""

    do = "candidate"
    spec: dict[str, JsonValue]
    file: str
    setting: MeasuringSetting

    def reply(self, facts: JsonObject) -> CandidateReply:
        """The file."""
        return parsed(CandidateReply, facts)


@dataclass(frozen=True)
class MeasureRequest(Request[MeasureReply]):
    """Measure a network, or the file `weights`, ours or ONNX; with a gate, until it is clear on which side it lies.

    `file` is the exported file of a network that was not trained, where there is one.
    """

    do, needs_quiet = "measure", True
    spec: dict[str, JsonValue]
    setting: MeasuringSetting
    pace: Pace | None = None
    stat: str = "p50"
    gate_ms: float | None = None
    weights: str | None = None
    file: str | None = None

    def reply(self, facts: JsonObject) -> MeasureReply:
        """The reading."""
        return parsed(MeasureReply, facts)


@dataclass(frozen=True)
class ThreadsReply:
    """On how many threads networks are measured."""

    threads: int


@dataclass(frozen=True)
class ThreadsRequest(Request[ThreadsReply]):
    """On how many threads is this network the fastest?"""

    do, needs_quiet = "threads", True
    spec: dict[str, JsonValue]
    setting: MeasuringSetting
    file: str | None = None

    def reply(self, facts: JsonObject) -> ThreadsReply:
        """The number."""
        return parsed(ThreadsReply, facts)


@dataclass(frozen=True)
class ExportReply:
    """The file that was written and held against its network."""

    sha256: str
    largest_error: float
    """As a share of the largest output."""


@dataclass(frozen=True)
class ExportRequest(Request[ExportReply]):
    """Export the network in the file `weights` to an ONNX file for a setting."""

    do = "export"
    weights: str
    file: str
    setting: MeasuringSetting

    def reply(self, facts: JsonObject) -> ExportReply:
        """The file."""
        return parsed(ExportReply, facts)


# -------------------------------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class ScoreReply:
    """Scores at initialisation by name, and the seconds that those took which run the network."""

    scores: dict[str, float]
    seconds: dict[str, float]


@dataclass(frozen=True)
class ScoreRequest(Request[ScoreReply]):
    """Score a network at initialisation (`worker/scores`)."""

    do = "score"
    spec: dict[str, JsonValue]
    data: DataRequest
    seed: int
    device: str

    def reply(self, facts: JsonObject) -> ScoreReply:
        """The scores."""
        return parsed(ScoreReply, facts)


@dataclass(frozen=True)
class Answers:
    """Which images of a set were named rightly, as `archdsl.training.accuracy.packed` writes them."""

    answers: str
    images: int


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training gave, as `archdsl.training.recipe.Outcome` tells it."""

    accuracy: float
    finite: bool
    finished: bool
    running: tuple[float, ...] = ()
    halted: int | None = None
    error: float | None = None
    loss: float | None = None
    held_out: float | None = None
    steps: int | None = None
    seconds: float = 0.0
    autocast: str | None = None
    validation: Answers | None = None
    held: Answers | None = None


@dataclass(frozen=True)
class TrainReply:
    """A training, and where its weights are."""

    outcome: TrainingOutcome
    threads: int | None = None
    kept: str | None = None
    not_kept: str | None = None
    """Why the weights could not be written."""


@dataclass(frozen=True)
class TrainRequest(Request[TrainReply]):
    """Train a network for at most so many seconds; with `keep`, a path, its weights are written there."""

    do = "train"
    spec: dict[str, JsonValue]
    data: DataRequest
    epochs: float
    batch: int
    images: int
    seed: int
    device: str
    threads: int | None
    seconds: float | None = None
    limits: tuple[tuple[int, float], ...] = ()
    """Running losses, by mark, above which the training is stopped."""
    keep: str | None = None

    def reply(self, facts: JsonObject) -> TrainReply:
        """What came of it."""
        return parsed(TrainReply, facts)


@dataclass(frozen=True)
class PaceReply:
    """Seconds of a training step, and of the validation of an image."""

    step_s: float
    image_s: float


@dataclass(frozen=True)
class PaceRequest(Request[PaceReply]):
    """How long does a training step take?"""

    do = "pace"
    spec: dict[str, JsonValue]
    batch: int
    device: str
    threads: int | None

    def reply(self, facts: JsonObject) -> PaceReply:
        """The times."""
        return parsed(PaceReply, facts)


Reply = (
    HelloReply
    | LoadedData
    | CandidateReply
    | MeasureReply
    | ThreadsReply
    | ExportReply
    | ScoreReply
    | TrainReply
    | PaceReply
)
