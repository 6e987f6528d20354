"""What a worker is asked about data and training, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from archdsl.json_types import JsonObject
from archdsl.search.loaded_data import DataRequest, LoadedData
from archdsl.search.worker.request import Request, parsed


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
class CountReply:
    """What a network costs: parameters, and multiply-adds of one image."""

    params: int
    macs: int


@dataclass(frozen=True)
class CountRequest(Request[CountReply]):
    """What does a network cost that has no spec?"""

    do = "count"
    spec: dict[str, JsonValue]

    def reply(self, facts: JsonObject) -> CountReply:
        """The costs."""
        return parsed(CountReply, facts)


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
